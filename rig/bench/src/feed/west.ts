/** West's apiserver as a separate process: follows east in the store and serves the agent. Started by run.ts. */
import { createSyntheticCluster } from "@isthmus/apiserver";
import { createStore, type StoreOptions } from "@isthmus/kvstore";
import { EAST, peerOf, serviceObject, WEST } from "./objects.js";

export interface WestOrder {
  readonly store: StoreOptions;
  readonly services: number;
  /** Address for agents; the certificates are in `tlsDir`. */
  readonly address: string;
  readonly tlsDir: string;
}

process.on("message", ({ store, services, address, tlsDir }: WestOrder) => {
  const west = createSyntheticCluster(WEST);
  west.feed({ services: Array.from({ length: services }, (_, i) => serviceObject(WEST, i)) });
  void west.serve(createStore(store), [peerOf(EAST)], tlsDir, address, new AbortController().signal);
});
process.on("disconnect", () => process.exit());
