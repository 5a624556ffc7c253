/**
 * Turns the clusters' reports into one row per hop of a change's way, each assessed separately.
 *
 *   publish  a cluster's Kubernetes → its apiserver → the store
 *   read     the store → another cluster's apiserver
 *   apply    an apiserver → the agents of its nodes: their kernels hold it
 *
 * A hop is ok when it is fresh *and* in sync; "connected" alone is not enough.
 */

import {
  type AgentReport,
  type AgentSource,
  PeerState,
  PublishState,
  type RefusedCount,
  type SourceReport,
  type StatusResponse,
} from "@isthmus/proto";
import { peerStates, publishStates, refusalReasons, STALE_MS } from "@isthmus/records";
import { age, counted, hex } from "../output/units.js";
import { agentProblem, isAwaited } from "./agent-problem.js";
import type { ClusterView } from "./collect.js";

/** A change that an agent has not applied for this long is a finding. */
export const SLOW_MS = 5_000;

export interface Hop {
  /** The cluster whose change it is. */
  readonly from: string;
  /** The cluster that gets it; "store" for a publish. */
  readonly to: string;
  /** Part of the way, see above. */
  readonly hop: "publish" | "read" | "apply";
  /** Fresh and in sync. */
  readonly ok: boolean;
  /** The name of a state of PUBLISH_STATES or PEER_STATES, how many agents are in sync, or `Unknown`. */
  readonly state: string;
  /** Milliseconds since the last beat; absent where there is none. */
  readonly ageMs?: number;
  /** Hexadecimal; positions of different stores are not comparable. */
  readonly storeId?: string;
  /** Revision up to which this hop is done. */
  readonly position?: bigint;
  /** For people: `0 pending`, `3 revisions`, `0 ms`. */
  readonly lag: string;
  /** The lag as a number: `lagRecords` of a publish, `lagRevisions` of a read, `lagMs` of an apply; null: unknown. */
  readonly lagRecords?: number | null;
  /** Of a read; null when the publisher is unknown, or wrote into another store. */
  readonly lagRevisions?: bigint | null;
  /** Of an apply: of its slowest agent. */
  readonly lagMs?: number | null;
  /** What is wrong, in one sentence; absent when ok. */
  readonly problem?: string;
  /** Of an apply: one for each agent. */
  readonly nodes?: readonly NodeHop[];
  /** For a read: refused records of the peer, repairs made, and the skew of its clock relative to the local cluster. */
  readonly refused?: readonly Refused[];
  /** How often the reader read the store anew because records differed. */
  readonly repairs?: number;
  /** Positive: the reader's clock is ahead. A lower bound. */
  readonly skewMs?: number;
}

/** Refused records of one reason. */
export type Refused = Pick<RefusedCount, "reason" | "count" | "example">;

export interface NodeHop {
  /** Its name in Kubernetes. */
  readonly node: string;
  /** Its agent has a stream to the apiserver that answered. */
  readonly connected: boolean;
  /** Why the node is not in sync; absent when it is. */
  readonly problem?: string;
  /** The agent has not connected yet, and it is too early for that to be a problem. */
  readonly awaited: boolean;
  /** Its maps have the cluster's records, compared with their sums. */
  readonly inSync: boolean;
  /** Store revision up to which it is applied; 0 for a hop within one cluster. */
  readonly position: bigint;
  /** Age of the oldest change that is not applied; 0 = none. */
  readonly lagMs: number;
  /** How long the last change took from the apiserver of origin to the maps. */
  readonly lastPropagationMs: number;
}

/** Hops of one cluster: what it publishes, what it reads from each peer, what its agents have applied. */
export function hopsOf(view: ClusterView, all: readonly ClusterView[]): readonly Hop[] {
  const { report, cluster } = view;
  if (report === undefined) return view.noMesh === true ? [] : unknownHops(view);
  const reads = view.peers.map((peer) => readHop(view, peer, report, all));
  const applies = view.peers.map((peer) =>
    applyHop(peer.name, cluster, report, (source) => source.clusterId === peer.id),
  );
  const own = applyHop(cluster, cluster, report, ({ clusterId }) => clusterId === 0 || clusterId === report.clusterId);
  return [...publishHop(view, report), ...reads, own, ...applies];
}

/** Rows for a cluster whose apiserver did not answer: shown as unknown, since missing rows would look like success. */
function unknownHops({ cluster, peers }: ClusterView): Hop[] {
  const rows: [from: string, to: string, hop: Hop["hop"]][] = [
    [cluster, "store", "publish"],
    ...peers.map(({ name }): [string, string, "read"] => [name, cluster, "read"]),
    [cluster, cluster, "apply"],
    ...peers.map(({ name }): [string, string, "apply"] => [name, cluster, "apply"]),
  ];
  const unknown = { ok: false, state: "Unknown", lag: "cannot tell" } as const;
  const lag = { publish: { lagRecords: null }, read: { lagRevisions: null }, apply: { lagMs: null } } as const;
  return rows.map(([from, to, hop]) => ({ from, to, hop, ...unknown, ...lag[hop] }));
}

