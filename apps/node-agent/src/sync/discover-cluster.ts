/**
 * Asks the servers which cluster this node belongs to, at the first start of an agent that never received a Welcome.
 *
 * The programs are loaded with the local cluster's id, so nothing else can start before.
 */
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { Welcome } from "@isthmus/proto";
import { createSyncClient } from "./client.js";
import type { Connect } from "./connection.js";
import { createSyncCore } from "./core.js";
import type { ServerList } from "./server-list.js";

export interface DiscoverClusterOptions {
  /** Kubernetes name of this node, for the Hello. */
  readonly node: string;
  /** Version of this agent, for the Hello. */
  readonly version: string;
}

export interface DiscoverClusterModules {
  /** Called for each try. */
  readonly connect: Connect;
  /** Tried in turn until one sends a Welcome. */
  readonly servers: ServerList;
  /** Times the back-off between tries. */
  readonly clock: Clock;
  /** Gets the reason why a server gave no Welcome, once. */
  readonly log: Logger;
  /** Ends the tries. */
  readonly signal: AbortSignal;
}

/** Resolves with the first Welcome; rejects with the signal's reason. */
export async function discoverCluster(
  options: DiscoverClusterOptions,
  modules: DiscoverClusterModules,
): Promise<Welcome> {
  const done = new AbortController();
  const core = createSyncCore({ node: options.node, version: options.version, floors: new Map() });
  let welcome: Welcome | undefined;
  const client = createSyncClient({
    ...modules,
    core,
    signal: AbortSignal.any([modules.signal, done.signal]),
    waiting: () => 0,
    caughtUp: async () => undefined,
    perform(effect) {
      if (effect.is !== "welcome") return;
      welcome = effect.welcome;
      done.abort(new Error("welcomed"));
    },
  });
  await client.run();
  if (welcome === undefined) throw modules.signal.reason;
  return welcome;
}
