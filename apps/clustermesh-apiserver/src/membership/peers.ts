/**
 * The peers of this cluster: follows its MeshPeer objects and writes their status.
 *
 * An object that cannot be parsed is refused with a sentence in its status.
 * A peer is removed only when its object is deleted, never because the API did not answer.
 */
import { createListWatch, type KubeClient, MESH_PEERS, type MeshPeer } from "@isthmus/kube";
import type { Clock, ClusterName } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { PeerState } from "@isthmus/proto";
import { type Peer, readPeers } from "../settings/peers.js";
import { createPeerStatusWriter } from "./peer-status-writer.js";

/** What the status of a MeshPeer is made of; its condition and the name of the state are added when it is written. */
export interface PeerStatus extends Omit<NonNullable<MeshPeer["status"]>, "conditions" | "state"> {
  /** The condition Ready is True for InSync only. */
  readonly state: PeerState;
}

export interface PeersModules {
  /** Its transport carries the watch of all MeshPeers. */
  readonly client: KubeClient;
  /** Its wall clock dates the transitions of conditions. */
  readonly clock: Clock;
  /** Gets failures of the watch and of writes. */
  readonly log: Logger;
  /** False while another instance writes their status. */
  readonly mayWrite: () => boolean;
  /** Called after each change with all usable peers, the oldest first; from the first call on all are known. */
  readonly onPeers: (peers: ReadonlyMap<ClusterName, Peer>) => void;
  /** The status of a usable peer. */
  readonly status: (cluster: ClusterName) => PeerStatus;
}

export interface Peers {
  /** All objects have been listed. */
  readonly known: boolean;
  /** The usable peers, the oldest first; each change makes another map. */
  readonly current: ReadonlyMap<ClusterName, Peer>;
  /** Why each unusable peer is refused, by name. */
  readonly refused: ReadonlyMap<string, string>;
  /** Checks the status of every peer soon. */
  trigger(): void;
  /** Resolves when aborted. Rejects only for an internal error. */
  run(signal: AbortSignal): Promise<void>;
}

/** Nothing is watched or written before `run`. */
export function createPeers(modules: PeersModules): Peers {
  const { client, clock, log } = modules;
  let current: ReadonlyMap<ClusterName, Peer> = new Map();
  let refused: ReadonlyMap<string, string> = new Map();

  /** Names, uids and specs as text: an event that only returns the status written here changes nothing. */
  let specs: string | undefined;

  const watch = createListWatch<MeshPeer>(
    { resource: MESH_PEERS, project: (object) => object as MeshPeer },
    { transport: client.transport, clock, log, onChange: changed },
  );
  const writer = createPeerStatusWriter({
    mayWrite: modules.mayWrite,
    ...{ client, clock, log },
    get: (name) => watch.items.get(name)?.value,
    wanted(name) {
      const problem = refused.get(name);
      if (problem === undefined) return modules.status(name as ClusterName);
      return { state: PeerState.PEER_STATE_REFUSED, message: problem };
    },
  });

  function changed(): void {
    const objects = [...watch.items.values()].map(({ value }) => value);
    const now = JSON.stringify(objects.map(({ metadata, spec }) => [metadata.name, metadata.uid, spec]).sort());
    if (now === specs) return;
    specs = now;
    ({ usable: current, refused } = readPeers(objects, current));
    modules.onPeers(current);
    trigger();
  }

  function trigger(): void {
    for (const name of watch.items.keys()) writer.trigger(name);
  }

  return {
    get known() {
      return watch.inSync;
    },
    get current() {
      return current;
    },
    get refused() {
      return refused;
    },
    trigger,
    async run(signal) {
      await Promise.all([watch.run(signal), writer.run(signal)]);
    },
  };
}