/** A cluster without peers that does not publish has no publish hop. */
function publishHop({ cluster, peers }: ClusterView, report: StatusResponse): Hop[] {
  const { publisher } = report;
  const { publishState, state: text } = publisher ?? { publishState: PublishState.PUBLISH_STATE_OFF, state: "" };
  const current = publishStates.read(publishState, text);
  if (peers.length === 0 && current === PublishState.PUBLISH_STATE_OFF) return [];
  const state = publishStates.show(publishState, text);
  const ageMs = publisher?.beatAgeMs ?? 0;
  const problem = first(
    current !== PublishState.PUBLISH_STATE_LIVE && `it does not publish: ${publisher?.message || state}`,
    ageMs > STALE_MS && `its last beat in the store is ${age(ageMs)} old`,
    report.kubeAgeMs > STALE_MS && `it has not heard from its Kubernetes API for ${age(report.kubeAgeMs)}`,
  );
  return [
    {
      ...{ from: cluster, to: "store", hop: "publish", state, lag: `${publisher?.pending ?? 0} pending` },
      lagRecords: publisher?.pending ?? 0,
      ...(publisher === undefined ? {} : { ageMs, position: publisher.revision, storeId: hex(publisher.storeId) }),
      ...verdict(problem),
    },
  ];
}

function readHop(
  view: ClusterView,
  peer: { name: string; id: number },
  report: StatusResponse,
  all: readonly ClusterView[],
): Hop {
  const row = { from: peer.name, to: view.cluster, hop: "read" } as const;
  const source = report.sources.find(({ clusterId, cluster }) => clusterId === peer.id || cluster === peer.name);
  if (source === undefined)
    return {
      ...row,
      state: peerStates.name(PeerState.PEER_STATE_CONNECTING),
      lag: "",
      lagRevisions: null,
      ...verdict("its apiserver does not know this peer yet"),
    };
  const behind = revisionsBehind(source, all.find(({ cluster }) => cluster === peer.name)?.report);
  const state = peerStates.show(source.peerState, source.state);
  const inSync = peerStates.read(source.peerState, source.state) === PeerState.PEER_STATE_IN_SYNC;
  const problem = first(
    !inSync && `it is ${state}${source.message === "" ? "" : `: ${source.message}`}`,
    source.beatAgeMs > STALE_MS && `the last beat is ${age(source.beatAgeMs)} old`,
  );
  return {
    ...row,
    state,
    ageMs: source.beatAgeMs,
    storeId: hex(source.storeId),
    position: source.revision,
    lag: behind === null ? "cannot tell" : counted(behind, "revision"),
    lagRevisions: behind,
    refused: source.refused.map(refusedOf),
    repairs: source.repairs,
    skewMs: source.skewMs,
    ...verdict(problem),
  };
}

function refusedOf({ refusalReason, reason, count, example }: RefusedCount): Refused {
  return { reason: refusalReasons.show(refusalReason, reason), count, example };
}

/** Revisions behind the publisher's own report; null when the publisher is unknown or wrote to another store. */
function revisionsBehind(source: SourceReport, from: StatusResponse | undefined): bigint | null {
  const publisher = from?.publisher;
  if (publisher === undefined || hex(publisher.storeId) !== hex(source.storeId)) return null;
  return publisher.revision > source.revision ? publisher.revision - source.revision : 0n;
}

function applyHop(from: string, to: string, report: StatusResponse, isSource: (source: AgentSource) => boolean): Hop {
  const nodes = report.agents.map((agent) => nodeHop(agent, agent.sources.find(isSource)));
  const good = nodes.filter(({ connected, inSync }) => connected && inSync);
  const slowest = Math.max(0, ...nodes.map(({ lagMs }) => lagMs));
  const bad = nodes.flatMap(({ node, problem }) => (problem === undefined ? [] : [`node ${node}: ${problem}`]));
  const problem = first(
    report.nodes?.known === false && "its apiserver has not read its Nodes yet, so an agent may be missing",
    nodes.length === 0 && !hasNoLinuxNode(report) && "no agent has connected",
    bad.length > 0 && `${good.length}/${nodes.length} in sync, ${bad.join(", ")}`,
    slowest > SLOW_MS && `the slowest agent is ${age(slowest)} behind`,
  );
  const positions = nodes.map(({ position }) => position);
  const lowest = positions.reduce<bigint | undefined>(
    (low, next) => (low === undefined || next < low ? next : low),
    undefined,
  );
  return {
    ...{ from, to, hop: "apply", state: `${good.length}/${nodes.length} in sync`, lag: `${slowest} ms`, nodes },
    lagMs: slowest,
    ...(lowest === undefined || from === to ? {} : { position: lowest }),
    ...verdict(problem),
  };
}

/** True when the cluster has no Linux node, and so no agent. */
function hasNoLinuxNode({ nodes }: StatusResponse): boolean {
  return nodes?.known === true && nodes.linux === 0;
}

function nodeHop(agent: AgentReport, source: AgentSource | undefined): NodeHop {
  const inSync = source?.inSync ?? false;
  const problem = agentProblem(agent, inSync);
  return {
    node: agent.node,
    connected: agent.connected,
    inSync,
    awaited: isAwaited(agent),
    ...(problem === undefined ? {} : { problem }),
    position: source?.appliedRevision ?? 0n,
    lagMs: source?.lagMs ?? 0,
    lastPropagationMs: source?.lastPropagationMs ?? 0,
  };
}

function verdict(problem: string | undefined): { readonly ok: boolean; readonly problem?: string } {
  return problem === undefined ? { ok: true } : { ok: false, problem };
}

function first(...problems: readonly (string | false)[]): string | undefined {
  return problems.find((problem): problem is string => problem !== false);
}
