/**
 * The cluster that this node belongs to: known from disk, or from the first Welcome. A node belongs to one cluster until
 * its pins and its state folder are removed.
 */
import {
  type Clock,
  type ClusterId,
  type ClusterName,
  MeshError,
  parseClusterId,
  parseClusterName,
} from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { Welcome } from "@isthmus/proto";
import type { Connect } from "./sync/connection.js";
import { type DiscoverClusterOptions, discoverCluster } from "./sync/discover-cluster.js";
import type { ServerList } from "./sync/server-list.js";
import type { Membership, StateFiles } from "./sync/state-files.js";

export interface LocalCluster {
  /** As the first Welcome named it. */
  readonly cluster: ClusterName;
  /** The real id, not the 0 of the wire. */
  readonly clusterId: ClusterId;
}

export interface JoinModules {
  /** The membership is saved here. */
  readonly files: StateFiles;
  /** Tried in turn; learns the list of the Welcome. */
  readonly servers: ServerList;
  /** Called for each try. */
  readonly connect: Connect;
  /** Times the back-off between tries. */
  readonly clock: Clock;
  /** Gets the reason why a server gave no Welcome. */
  readonly log: Logger;
  /** Ends the tries. */
  readonly signal: AbortSignal;
}

/** Asks the servers; rejects with the signal's reason, or for an invalid cluster name or id, and saves nothing then. */
export async function joinCluster(options: DiscoverClusterOptions, modules: JoinModules): Promise<LocalCluster> {
  return saveMembership(await discoverCluster(options, modules), modules);
}

/**
 * Takes the Welcome of a later stream: saves its list of servers in the background. Returns the error if it is of another
 * cluster.
 */
export function takeWelcome(
  { cluster, clusterId }: LocalCluster,
  welcome: Welcome,
  modules: Pick<JoinModules, "files" | "servers" | "log">,
): MeshError | undefined {
  if (welcome.cluster !== cluster || welcome.clusterId !== clusterId) {
    return new MeshError(
      { code: "OTHER_CLUSTER", cluster: welcome.cluster },
      `Cannot follow cluster "${welcome.cluster}" (${welcome.clusterId}): this node belongs to "${cluster}" (${clusterId}); remove its pins and state folder to move it`,
    );
  }
  saveMembership(welcome, modules).catch((error: unknown) =>
    modules.log.warn("Cannot save the list of servers", { error }),
  );
  return undefined;
}

/** Rejects for an invalid cluster name or id; nothing is saved then. */
async function saveMembership(
  welcome: Welcome,
  { files, servers }: Pick<JoinModules, "files" | "servers">,
): Promise<Membership> {
  const names = { cluster: parseClusterName(welcome.cluster), clusterId: parseClusterId(welcome.clusterId) };
  servers.learn(welcome.servers);
  const membership = { ...names, servers: servers.learned };
  await files.saveMembership(membership);
  return membership;
}
