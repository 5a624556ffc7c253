/**
 * The last reports of all agents: for status, lag and metrics.
 *
 * In: Hellos and Acks; the hub passes only served clusters with well-formed positions. Out: one report per node, also of
 * disconnected ones until they are forgotten.
 */
import { type Clock, printable } from "@isthmus/model";
import {
  type Ack,
  AgentPresence,
  type AgentReport,
  type Applied,
  type Hello,
  type MapFill,
  type NodeCondition,
  type PoliciesInForce,
  type Position,
} from "@isthmus/proto";
import { isAtMost, MAX_REFUSAL_REASON, MAX_REFUSED_POLICIES, newestRevision, POLICIES } from "@isthmus/records";
import type { ReportedPolicies } from "../../ports/enforced-policies.js";
import { MAX_CONDITIONS } from "./message-bounds.js";

export interface AgentRegistry {
  /** The node has a new stream: its positions and conditions of before are dropped. */
  connected(node: string, hello: Pick<Hello, "version" | "capabilities">): void;
  /** The position of a source in an agent's Hello counts as applied. */
  setApplied(node: string, clusterId: number, have: Position): void;
  /** The node's stream ended; its report is kept for at least 10 minutes. */
  disconnected(node: string): void;
  /** Content was written to the node's stream. */
  sent(node: string, clusterId: number, to: Position): void;
  /** Returns the propagation time of each source's newest applied content, in seconds; -1: unknown. */
  acked(
    node: string,
    ack: Pick<Ack, "maps" | "conditions" | "policies"> & { readonly applied: readonly Applied[] },
  ): readonly { readonly clusterId: number; readonly seconds: number }[];
  /** The operator removed the peer: every node's position of it is dropped. */
  removedSource(clusterId: number): void;
  /** Position of the source that the node has applied, by its agent's last message. */
  applied(node: string, clusterId: number): Position | undefined;
  /** The agent of the node says that it enforces policies. */
  enforcesPolicies(node: string): boolean;
  /** What the last Ack of its stream says of policies. */
  reportedPolicies(node: string): ReportedPolicies | undefined;
  /** Sorted by node, and by cluster id in each; times in milliseconds as of this call. */
  reports(): readonly AgentReport[];
  /** Number of nodes that have a stream. */
  readonly connectedCount: number;
}

interface SourceRow {
  applied: Position | undefined;
  sent: Position | undefined;
  /** Monotonic time of the oldest content that is sent and not yet applied. */
  waitingSince: number | undefined;
  propagationMs: number;
}

interface Row {
  connected: boolean;
  version: string;
  enforcesPolicies: boolean;
  policies: ReportedPolicies | undefined;
  lastSeen: number;
  readonly sources: Map<number, SourceRow>;
  maps: readonly MapFill[];
  conditions: readonly NodeCondition[];
}

const FORGET_MS = 600_000;
/** A longer time means a wrong clock, and would dominate a sum over agents. */
const MAX_SECONDS = 3600;
/** Maps of one node: an agent has about twenty. */
const MAX_MAPS = 256;
const MAX_CONDITION_TYPE = 64;

