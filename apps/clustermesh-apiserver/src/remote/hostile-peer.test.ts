/** Bounds on the work that one peer or many agents can cause in a `RemoteSource`, whatever is in the store. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { clusterPrefix, HEAD_KEY, STORE_KEY, type Store, type WatchMessage, type WatchOptions } from "@isthmus/kvstore";
import { parseClusterName } from "@isthmus/model";
import { Head, HeadState } from "@isthmus/proto";
import { createRecordTable, STORE_KINDS } from "@isthmus/records";
import { nextTurn } from "@isthmus/runtime";
import { until } from "@isthmus/testing";
import { peer, runSources } from "./testing/fixture.js";

const PREFIX = clusterPrefix(parseClusterName("west"));
const STORE_ID = Buffer.alloc(16, 1);

function headValue(seq: number, count: number, state = HeadState.HEAD_STATE_LIVE): Buffer {
  const sums = createRecordTable()
    .sums(STORE_KINDS)
    .map((sum) => ({ ...sum, count }));
  return Buffer.from(
    Head.encode(Head.create({ clusterUid: "u", state, writer: "w", seq: BigInt(seq), sums })).finish(),
  );
}

/** An empty cluster "west" whose heads the test writes. */
async function follow(t: TestContext) {
  let [onNews, seq] = [(_: WatchMessage): void => undefined, 1];
  let reads = 0;
  const store: Partial<Store> = {
    async get(key) {
      if (key !== PREFIX + STORE_KEY) return { entry: undefined, revision: BigInt(seq) };
      reads++;
      return { entry: { key, value: STORE_ID, modRevision: 1n }, revision: BigInt(seq) };
    },
    count: async () => 2,
    async *list() {
      const entries = [
        { key: PREFIX + STORE_KEY, value: STORE_ID, modRevision: 1n },
        { key: PREFIX + HEAD_KEY, value: headValue(seq, 0), modRevision: BigInt(seq) },
      ];
      yield { entries, revision: BigInt(seq), more: false };
    },
    watch: ({ signal }: WatchOptions, tell) =>
      new Promise((resolve) => {
        onNews = (news) => void (signal.aborted || tell(news));
        onNews({ type: "opened", storeRevision: BigInt(seq) });
        signal.addEventListener("abort", () => resolve(), { once: true });
      }),
  };
  const running = runSources(store as Store, [peer("west", 1)]);
  t.after(running.stop);
  const source = running.source(1);
  await until("in sync", () => source.isVerified());
  const write = (count: number, state = HeadState.HEAD_STATE_LIVE): void => {
    seq++;
    const event = {
      type: "put",
      key: PREFIX + HEAD_KEY,
      value: headValue(seq, count, state),
      modRevision: BigInt(seq),
    } as const;
    onNews({ type: "events", events: [event], revision: BigInt(seq) });
  };
  return { source, write, reads: () => reads };
}

test("a peer whose heads alternate between wrong and right causes only a few status reports", async (t) => {
  const { source, write } = await follow(t);
  let notified = 0;
  source.onStatus(() => notified++);
  const end = performance.now() + 1500;
  let written = 0;
  while (performance.now() < end) {
    write(written++ % 2);
    await nextTurn();
  }
  assert.ok(written > 200, `${written} heads`);
  assert.ok(notified > 0 && notified <= 12, `notified ${notified} times for ${written} heads`);
  write(0);
  await until("the final status is reported", () => source.isVerified());
});

test("a status change that is reverted before its postponed report is still reported: a client may have read it meanwhile", async (t) => {
  const { source, write } = await follow(t);
  let reports = 0;
  source.onStatus(() => reports++);
  /** Writes a head; true when the changed status is reported at once. */
  const isReported = (state: HeadState): boolean => {
    const before = reports;
    write(0, state);
    return reports > before;
  };
  const report = async (state: HeadState): Promise<void> => {
    const before = reports;
    if (!isReported(state)) await until("the status is reported", () => reports > before);
  };
  await report(HeadState.HEAD_STATE_SYNCING);
  await report(HeadState.HEAD_STATE_LIVE);
  while (isReported(HeadState.HEAD_STATE_SYNCING)) await report(HeadState.HEAD_STATE_LIVE);
  assert.equal(source.isVerified(), false);
  await report(HeadState.HEAD_STATE_LIVE);
  assert.equal(source.isVerified(), true);
});

test("many agents that report an unknown store cause one query", async (t) => {
  const { source, reads } = await follow(t);
  const before = reads();
  const answers = await Promise.all(Array.from({ length: 200 }, () => source.confirmStore()));
  assert.ok(answers.every((answer) => answer === "same"));
  assert.equal(reads() - before, 1);
  assert.equal(await source.confirmStore(), "same");
  assert.equal(reads() - before, 2, "a later request causes another query");
});
