/** One peer fills a real etcd to its quota of 512 MiB: memory growth of a reader meanwhile, and of one that starts afterwards. */
import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { after, test } from "node:test";
import { clusterPrefix, type Store, type Write } from "@isthmus/kvstore";
import { startEtcd } from "@isthmus/kvstore/testing";
import { parseClusterName } from "@isthmus/model";
import { Head, HeadState } from "@isthmus/proto";
import { createRecordTable, type HashedRecord, STORE_KINDS } from "@isthmus/records";
import { until } from "@isthmus/testing";
import { openStore } from "../publish/testing/fixture.js";
import { slice, slices } from "./testing/fixture.js";
import type { ReaderMemory } from "./testing/reader-main.js";

const QUOTA = 512 << 20;
/** Memory that one hostile peer may cost a reader at the default budget of 64 MiB: stated in docs/design/sync.md. */
const MOST_GROWTH = 256 << 20;

const etcd = await startEtcd({ flags: ["--quota-backend-bytes", String(QUOTA)] });
const store = await openStore(etcd);
after(async () => {
  store.close();
  await etcd.close();
});

const put = (name: string, key: string, value: Uint8Array): Write => {
  return { type: "put", key: clusterPrefix(parseClusterName(name)) + key, value };
};

/** Writes the keys of a LIVE publisher. */
async function publish(name: string, records: readonly HashedRecord[]): Promise<void> {
  const table = createRecordTable();
  for (const record of records) table.set(record);
  const head = Head.create({
    clusterUid: "u",
    state: HeadState.HEAD_STATE_LIVE,
    seq: 1n,
    sums: table.sums(STORE_KINDS),
    minReader: 1,
  });
  const writes = records.map(({ key, value }) => put(name, key, value));
  await store.txn(
    [],
    [...writes, put(name, "store", Buffer.alloc(16, 3)), put(name, "head", Head.encode(head).finish())],
  );
}

interface Reader {
  readonly child: ChildProcess;
  readonly now: () => ReaderMemory | undefined;
}

function startReader(): Reader {
  const child = fork(new URL("./testing/reader-main.js", import.meta.url), [endpoint, "good", "hostile"], {
    execArgv: ["--expose-gc"],
  });
  let latest: ReaderMemory | undefined;
  child.on("message", (memory) => {
    latest = memory as ReaderMemory;
  });
  return { child, now: () => latest };
}

async function stop({ child }: Reader): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const over = once(child, "exit");
  child.kill("SIGKILL");
  await over;
}

/** Writes until the store is full; returns the bytes of values. */
async function fill(of: Store): Promise<number> {
  let bytes = 0;
  for (let i = 0; ; i++) {
    // First records that a reader accepts, then ones that it refuses because values or keys are too large.
    const taken = Array.from({ length: 10 }, (_, n) => slice(2, 10 * i + n, 0, 100_000));
    const writes =
      i < 150
        ? taken.map(({ key, value }) => put("hostile", key, value))
        : i % 2 === 0
          ? [put("hostile", `slices/a/b/${i}`, Buffer.alloc(1 << 20, 0x1a))]
          : [put("hostile", `slices/${"k".repeat(1 << 19)}${i}`, Buffer.alloc(1 << 19))];
    const full = await of.txn([], writes).then(
      () => false,
      (thrown: { code: string }) => thrown.code === "STORE_FULL",
    );
    if (full) return bytes;
    bytes += writes.reduce((sum, write) => sum + (write.type === "put" ? write.value.length : 0), 0);
  }
}

const { endpoints } = await etcd.options("root");
const endpoint = endpoints[0] ?? "";
const mib = (bytes: number): string => `${Math.round(bytes / (1 << 20))} MiB`;

test("one peer fills the store to its quota: a reader's memory is bounded, and other peers are not affected", async (t) => {
  await publish("good", slices(1, 100));
  await publish("hostile", []);
  const during = startReader();
  t.after(() => stop(during));
  const inSync = (reader: Reader, name: string) => reader.now()?.peers[name]?.state === "InSync";
  await until("both are in sync", () => inSync(during, "good") && inSync(during, "hostile"), 30_000);
  const before = during.now();
  assert.ok(before !== undefined);

  const filled = await fill(store);
  assert.ok(filled > QUOTA / 2, `${mib(filled)} were taken`);
  const refused = (reader: Reader) => reader.now()?.peers["hostile"]?.state === "Refused";
  await until("the peer is refused", () => refused(during), 60_000);
  const fresh = startReader();
  t.after(() => stop(fresh));
  await until("a fresh reader refuses it", () => refused(fresh), 60_000);
  await until("the fresh reader has the other peer", () => fresh.now()?.peers["good"]?.taken === 100, 30_000);

  for (const [what, reader] of [
    ["while it was filled", during],
    ["started after", fresh],
  ] as const) {
    const now = reader.now();
    assert.ok(now !== undefined);
    const [most, live] = [now.maxRss - before.maxRss, now.live - before.live];
    t.diagnostic(`${what}: ${mib(filled)} in the store, RSS grew by ${mib(most)} at most, ${mib(live)} live`);
    assert.ok(most < MOST_GROWTH, `RSS grew by ${mib(most)} ${what}`);
    assert.match(now.peers["hostile"]?.message ?? "", /^over budget: cluster "hostile" has \d+ bytes/);
    assert.deepEqual([now.peers["good"]?.taken, reader.child.exitCode], [100, null]);
  }
});
