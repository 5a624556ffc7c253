/** A peer over its budget is refused with the figures and the option, and accepted again automatically. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { HEAD_KEY, STORE_KEY } from "@isthmus/kvstore";
import { startEtcd } from "@isthmus/kvstore/testing";
import { createMetrics } from "@isthmus/observe";
import { Head, HeadState } from "@isthmus/proto";
import { createRecordTable, type HashedRecord, STORE_KINDS } from "@isthmus/records";
import { until } from "@isthmus/testing";
import {
  clusterConfig,
  createMemoryExport,
  openStore,
  runPublisher,
  untilPublished,
} from "../publish/testing/fixture.js";
import { createAddressClaims } from "./address-claims.js";
import { createAdmission } from "./admission.js";
import { type Budget, DEFAULT_BUDGET, overBudget } from "./budget.js";
import { watchBudgets } from "./budget-metrics.js";
import { limitsOf } from "./peer.js";
import { sourceReport } from "./report.js";
import { createReaderState, step } from "./step.js";
import { LOCAL, node, peer, runSources, slice, slices, untilSame } from "./testing/fixture.js";

const etcd = await startEtcd();
const store = await openStore(etcd);
after(async () => {
  store.close();
  await etcd.close();
});

test("the over-budget sentence names part, figure, limit and option; at the limit there is none", () => {
  const budget = { records: 10, bytes: 1000 };
  assert.equal(overBudget(budget, budget, "west"), undefined);
  assert.equal(
    overBudget({ records: 11, bytes: 2000 }, budget, "west"),
    'over budget: cluster "west" has 11 records or more in the store, at most 10 are accepted; export less there, or raise --peer-max-records',
  );
  assert.match(overBudget({ records: 1, bytes: 1001 }, budget, "west") ?? "", /1001 bytes .* raise --peer-max-bytes/);
});

const at = { now: 0, wallMicros: 0 };
const STORE = Buffer.alloc(16, 1);

const head = (records: readonly HashedRecord[], state: HeadState, exported: boolean) => {
  const table = createRecordTable();
  for (const record of records) table.set(record);
  const sums = table.sums(STORE_KINDS).map((sum) => ({ ...sum, exported }));
  return Head.encode(Head.create({ clusterUid: "u", state, sums })).finish();
};

/** A reader in the state after a listing of `records`. */
function listed(records: readonly HashedRecord[], budget: Budget) {
  const east = peer("east", 1);
  const admission = createAdmission(limitsOf(east, LOCAL, [east]), createAddressClaims());
  const state = createReaderState({ cluster: "east", clusterId: 1, admission, budget });
  const list = (now = records, says = HeadState.HEAD_STATE_LIVE, exported = true) => {
    const metas = [
      { key: STORE_KEY, value: STORE, modRevision: 1n },
      { key: HEAD_KEY, value: head(now, says, exported), modRevision: 99n },
    ];
    return step(state, { ...at, type: "listed", records: now, metas, claim: undefined, revision: 99n });
  };
  step(state, { ...at, type: "start" });
  list();
  step(state, { ...at, type: "opened", open: 1 });
  step(state, { ...at, type: "store-checked", open: 1, storeId: STORE, revision: 99n });
  return { state, list };
}

