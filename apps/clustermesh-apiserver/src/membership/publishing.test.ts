/** Publishing while the Lease is acquired and lost, on a real etcd that checks its users. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createStore, provisionStore, type Store } from "@isthmus/kvstore";
import { type EtcdServer, startEtcd } from "@isthmus/kvstore/testing";
import { systemClock } from "@isthmus/model";
import { createMetrics, silentLogger } from "@isthmus/observe";
import { HeadState } from "@isthmus/proto";
import { createSourceIndex, localPosition } from "@isthmus/records";
import { until } from "@isthmus/testing";
import { anyRecord, readPublished } from "../publish/testing/fixture.js";
import type { RangesSource } from "../settings/cluster-ranges.js";
import { createReloadableStore } from "../store/reloadable-store.js";
import { createFakeLeadership } from "../testing/fake-leadership.js";
import { createPublishing } from "./publishing.js";

const none = { podCidrs: [], serviceCidrs: [] };
const RANGES: RangesSource = {
  current: none,
  follow: (listener) => listener(none),
  whenComplete: async () => none,
  run: async () => undefined,
};

let etcd: EtcdServer;
let owner: Store;

before(async () => {
  etcd = await startEtcd({ tls: true });
  owner = createStore(await etcd.options("root"));
  await provisionStore(owner);
});
after(async () => {
  owner?.close();
  await etcd?.close();
});

test("publishing runs only with the Lease, and each time as another writer", async (t) => {
  const index = createSourceIndex();
  const position = (version: bigint) => localPosition(Buffer.alloc(16, 1), [version]);
  const write = (version: bigint) =>
    index.apply({
      ...{ upserts: [anyRecord("slices/shop/cart/c", `${version}`)], deletes: [] },
      ...{ position: position(version), observedMicros: 1 },
    });
  write(1n);
  const leadership = createFakeLeadership(false);
  const store = createReloadableStore();
  store.swap(await etcd.options("root"));
  const metrics = createMetrics();
  const publishing = createPublishing(
    { cluster: "east", id: 1, instance: "one" },
    {
      ...{ store, clock: systemClock, log: silentLogger, metrics, leadership },
      ranges: RANGES,
      exported: { index, clusterUid: "uid", epoch: "", kubeAgeMs: () => 0 },
    },
  );
  const stop = new AbortController();
  const over = publishing.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await over;
    store.close();
  });
  assert.deepEqual(
    [publishing.status().state, publishing.status().message],
    ["Off", "Another instance holds the Lease"],
    "it says why it does not",
  );
  leadership.set(true);
  await until("live", () => publishing.status().state === "Live");
  const first = (await readPublished(owner, "east")).head;
  assert.equal(first?.state, HeadState.HEAD_STATE_LIVE);
  write(2n);
  await until("written", async () => ((await readPublished(owner, "east")).head?.seq ?? 0n) > (first?.seq ?? 0n));

  leadership.set(false);
  await until("off", () => publishing.status().state === "Off");
  const left = (await readPublished(owner, "east")).head;
  write(3n);
  assert.match(await metrics.text(), /^mesh_publish_pending_records 0$/m);
  leadership.set(true);
  await until("live again", () => publishing.status().state === "Live");
  await until("what changed meanwhile is written", async () => {
    const { head, table } = await readPublished(owner, "east");
    return (
      head?.state === HeadState.HEAD_STATE_LIVE && Buffer.from([...table.records()][0]?.value ?? "").toString() === "3"
    );
  });
  const second = (await readPublished(owner, "east")).head;
  assert.match(second?.writer ?? "", /^one-/);
  assert.notEqual(second?.writer, left?.writer);
});
