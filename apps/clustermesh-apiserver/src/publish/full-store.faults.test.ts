/** A real etcd that has used up its quota: the publisher's status, what readers keep, and recovery without a restart. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { emptyStore, fillStore, startEtcd } from "@isthmus/kvstore/testing";
import { systemClock } from "@isthmus/model";
import { PeerState } from "@isthmus/proto";
import { until } from "@isthmus/testing";
import { clusterConditions } from "../membership/cluster-status.js";
import { peer, runSources, slice, slices, untilSame } from "../remote/testing/fixture.js";
import type { Publisher } from "./publisher.js";
import {
  clusterConfig,
  createMemoryExport,
  openStore,
  readPublished,
  runPublisher,
  untilPublished,
} from "./testing/fixture.js";

const QUOTA = 8 << 20;

const etcd = await startEtcd({ flags: ["--quota-backend-bytes", String(QUOTA)] });
const store = await openStore(etcd);
after(async () => {
  store.close();
  await etcd.close();
});

const published = (publisher: Publisher) => {
  const store = { configured: true, problem: undefined };
  const verdicts = clusterConditions({ inSync: true, problem: undefined }, publisher.status(), store);
  return verdicts
    .filter(({ type }) => type === "StoreReachable" || type === "Published")
    .map(({ type, status, reason }) => `${type} ${status} ${reason}`);
};

test("a full store is reported, beats stop, nothing is deleted, and publishing resumes once there is space", async (t) => {
  let late = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + late };
  const exported = createMemoryExport(slices(1, 300));
  const publisher = runPublisher(store, exported, { config: clusterConfig("full", 1) });
  const running = runSources(store, [peer("full", 1)], clock);
  t.after(() => Promise.all([running.stop(), publisher.stop()]));
  const source = running.source(1);
  await untilSame(source, exported.table);
  const deletes: string[] = [];
  source.index.onChange((delta) => deletes.push(...delta.deletes.map(({ key }) => key)));

  await fillStore(store);
  const { head } = await readPublished(store, "full");
  exported.change([slice(1, 2, 9)], [{ key: "slices/shop/cart/s3" }]);
  await until("status Full", () => publisher.publisher.status().state === "Full");
  const { message, pending } = publisher.publisher.status();
  assert.match(message, /database space exceeded/);
  assert.equal(pending, 2);
  assert.deepEqual(published(publisher.publisher), ["StoreReachable True Answers", "Published False Full"]);

  // A publisher that starts now cannot even take over, and reports the same.
  const other = createMemoryExport(slices(2, 10));
  const beginner = runPublisher(store, other, { config: clusterConfig("beginner", 2) });
  t.after(() => beginner.stop());
  await until("the same status of the beginner", () => /space exceeded/.test(beginner.publisher.status().message));

  late = 16_000; // longer than three beats
  assert.equal(source.status(), PeerState.PEER_STATE_STALE);
  assert.equal(source.index.size, 300);
  assert.deepEqual(deletes, []);
  assert.equal((await readPublished(store, "full")).head?.seq, head?.seq, "no head is written");
  assert.equal(publisher.publisher.status().state, "Full", "and it goes on saying so");

  await emptyStore(store);
  await untilSame(source, exported.table);
  assert.deepEqual(deletes, ["slices/shop/cart/s3"]);
  await until("it is live", () => publisher.publisher.status().state === "Live");
  assert.equal(publisher.publisher.status().message, "");
  assert.deepEqual(published(publisher.publisher), ["StoreReachable True Answers", "Published True Live"]);
  await until("fresh again", () => source.status() === PeerState.PEER_STATE_IN_SYNC);
  await untilPublished(store, "beginner", other, 20_000);
});
