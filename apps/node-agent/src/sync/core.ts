/**
 * The state machine of the stream: what each message changes, and what is sent in reply. Pure.
 *
 * `step(event)` returns effects, which the caller performs: it sends, applies, counts. There is one `Source` per
 * cluster, created when the server or a floor first names it.
 */

import { MAX_CLUSTER_ID, parseClusterName } from "@isthmus/model";
import type { Position, SourcePosition, SourceState, ToAgent, ToServer, Welcome } from "@isthmus/proto";
import { PeerState, Role } from "@isthmus/proto";
import { POLICIES, PROTOCOL_VERSION } from "@isthmus/records";
import { createSource } from "./source.js";
import type { Source, SourceDelta, SourceEvent, SourceStep } from "./source-types.js";

export type SyncEvent =
  | { readonly is: "opened" }
  | { readonly is: "message"; readonly message: ToAgent }
  | { readonly is: "closed" };

export type SyncEffect =
  | { readonly is: "send"; readonly message: ToServer }
  | { readonly is: "apply"; readonly delta: SourceDelta }
  | { readonly is: "welcome"; readonly welcome: Welcome }
  /** Close this stream and reconnect after `afterMs`; absent = after the usual back-off. */
  | { readonly is: "leave"; readonly reason: string; readonly afterMs?: number }
  | { readonly is: "count"; readonly clusterId: number; readonly event: SourceEvent }
  /** The server's position is below this agent's floor, so it withholds the source; or it has caught up. */
  | { readonly is: "behind"; readonly clusterId: number; readonly behind: boolean };

export interface SyncCore {
  /** Takes the events of a stream in order; the caller performs the effects in order. */
  step(event: SyncEvent): readonly SyncEffect[];
  /** By cluster id as on the wire; 0 = local cluster. */
  readonly sources: ReadonlyMap<number, Source>;
  /** Returns the source, and creates it if needed; used to restore a disk snapshot before the first stream. */
  source(clusterId: number): Source;
}

export interface SyncOptions {
  /** Kubernetes name of this node, for the Hello. */
  readonly node: string;
  /** Version of this agent, for the Hello. */
  readonly version: string;
  /** By cluster id as on the wire; each makes a source at once. Copied. */
  readonly floors: ReadonlyMap<number, Position>;
  /** Real id of the local cluster, refused as a source's id (on the wire it is 0). Undefined before the first Welcome. */
  readonly localClusterId?: number;
  /** This agent enforces the policies that it has acknowledged. False unless given. */
  readonly enforcesPolicies?: boolean;
}

/**
 * `source-states`: the states of several sources may come in one message. `node-report`: this agent sends a NodeReport, so
 * one that has not come yet does not mean that the node has no health address.
 */
const CAPABILITIES = ["source-states", "node-report"];

/** Sends nothing before the event `opened`. */
export function createSyncCore(options: SyncOptions): SyncCore {
  const sources = new Map<number, Source>();
  const floors = new Map(options.floors);

  function source(clusterId: number): Source {
    const known = sources.get(clusterId);
    if (known !== undefined) return known;
    const made = createSource({ clusterId, floor: floors.get(clusterId) });
    sources.set(clusterId, made);
    return made;
  }

  for (const clusterId of floors.keys()) source(clusterId);

  function hello(): SyncEffect {
    const value = {
      role: Role.ROLE_AGENT,
      node: options.node,
      protocolMin: PROTOCOL_VERSION,
      protocolMax: PROTOCOL_VERSION,
      capabilities: options.enforcesPolicies === true ? [...CAPABILITIES, POLICIES] : CAPABILITIES,
      sources: [...sources.values()].filter(isKnown).map(positionsOf),
      version: options.version,
    };
    return { is: "send", message: { message: { $case: "hello", value } } };
  }

  function* effectsOf(clusterId: number, step: SourceStep): Generator<SyncEffect> {
    for (const event of step.events ?? []) yield { is: "count", clusterId, event };
    if (step.behind !== undefined) yield { is: "behind", clusterId, behind: step.behind };
    if (step.delta !== undefined) yield { is: "apply", delta: step.delta };
    if (step.buckets !== undefined)
      yield { is: "send", message: { message: { $case: "buckets", value: step.buckets } } };
    if (step.reopenStream === true) yield { is: "leave", reason: `records of cluster ${clusterId} cannot be repaired` };
    if (sources.get(clusterId)?.status !== PeerState.PEER_STATE_REMOVED) return;
    // A later peer with this id is another cluster.
    sources.delete(clusterId);
    floors.delete(clusterId);
  }

  function sourceStateMessage(message: SourceState): readonly SyncEffect[] {
    const { clusterId, cluster, status } = message;
    if (clusterId > MAX_CLUSTER_ID) return [{ is: "count", clusterId, event: "bad-cluster" }];
    const removed = status === PeerState.PEER_STATE_REMOVED;
    // No message can remove the local cluster; only the operator can.
    const named = removed ? clusterId !== 0 : isClusterName(cluster);
    if (!named || clusterId === options.localClusterId) return [{ is: "count", clusterId, event: "bad-cluster" }];
    return [...effectsOf(clusterId, source(clusterId).state(message))];
  }

  /** Passes a message about records to its source, which must have been announced by a SourceState. */
  function about(clusterId: number, step: (of: Source) => SourceStep): readonly SyncEffect[] {
    const of = sources.get(clusterId);
    if (of === undefined || of.name === "") return [{ is: "count", clusterId, event: "unknown-source" }];
    return [...effectsOf(clusterId, step(of))];
  }

  function receive({ message }: ToAgent): readonly SyncEffect[] {
    const clusterId = message !== undefined && "clusterId" in message.value ? message.value.clusterId : 0;
    if (clusterId > MAX_CLUSTER_ID && message?.$case !== "welcome") {
      return [{ is: "count", clusterId, event: "bad-cluster" }];
    }
    switch (message?.$case) {
      case "welcome":
        return [welcomeOf(message.value)];
      case "goAway":
        return [{ is: "leave", reason: message.value.reason, afterMs: message.value.retryAfterMs }];
      case "sourceState":
        return sourceStateMessage(message.value);
      case "sourceStates":
        return message.value.states.flatMap(sourceStateMessage);
      case "batch":
        return about(clusterId, (of) => of.batch(message.value));
      case "mark":
        return about(clusterId, (of) => of.mark(message.value));
      case "bucket":
        return about(clusterId, (of) => of.bucket(message.value));
      default:
        return [];
    }
  }

  return {
    sources,
    source,
    step(event) {
      if (event.is === "message") return receive(event.message);
      for (const each of sources.values()) each.reconnect();
      return event.is === "opened" ? [hello()] : [];
    },
  };
}

function isKnown(source: Source): boolean {
  return source.floor !== undefined || source.have !== undefined;
}

function positionsOf({ clusterId, floor, have }: Source): SourcePosition {
  return { clusterId, floor, have };
}

function welcomeOf(welcome: Welcome): SyncEffect {
  if (welcome.protocol === PROTOCOL_VERSION) return { is: "welcome", welcome };
  return { is: "leave", reason: `the server speaks protocol ${welcome.protocol}, this agent ${PROTOCOL_VERSION}` };
}

function isClusterName(text: string): boolean {
  try {
    return parseClusterName(text) === text;
  } catch {
    return false;
  }
}
