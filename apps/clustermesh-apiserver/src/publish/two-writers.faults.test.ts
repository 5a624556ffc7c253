/** Two publishers of one cluster as processes, on a real etcd: the writing one is suspended and later resumed. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { clusterPrefix, type StoreEvent } from "@isthmus/kvstore";
import { startEtcd } from "@isthmus/kvstore/testing";
import { parseClusterName } from "@isthmus/model";
import { Fence, Head, HeadState } from "@isthmus/proto";
import { createRecordTable, kindOfKey, STORE_KINDS, sameSums } from "@isthmus/records";
import { until } from "@isthmus/testing";
import { anyRecord, openStore, readPublished } from "./testing/fixture.js";
import { type Said, WHO } from "./testing/publisher-main.js";

const MAIN = fileURLToPath(new URL("./testing/publisher-main.js", import.meta.url));

const etcd = await startEtcd();
const store = await openStore(etcd);
after(async () => {
  store.close();
  await etcd.close();
});

interface Writer {
  readonly instance: string;
  readonly child: ChildProcess;
  said: Said;
  tell(line: "busy" | "quiet"): void;
}

function startWriter(cluster: string, id: number, instance: string): Writer {
  const child = spawn(process.execPath, [MAIN, String(etcd.port), cluster, String(id), instance], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const writer: Writer = {
    instance,
    child,
    said: { state: "", message: "", settled: false },
    tell: (line) => void child.stdin?.write(`${line}\n`),
  };
  createInterface({ input: child.stdout as NonNullable<typeof child.stdout> }).on("line", (line) => {
    writer.said = JSON.parse(line) as Said;
  });
  return writer;
}

/** The instance that writes now, once its head is LIVE. */
async function writerOf(cluster: string): Promise<string> {
  const { head } = await readPublished(store, cluster);
  return head?.state === HeadState.HEAD_STATE_LIVE ? head.writer : "";
}

interface Told {
  readonly revision: bigint;
  readonly fence: string | undefined;
  readonly head: Head | undefined;
}

/** Every revision under the prefix; fails where a LIVE head's sums are not those of the records at that revision. */
async function replay(cluster: string): Promise<readonly Told[]> {
  const prefix = clusterPrefix(parseClusterName(cluster));
  const { revision } = await store.get(prefix);
  const controller = new AbortController();
  const events: StoreEvent[] = [];
  const over = store.watch({ prefix, from: 1n, signal: controller.signal }, (news) => {
    if (news.type === "events") events.push(...news.events);
  });
  const { entry } = await store.get(`${prefix}head`);
  await until("the whole history", () => (events.at(-1)?.modRevision ?? 0n) >= (entry?.modRevision ?? revision));
  controller.abort();
  await over;
  const table = createRecordTable();
  const history = new Map<bigint, { fence?: string; head?: Head }>();
  for (const [i, event] of events.entries()) {
    const key = event.key.slice(prefix.length);
    const written = history.get(event.modRevision) ?? {};
    history.set(event.modRevision, written);
    if (key === "head") written.head = Head.decode(event.value);
    else if (key === "fence") written.fence = Fence.decode(event.value).instance;
    else if (kindOfKey(key) !== undefined)
      event.type === "put" ? table.set(anyRecord(key, event.value)) : table.delete(key);
    if (events[i + 1]?.modRevision === event.modRevision) continue;
    if (written.head?.state === HeadState.HEAD_STATE_LIVE)
      assert.ok(sameSums(written.head.sums, table.sums(STORE_KINDS)), `sums at revision ${event.modRevision}`);
  }
  return [...history].map(([revision, { fence, head }]) => ({ revision, fence, head }));
}

async function play(
  t: { after(work: () => void): void },
  cluster: string,
  id: number,
  doing: "busy" | "quiet",
): Promise<void> {
  const first = startWriter(cluster, id, "first");
  t.after(() => first.child.kill("SIGKILL"));
  await until("the first writes", async () => (await writerOf(cluster)) === "first");
  const second = startWriter(cluster, id, "second");
  t.after(() => second.child.kill("SIGKILL"));
  await until("the second has taken over", async () => (await writerOf(cluster)) === "second");
  await until("the first stands by", () => /"second" publishes/.test(first.said.message));
  second.tell(doing);
  await until(`the second is ${doing}`, async () => {
    if (doing === "quiet") return second.said.settled;
    const who = (await readPublished(store, cluster)).table.get(WHO);
    return Buffer.from(who?.value ?? "")
      .toString()
      .startsWith("second ");
  });
  second.child.kill("SIGSTOP");
  await until("the first takes over from the silent one", async () => (await writerOf(cluster)) === "first", 40_000);
  first.tell("busy");
  second.child.kill("SIGCONT");
  await until("the second stands by", () => /"first" publishes/.test(second.said.message));
  assert.equal(second.said.state, "Off");

  const history = await replay(cluster);
  const fences = history.flatMap(({ fence, revision }) => (fence === undefined ? [] : [{ fence, revision }]));
  const names = fences.map(({ fence }) => fence).filter((name, i, all) => name !== all[i - 1]);
  assert.deepEqual(names, ["first", "second", "first"]);
  const end = fences.at(-1)?.revision ?? 0n;
  const late = history.filter(({ revision, head }) => revision > end && head !== undefined);
  assert.ok(late.length > 0 && late.every(({ head }) => head?.writer === "first"), "the old one wrote nothing more");
}

describe("the writer is suspended", { concurrency: true }, () => {
  test(
    "while it is quiet: its watch or a rejected beat names the writer, whichever is first, and it stands by",
    { timeout: 90_000 },
    (t) => play(t, "quiet", 1, "quiet"),
  );
  test("with a txn in flight, which was applied before or not at all", { timeout: 90_000 }, (t) =>
    play(t, "busy", 2, "busy"),
  );
});
