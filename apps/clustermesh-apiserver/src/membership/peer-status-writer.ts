/** Writes the status of each MeshPeer independently: one that cannot be written does not delay the others. */
import { type KubeClient, MESH_PEERS, type MeshPeer } from "@isthmus/kube";
import { type Clock, printable } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { PeerState } from "@isthmus/proto";
import { type PEER_STATES, peerStates } from "@isthmus/records";
import { mergeConditions } from "../objects/conditions.js";
import { sameJson, sameJsonBesidesNumbers } from "../objects/same-json.js";
import { createPeriodicTasks, type PeriodicTasks } from "../process/periodic-tasks.js";
import type { PeerStatus } from "./peers.js";

/** The conditions with their reasons; docs/reference/conditions.md is made of the comments. */
export interface PeerReasons {
  /** What the peer exports is here. The reason is the state of the peer, True only with `InSync`. */
  readonly Ready: (typeof PEER_STATES)[number]["name"];
}

export interface PeerStatusWriterModules {
  /** Each write has a deadline of 5 s. */
  readonly client: KubeClient;
  /** Its wall clock dates the transitions of conditions; its monotonic time limits how often numbers are written. */
  readonly clock: Clock;
  /** Gets each new failure, by name of the object. */
  readonly log: Logger;
  /** The object as the watch knows it. */
  readonly get: (name: string) => MeshPeer | undefined;
  /** Called at every check, also while another instance writes. Its texts are cut before they are written. */
  readonly wanted: (name: string) => PeerStatus;
  /** This instance holds the Lease. */
  readonly mayWrite: () => boolean;
}

type Status = NonNullable<MeshPeer["status"]>;

const EVERY_MS = 5_000;
/** Revision and beat age change constantly: a change of these alone is written at most this often. */
const NUMBERS_EVERY_MS = 60_000;
const DEADLINE_MS = 5_000;
const AT_ONCE = 4;
/** Bounds of the two texts that a peer can influence: the message and the store id. */
const MESSAGE_LENGTH = 2_048;
const ID_LENGTH = 64;
/**
 * Fields that are known only while the peer is followed. A merge patch keeps what it does not name, also what this process has not
 * read yet, and an old store id or revision next to "Refused" would suggest that the peer is still followed.
 */
const NOT_READ = { storeId: null, revision: null, headBeatAgeMs: null } as const satisfies Partial<
  Record<keyof Status, null>
>;

/** Keys are names of MeshPeers. A triggered one is checked every 5 s until its object is gone. */
export function createPeerStatusWriter(modules: PeerStatusWriterModules): PeriodicTasks<string> {
  const { client, clock, log } = modules;
  const written = new Map<string, number>();

  async function write(name: string, signal: AbortSignal): Promise<number | undefined> {
    const object = modules.get(name);
    if (object === undefined) {
      written.delete(name);
      return undefined;
    }
    const status = statusOf(object, modules.wanted(name), new Date(clock.wallMicros() / 1000));
    const due = clock.now() - (written.get(name) ?? Number.NEGATIVE_INFINITY) > NUMBERS_EVERY_MS;
    if (modules.mayWrite() && !sameStatus(object.status ?? {}, status, due)) {
      const target = { subresource: "status", signal, timeoutMs: DEADLINE_MS } as const;
      const patch = { status: { ...NOT_READ, ...status } };
      await client.mergePatch(MESH_PEERS, name, patch, target);
      written.set(name, clock.now());
    }
    return EVERY_MS;
  }

  return createPeriodicTasks({ name: "MeshPeer status", task: write, atOnce: AT_ONCE }, { clock, log });
}

function statusOf(object: MeshPeer, wanted: PeerStatus, time: Date): Status {
  const message = printable(wanted.message ?? "", MESSAGE_LENGTH);
  const state: PeerReasons["Ready"] = peerStates.name(wanted.state);
  const verdict = {
    type: "Ready",
    status: wanted.state === PeerState.PEER_STATE_IN_SYNC ? "True" : "False",
    reason: state,
    message,
  } as const;
  return {
    ...wanted,
    state,
    ...(wanted.storeId === undefined ? {} : { storeId: printable(wanted.storeId, ID_LENGTH) }),
    message,
    conditions: mergeConditions(object.status?.conditions, [verdict], object.metadata.generation, time),
  };
}

function sameStatus(existing: Status, status: Status, due: boolean): boolean {
  const texts = ["message", "conditions"] as const;
  const values: (keyof Status)[] = [
    "state",
    "storeId",
    ...(due ? (["revision", "headBeatAgeMs", ...texts] as const) : []),
  ];
  // A message that differs only in its numbers, such as seconds, is the same message until numbers are due.
  return (
    values.every((field) => sameJson(existing[field] ?? "", status[field] ?? "")) &&
    texts.every((field) => sameJsonBesidesNumbers(existing[field] ?? "", status[field] ?? ""))
  );
}