/** `isNode`: the agent of an existing Node is never forgotten. */
export function createAgentRegistry(clock: Clock, isNode: (node: string) => boolean = () => false): AgentRegistry {
  const rows = new Map<string, Row>();
  let lookedAt = clock.now();

  function row(node: string): Row {
    const known: Row = rows.get(node) ?? emptyRow();
    rows.set(node, known);
    known.lastSeen = clock.now();
    return known;
  }

  /** At most once a minute: when a thousand agents reconnect together, not each may cause a scan of a thousand rows. */
  function forget(): void {
    if (clock.now() - lookedAt < FORGET_MS / 10) return;
    lookedAt = clock.now();
    for (const [name, each] of rows) {
      if (!each.connected && clock.now() - each.lastSeen > FORGET_MS && !isNode(name)) rows.delete(name);
    }
  }

  function source(of: Row, clusterId: number): SourceRow {
    const known = of.sources.get(clusterId) ?? {
      applied: undefined,
      sent: undefined,
      waitingSince: undefined,
      propagationMs: 0,
    };
    of.sources.set(clusterId, known);
    return known;
  }

  return {
    connected(node, { version, capabilities }) {
      const now = Object.assign(row(node), {
        connected: true,
        version: printable(version, 64),
        enforcesPolicies: capabilities.includes(POLICIES),
        policies: undefined,
        conditions: [],
      });
      now.sources.clear();
      forget();
    },
    setApplied: (node, clusterId, have) =>
      void Object.assign(source(row(node), clusterId), { applied: have, sent: have }),
    disconnected(node) {
      const known = row(node);
      known.connected = false;
      for (const each of known.sources.values()) each.waitingSince = undefined;
    },
    sent(node, clusterId, to) {
      const known = source(row(node), clusterId);
      known.sent = to;
      known.waitingSince ??= clock.now();
    },
    acked(node, ack) {
      const known = row(node);
      const maps = ack.maps.slice(0, MAX_MAPS);
      if (maps.length > 0) known.maps = maps.map(({ map, ...fill }) => ({ map: printable(map, 64), ...fill }));
      known.conditions = ack.conditions.slice(0, MAX_CONDITIONS).map(({ type, message }) => ({
        type: printable(type, MAX_CONDITION_TYPE),
        message: printable(message),
      }));
      known.policies = ack.policies && reportedPolicies(ack.policies);
      return ack.applied.map(({ clusterId, position, observedUs, appliedUs }) => {
        const of = source(known, clusterId);
        // A Mark and its buckets can advance an agent without sent content: nothing is waiting then, so nothing is missing.
        const complete = of.waitingSince === undefined || contains(position, of.sent);
        of.applied = position;
        if (complete) of.sent = position;
        of.waitingSince = complete ? undefined : clock.now();
        const seconds =
          observedUs === 0n ? 0 : Math.min(MAX_SECONDS, Math.max(0, Number(appliedUs - observedUs) / 1e6));
        if (observedUs !== 0n) of.propagationMs = Math.round(seconds * 1000);
        return { clusterId, seconds: observedUs === 0n ? -1 : seconds };
      });
    },
    removedSource(clusterId) {
      for (const { sources } of rows.values()) sources.delete(clusterId);
    },
    applied: (node, clusterId) => rows.get(node)?.sources.get(clusterId)?.applied,
    enforcesPolicies: (node) => rows.get(node)?.enforcesPolicies === true,
    reportedPolicies: (node) => rows.get(node)?.policies,
    reports: () =>
      [...rows]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([node, known]) => ({
          node,
          connected: known.connected,
          version: known.version,
          sources: [...known.sources]
            .sort(([a], [b]) => a - b)
            .map(([clusterId, of]) => ({
              clusterId,
              appliedRevision: newestRevision(of.applied),
              inSync: known.connected && contains(of.applied, of.sent),
              lagMs: of.waitingSince === undefined ? 0 : Math.round(clock.now() - of.waitingSince),
              lastPropagationMs: of.propagationMs,
            })),
          maps: known.maps.map(({ map, used, capacity }) => ({ map, used, capacity })),
          conditions: [...known.conditions],
          figures: undefined,
          figuresProblem: "",
          presence: known.connected
            ? AgentPresence.AGENT_PRESENCE_CONNECTED
            : AgentPresence.AGENT_PRESENCE_DISCONNECTED,
          silentMs: known.connected ? 0 : Math.round(clock.now() - known.lastSeen),
        })),
    get connectedCount() {
      return [...rows.values()].filter(({ connected }) => connected).length;
    },
  };
}

function emptyRow(): Row {
  const nothing = { connected: false, version: "", enforcesPolicies: false, policies: undefined, lastSeen: 0 };
  return { ...nothing, sources: new Map(), maps: [], conditions: [] };
}

function reportedPolicies({ position, inForce, refused, moreRefused }: PoliciesInForce): ReportedPolicies {
  const named = refused.slice(0, MAX_REFUSED_POLICIES);
  return {
    ...{ position, inForce },
    refused: new Map(named.map(({ key, reason }) => [key, printable(reason, MAX_REFUSAL_REASON)])),
    moreRefused: moreRefused + refused.length - named.length,
  };
}

/** True when everything that was sent is applied. */
function contains(applied: Position | undefined, sent: Position | undefined): boolean {
  return applied !== undefined && sent !== undefined && isAtMost(sent, applied);
}