test("watch events count towards the budget; over it the watch ends, the back-off grows, and nothing is deleted", () => {
  const { state, list } = listed(slices(1, 3), { records: 4, bytes: 1 << 20 });
  const come = (i: number) => {
    const record = slice(1, i);
    const event = { ...record, modRevision: BigInt(100 + i), deleted: false, record };
    return step(state, { ...at, type: "seen", events: [event], revision: BigInt(100 + i) });
  };
  assert.deepEqual(
    come(3).map(({ type }) => type),
    ["emit"],
  );
  const over = come(4);
  assert.deepEqual(
    over.map(({ type }) => type),
    ["emit", "unwatch", "wake"],
  );
  assert.ok(over.every((effect) => effect.type !== "emit" || effect.change.deletes.length === 0));
  assert.deepEqual([sourceReport(state, 0).state, state.received.size], ["Refused", 5]);
  const waits = Array.from({ length: 8 }, () => {
    assert.deepEqual(
      step(state, { ...at, type: "tick" }).map(({ type }) => type),
      ["unwatch", "list"],
    );
    const wake = step(state, { ...at, type: "over-budget", sentence: "over budget: much" }).at(-1);
    return wake?.type === "wake" ? wake.ms / 1000 : 0;
  });
  assert.deepEqual(waits, [20, 40, 80, 160, 300, 300, 300, 300]);
  const reported = () => [sourceReport(state, 0).state, sourceReport(state, 0).message];
  assert.deepEqual(reported(), ["Refused", "over budget: much"]);
  step(state, { ...at, type: "tick" });
  assert.deepEqual(reported(), ["Refused", "over budget: much"], "also while it is listed again");
  step(state, { ...at, type: "list-failed", sentence: "Cannot list" });
  assert.deepEqual(reported(), ["Refused", "over budget: much"], "no listing has succeeded");
  step(state, { ...at, type: "tick" });
  assert.ok(list().some(({ type }) => type === "watch"));
  assert.deepEqual([state.phase.status, state.overBudget], ["Following", 0]);
});

test("unverified deletions count too: a peer that keeps replacing its records without a LIVE head is over budget", () => {
  const { state, list } = listed(slices(1, 6), { records: 10, bytes: 1 << 20 });
  const others = Array.from({ length: 6 }, (_, i) => slice(1, 100 + i));
  step(state, { ...at, type: "watch-over", sentence: "compacted" });
  const refused = list(others, HeadState.HEAD_STATE_SYNCING);
  assert.deepEqual(
    refused.map(({ type }) => type),
    ["unwatch", "wake"],
  );
  assert.match(sourceReport(state, 0).message, /has 12 records .*not verified as deleted.*, at most 10 are accepted/);
  assert.deepEqual([state.received.size, state.unverified.size], [6, 0], "accepted records are unchanged");
  step(state, { ...at, now: 10_000, type: "tick" });
  const taken = list(others).flatMap((effect) => (effect.type === "emit" ? [effect.change] : []));
  assert.deepEqual(
    taken.map(({ upserts, deletes }) => [upserts.length, deletes.length]),
    [[6, 6]],
    "a head that says so is the proof",
  );
});

test("a LIVE head without exported kinds verifies nothing, so unverified records count", () => {
  const { state, list } = listed(slices(1, 6), { records: 10, bytes: 1 << 20 });
  const others = Array.from({ length: 6 }, (_, i) => slice(1, 100 + i));
  step(state, { ...at, type: "watch-over", sentence: "compacted" });
  list(others, HeadState.HEAD_STATE_LIVE, false);
  assert.deepEqual([sourceReport(state, 0).state, state.received.size, state.unverified.size], ["Refused", 6, 0]);
});

test("a tenth of a peer's records may be nodes, unverified ones included", () => {
  const nodes = (from: number) =>
    Array.from({ length: 5 }, (_, i) => node(1, `n${from + i}`, [`192.168.${from}.${i}`]));
  const { state, list } = listed(nodes(0), { records: 50, bytes: 1 << 20 });
  assert.equal(sourceReport(state, 0).state, "InSync");
  step(state, { ...at, type: "watch-over", sentence: "compacted" });
  list([...nodes(0), node(1, "one-more", "192.168.7.7")]);
  assert.equal(
    sourceReport(state, 0).message,
    'over budget: cluster "east" has 6 nodes, at most 5 are accepted, a tenth of its records; export less there, or raise --peer-max-records',
  );
  list(nodes(100), HeadState.HEAD_STATE_SYNCING);
  assert.equal(sourceReport(state, 0).state, "Refused");
  assert.equal(state.received.size, 5, "no record of the listing was accepted");
});

test("unverified records and new ones from the watch share one budget", () => {
  const { state, list } = listed(slices(1, 4), { records: 10, bytes: 1 << 20 });
  step(state, { ...at, type: "watch-over", sentence: "compacted" });
  list(
    Array.from({ length: 5 }, (_, i) => slice(1, 100 + i)),
    HeadState.HEAD_STATE_SYNCING,
  );
  assert.deepEqual([state.phase.status, state.unverified.size], ["Following", 4]);
  step(state, { ...at, type: "opened", open: 2 });
  step(state, { ...at, type: "store-checked", open: 2, storeId: STORE, revision: 99n });
  const events = [slice(1, 200), slice(1, 201)].map((record) => ({
    ...{ key: record.key, value: record.value, record },
    ...{ modRevision: 100n, deleted: false },
  }));
  step(state, { ...at, type: "seen", events, revision: 100n });
  assert.equal(sourceReport(state, 0).state, "Refused");
});

