/** For tests: a reader of peers in a separate process, so that its memory can be measured. Reports to its parent every 100 ms. */
import { createStore } from "@isthmus/kvstore";
import { peer, runSources } from "./fixture.js";

export interface ReaderMemory {
  /** By peer: its state, message, and the number of accepted records. */
  readonly peers: Readonly<
    Record<string, { readonly state: string; readonly message: string; readonly taken: number }>
  >;
  /** Peak memory of the process, in bytes. */
  readonly maxRss: number;
  /** On the heap and outside it after a garbage collection, in bytes. */
  readonly live: number;
}

/** Peers are numbered from 1 in the order of their names. */
const [endpoint = "", ...names] = process.argv.slice(2);
const store = createStore({ endpoints: [endpoint] });
const peers = names.map((name, i) => peer(name, i + 1));
const { source, stop } = runSources(store, peers);

function report(): ReaderMemory {
  global.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return {
    peers: Object.fromEntries(
      peers.map(({ cluster, id }) => {
        const { state, message } = source(id).report();
        return [cluster, { state, message, taken: source(id).index.size }];
      }),
    ),
    maxRss: process.resourceUsage().maxRSS * 1024,
    live: heapUsed + external,
  };
}

const timer = setInterval(() => process.send?.(report()), 100);
process.once("disconnect", async () => {
  clearInterval(timer);
  await stop();
  store.close();
});
