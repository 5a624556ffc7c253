/**
 * A publisher as a separate process, for tests that suspend one: `node publisher-main.js PORT CLUSTER ID INSTANCE`.
 *
 * Exports 200 records that are the same in every instance, and one that names the instance. Lines in: "busy" (changes that
 * record continuously) and "quiet". Lines out: its status as JSON, whenever it changes.
 */
import { createInterface } from "node:readline";
import { createStore } from "@isthmus/kvstore";
import { anyRecord, clusterConfig, createMemoryExport, runPublisher } from "./fixture.js";

export interface Said {
  readonly state: string;
  readonly message: string;
  /** Its last head was committed, and the next beat is not due yet. */
  readonly settled: boolean;
}

export const WHO = "slices/shop/cart/who";

function main([port = "", cluster = "", id = "", instance = ""]: readonly string[]): void {
  const store = createStore({ endpoints: [`http://localhost:${port}`] });
  const records = Array.from({ length: 200 }, (_, i) => anyRecord(`slices/shop/cart/s${i}`, "same"));
  const exported = createMemoryExport([...records, anyRecord(WHO, instance)]);
  const { publisher } = runPublisher(store, exported, { config: clusterConfig(cluster, Number(id)), instance });

  let lastLine = "";
  setInterval(() => {
    const { state, message, beatAgeMs } = publisher.status();
    const settled = state === "Live" && beatAgeMs > 200 && beatAgeMs < 3000;
    const line = JSON.stringify({ state, message, settled } satisfies Said);
    if (line !== lastLine) console.log(line);
    lastLine = line;
  }, 10);
  let count = 0;
  let work: NodeJS.Timeout | undefined;
  createInterface({ input: process.stdin }).on("line", (line) => {
    clearInterval(work);
    if (line === "busy") work = setInterval(() => exported.change([anyRecord(WHO, `${instance} ${++count}`)]), 2);
  });
}

if (process.argv[1]?.endsWith("publisher-main.js") === true) main(process.argv.slice(2));