test("of a permanently refused record only key and hash are kept, and the sums match", () => {
  const wrong = slice(1, 7, 70_000, 100_000);
  const { state } = listed([slice(1, 1), wrong], DEFAULT_BUDGET);
  assert.deepEqual([state.sumsMatch, state.received.size], [true, 2]);
  assert.ok(state.received.bytes < 200, `${state.received.bytes}`);
  assert.deepEqual(
    sourceReport(state, 0).refused.map(({ reason, example }) => [reason, example.includes("weight 70000 is not from")]),
    [["out-of-bounds", true]],
  );
});

test("a peer over budget is Refused and keeps its records, other peers are not affected, and it is accepted when it shrinks", async (t) => {
  const budget = { records: 50, bytes: 20_000 };
  const exports = [createMemoryExport(slices(1, 10)), createMemoryExport(slices(2, 10))];
  const publishers = exports.map((each, i) =>
    runPublisher(store, each, { config: clusterConfig(`budget-${i + 1}`, i + 1) }),
  );
  const peers = [peer("budget-1", 1), peer("budget-2", 2)];
  const running = runSources(store, peers, undefined, { allowOpenStore: true, budget });
  t.after(() => Promise.all([running.stop(), ...publishers.map((each) => each.stop())]));
  const metrics = createMetrics();
  watchBudgets(metrics, budget, () => running.sources.list());
  const [big, small] = [running.source(1), running.source(2)];
  const [first, second] = exports;
  assert.ok(first !== undefined && second !== undefined);
  await Promise.all([untilSame(big, first.table), untilSame(small, second.table)]);
  const deleted: string[] = [];
  big.index.onChange(({ deletes }) => deleted.push(...deletes.map(({ key }) => key)));
  first.change(Array.from({ length: 20 }, (_, i) => slice(1, 100 + i, 0, 5000)));
  await until("it is refused", () => big.report().state === "Refused");
  assert.match(big.report().message, /^over budget: cluster "budget-1" has \d+ bytes or more .* --peer-max-bytes$/);
  assert.match(await metrics.text(), /mesh_source_bytes\{cluster="budget-1"\} \d{5,}\n/);
  assert.match(await metrics.text(), /mesh_source_records\{cluster="budget-2"\} 10\n/);
  assert.match(await metrics.text(), /mesh_source_records_limit 50\n/);
  second.change([slice(2, 77)]);
  await untilSame(small, second.table);
  first.change([], [{ key: "slices/shop/cart/s1" }, ...Array.from({ length: 20 }, (_, i) => slice(1, 100 + i))]);
  await untilPublished(store, "budget-1", first);
  assert.deepEqual(deleted, [], "nothing is deleted while it is refused");
  await untilSame(big, first.table, 60_000);
  assert.equal(big.report().message, "");
});

test("a peer with more keys than the budget is counted by the store, and not listed", async (t) => {
  const exported = createMemoryExport(slices(3, 200));
  const publisher = runPublisher(store, exported, { config: clusterConfig("budget-3", 3) });
  await untilPublished(store, "budget-3", exported);
  let pages = 0;
  const counted = {
    ...store,
    async *list(...args: Parameters<typeof store.list>) {
      pages++;
      yield* store.list(...args);
    },
  };
  const budget = { records: 100, bytes: 1 << 20 };
  const running = runSources(counted, [peer("budget-3", 3)], undefined, { allowOpenStore: true, budget });
  t.after(() => Promise.all([running.stop(), publisher.stop()]));
  await until("it is refused", () => running.source(3).report().state === "Refused");
  assert.match(running.source(3).report().message, /has 20\d records or more in the store, at most 100 are accepted/);
  assert.deepEqual([pages, running.source(3).index.size], [0, 0]);
});
