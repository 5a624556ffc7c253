/**
 * East as a separate process: a paced feeder, the local records, the publisher. Started by run.ts.
 *
 * It changes all Services in turn at a fixed rate; changes that are due at the same time are one chunk, as from a
 * watch. At the end it sends the time at which each change was fed.
 */
import { setTimeout as delay } from "node:timers/promises";
import { createSyntheticCluster } from "@isthmus/apiserver";
import { createStore, type StoreOptions } from "@isthmus/kvstore";
import { type Moment, monotonicMs } from "./moment.js";
import { EAST, serviceObject, sliceObject } from "./objects.js";

export type EastOrder =
  | { readonly is: "start"; readonly store: StoreOptions; readonly services: number }
  | { readonly is: "feed"; readonly perSecond: number; readonly changes: number };
export type EastNotice = { readonly is: "started" } | { readonly is: "fed"; readonly moments: readonly Moment[] };

const east = createSyntheticCluster(EAST);
const endpoints: number[] = [];
let next = 0;

function start({ store, services }: EastOrder & { is: "start" }): void {
  for (let i = 0; i < services; i++) endpoints.push(1);
  east.feed({
    services: endpoints.map((_, i) => serviceObject(EAST, i)),
    slices: endpoints.map((count, i) => sliceObject(i, count)),
  });
  void east.publish(createStore(store), new AbortController().signal);
  notify({ is: "started" });
}

async function feed({ perSecond, changes }: EastOrder & { is: "feed" }): Promise<void> {
  const began = monotonicMs();
  const moments: Moment[] = [];
  while (moments.length < changes) {
    const due = Math.min(changes, Math.floor(((monotonicMs() - began) * perSecond) / 1000));
    const slices = [];
    for (let n = moments.length; n < due; n++) {
      const service = next++ % endpoints.length;
      const count = 3 - (endpoints[service] ?? 1);
      endpoints[service] = count;
      slices.push(sliceObject(service, count));
      moments.push({ service, ms: monotonicMs() });
    }
    if (slices.length > 0) east.feed({ slices });
    await delay(1);
  }
  notify({ is: "fed", moments });
}

function notify(notice: EastNotice): void {
  process.send?.(notice);
}

process.on("message", (order: EastOrder) => {
  if (order.is === "start") start(order);
  else void feed(order);
});
process.on("disconnect", () => process.exit());
