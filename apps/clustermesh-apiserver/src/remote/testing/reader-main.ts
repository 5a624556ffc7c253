/** For tests: a reader of peers as a process of its own, so that its memory is its own. Reports to its parent every 100 ms. */
import { createStore } from "@isthmus/kvstore";
import { peer, runSources } from "../fixture.js";

export interface ReaderMemory {
  /** By peer: its state, message, and how many records are taken. */
  readonly peers: Readonly<
    Record<string, { readonly state: string; readonly message: string; readonly taken: number }>
  >;
  /** The most memory that the process ever had, in bytes. */
  readonly maxRss: number;
  /** On the heap and beside it after a collection, in bytes. */
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
