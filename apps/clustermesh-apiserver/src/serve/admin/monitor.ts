/**
 * One reader of `mesh monitor`: asks the agents of the nodes for their events and passes them on.
 *
 * ```
 *   node without a stream ─── its agent opens one ──► heard ── stream over ──► without a stream
 *                                                       └──── the agent refuses ──► unavailable, until its next stream
 * ```
 * A part of an agent is passed on and its credit given back when the reader has room and is below its rate. What the reader
 * does not take stays with the agents, which count it: nothing is queued here beyond the credit.
 */
import { type Clock, printable } from "@isthmus/model";
import {
  type EventBatch,
  EventFilter,
  type FlowPolicy,
  MonitoredNode,
  type MonitorRequest,
  type MonitorResponse,
  MonitorState,
} from "@isthmus/proto";
import { sleep } from "@isthmus/runtime";
import type { AgentQueries, RunningQuery } from "../agents/agent-queries.js";
import { cleanIdentity, cleanPolicyName, cleanRule } from "./clean-policy.js";

/** A Linux node of this cluster. */
export interface MonitorNode {
  readonly node: string;
  /** Its agent has a stream to this server, of records at least. */
  readonly connected: boolean;
}

export interface MonitorModules {
  /** The agents' streams for queries. */
  readonly queries: AgentQueries;
  /** The nodes of this cluster, as far as they are known. */
  readonly nodes: () => readonly MonitorNode[];
  /** Paces the reader and looks for new nodes. */
  readonly clock: Clock;
  /** Sends a response; false: the reader has no room, `drained` is called when it has. */
  readonly write: (response: MonitorResponse) => boolean;
}

export interface Monitor {
  /** The reader has room again. */
  drained(): void;
  /** Ends the queries. */
  close(): void;
}

/** Parts of 50 to 70 KB that an agent may send ahead, and all of them together, as long as each has one. */
const CREDIT = 4;
const ALL_CREDIT = 400;
/** Events that a reader gets in a second; an agent stops where it has no credit. */
const EVENTS_PER_S = 20_000;
/** How long a reader may be ahead of its rate. */
const BURST_MS = 1000;
/** How often Nodes are compared. */
const NODES_MS = 2000;
/** Streams that open or end within it are looked at together: all agents may connect at once. */
const STREAMS_MS = 100;

/** Writes the nodes first. */
export function startMonitor(request: MonitorRequest, modules: MonitorModules): Monitor {
  const { queries, clock, write } = modules;
  const running = new Map<string, RunningQuery>();
  const problems = new Map<string, string>();
  /** Parts whose credit waits for room. */
  const held: RunningQuery[] = [];
  const life = new AbortController();
  let full = false;
  let paidUntil = clock.now();
  let written = "";
  let isDue = false;

  function send(message: MonitorResponse["message"]): void {
    if (!write({ message })) full = true;
  }

  function query(node: string, credit: number): void {
    const started = queries.start(node, { $case: "monitor", value: request.filter ?? NO_FILTER }, credit, {
      part(part) {
        if (life.signal.aborted) return;
        if (part.$case === "events") {
          send({ $case: "events", value: { node, batch: cleaned(part.value) } });
          void giveBack(started, part.value.events.length);
        }
      },
      end(problem) {
        running.delete(node);
        if (problem !== undefined) problems.set(node, printable(problem, 512));
        void updateSoon();
      },
    });
    if (started !== undefined) running.set(node, started);
  }

  async function giveBack(of: RunningQuery | undefined, events: number): Promise<void> {
    if (of === undefined) return;
    const now = clock.now();
    paidUntil = Math.max(paidUntil, now) + (events / EVENTS_PER_S) * 1000;
    const waitMs = paidUntil - now - BURST_MS;
    if (waitMs > 0) await sleep(clock, waitMs, life.signal);
    if (life.signal.aborted) return;
    if (full) held.push(of);
    else of.credit(1);
  }

  function stateOf(node: string, known: MonitorNode | undefined): MonitorState {
    if (running.has(node)) return MonitorState.MONITOR_STATE_HEARD;
    if (problems.has(node)) return MonitorState.MONITOR_STATE_UNAVAILABLE;
    if (known === undefined) return MonitorState.MONITOR_STATE_UNKNOWN;
    return known.connected ? MonitorState.MONITOR_STATE_NO_QUERIES : MonitorState.MONITOR_STATE_NOT_CONNECTED;
  }

  /** Asks agents that have a stream now, and reports the nodes if anything changed. */
  function update(): void {
    if (life.signal.aborted) return;
    const known = new Map(modules.nodes().map((each) => [each.node, each]));
    const names = request.nodes.length > 0 ? [...new Set(request.nodes)] : [...known.keys()];
    const credit = Math.min(CREDIT, Math.max(1, Math.floor(ALL_CREDIT / names.length)));
    for (const node of names) if (!running.has(node) && !problems.has(node)) query(node, credit);
    const nodes = names.sort().map((node) => {
      const state = stateOf(node, known.get(node));
      return MonitoredNode.fromPartial({ node, state, message: problems.get(node) ?? "" });
    });
    const text = JSON.stringify(nodes);
    if (text === written) return;
    written = text;
    send({ $case: "nodes", value: { nodes } });
  }

  async function updateSoon(): Promise<void> {
    if (isDue) return;
    isDue = true;
    await sleep(clock, STREAMS_MS, life.signal);
    isDue = false;
    update();
  }

  async function watchNodes(): Promise<void> {
    while (!life.signal.aborted) {
      await sleep(clock, NODES_MS, life.signal);
      update();
    }
  }

  const unsubscribe = queries.onChange((node) => {
    problems.delete(node);
    void updateSoon();
  });
  update();
  void watchNodes();
  return {
    drained() {
      full = false;
      for (const each of held.splice(0)) each.credit(1);
    },
    close() {
      life.abort();
      unsubscribe();
      for (const each of running.values()) each.cancel();
      running.clear();
    },
  };
}

const NO_FILTER = EventFilter.create();

/** What an agent says, as it may be shown: names printable, addresses of a length that addresses have. */
function cleaned(batch: EventBatch): EventBatch {
  const events = batch.events.filter(
    ({ source, destination, service, move }) =>
      hasAddress(source) && hasAddress(destination) && [service, move?.backend].every(hasAddressOrIsNone),
  );
  for (const event of events) {
    event.dropReason = printable(event.dropReason, 64);
    event.dropMeaning = printable(event.dropMeaning, 256);
    if (event.move !== undefined) event.move.reason = printable(event.move.reason, 64);
    for (const end of [event.source, event.destination, event.move?.backend]) {
      if (end === undefined) continue;
      end.namespace = printable(end.namespace, 253);
      end.pod = printable(end.pod, 253);
    }
    cleanPolicy(event.policy);
    if (event.service === undefined) continue;
    event.service.namespace = printable(event.service.namespace, 253);
    event.service.name = printable(event.service.name, 253);
  }
  for (const identity of batch.identities) cleanIdentity(identity);
  return { ...batch, events };
}

function cleanPolicy(policy: FlowPolicy | undefined): void {
  for (const rule of policy?.rules ?? []) cleanRule(rule);
  for (const name of policy?.isolating ?? []) cleanPolicyName(name);
}

function hasAddressOrIsNone(end: { readonly address: Uint8Array } | undefined): boolean {
  return end === undefined || hasAddress(end);
}

function hasAddress(end: { readonly address: Uint8Array } | undefined): boolean {
  return end?.address.length === 16;
}
