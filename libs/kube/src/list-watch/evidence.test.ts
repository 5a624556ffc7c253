/** What is evidence of a restore of Kubernetes, and what is not: on a scripted API. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "@isthmus/observe";
import { until } from "@isthmus/testing";
import type { KubeConfigMap, KubeObject } from "../objects.js";
import { CONFIG_MAPS } from "../resources.js";
import { createScriptedApi, type ScriptedApi } from "../testing/scripted-api.js";
import { createListWatch } from "./list-watch.js";
import type { Change, ListWatch } from "./types.js";

interface Scene extends ScriptedApi {
  readonly watch: ListWatch<string>;
  readonly changes: Change<string>[];
  readonly restored: bigint[];
  /** The version that a quorum read of the version alone returns. */
  readonly now: { version: number };
  values(): Record<string, string>;
}

/** A list-watch on a scripted API. */
function begin(t: { after(work: () => Promise<void>): void }, read: "stream" | "pages" = "pages"): Scene {
  const now = { version: 1_000_000_000 };
  const api = createScriptedApi(() => now.version);
  const changes: Change<string>[] = [];
  const restored: bigint[] = [];
  const watch = createListWatch<string>(
    {
      resource: CONFIG_MAPS,
      namespace: "n",
      read,
      project: (object) => (object as KubeConfigMap).data?.["value"] ?? "",
      retry: { minMs: 1, maxMs: 2 },
    },
    {
      transport: api.transport,
      log: silentLogger,
      onChange: (change) => changes.push(change),
      onRestored: () => restored.push(watch.position),
    },
  );
  const stop = new AbortController();
  const running = watch.run(stop.signal);
  t.after(() => {
    stop.abort();
    return running;
  });
  const values = () => Object.fromEntries([...watch.items].map(([key, { value }]) => [key.slice(2), value]));
  return { ...api, watch, changes, restored, now, values };
}

const map = (name: string, version: number, value = "", uid = name): KubeObject =>
  ({ metadata: { namespace: "n", name, uid, resourceVersion: `${version}` }, data: { value } }) as KubeObject;
const bookmark = (version: number, end = false) => ({
  type: "BOOKMARK",
  object: {
    metadata: {
      resourceVersion: `${version}`,
      ...(end && { annotations: { "k8s.io/initial-events-end": "true" } }),
    },
  },
});
const event = (type: "ADDED" | "MODIFIED" | "DELETED", object: KubeObject) => ({ type, object });

async function list({ lists }: Scene) {
  await until("a list is asked for", () => lists.length > 0);
  const [asked] = lists;
  assert.ok(asked !== undefined);
  return asked;
}

async function stream({ streams }: Scene) {
  await until("a stream is open", () => streams.length > 0);
  const asked = streams.at(-1);
  assert.ok(asked !== undefined);
  return asked;
}

const isQuorum = (query: Readonly<Record<string, string>>) => query["resourceVersion"] === undefined;

test("a call during a list in progress is not answered from that list", async (t) => {
  const scene = begin(t);
  (await list(scene)).answer(100, [map("a", 50)]);
  await stream(scene);
  const early = scene.watch.refresh();
  const asked = await list(scene);
  asked.answer(110, [map("a", 50)]);
  // The answer is sent but not read yet.
  const outcome = scene.watch.reach(115n);
  await early;
  (await list(scene)).answer(120, [map("a", 50)]);
  assert.equal(await outcome, "reached");
  assert.deepEqual([scene.restored, scene.watch.position], [[], 120n]);
});

test("a floor above a later quorum list is beyond Kubernetes; that alone is no evidence of a restore", async (t) => {
  const scene = begin(t);
  (await list(scene)).answer(100, [map("a", 50)]);
  await stream(scene);
  const outcome = scene.watch.reach(200n);
  const cached = await list(scene);
  assert.equal(cached.query["resourceVersionMatch"], "NotOlderThan");
  cached.answer(150, []); // a list from the cache that is below the requested version is no evidence
  const quorum = await list(scene);
  assert.ok(isQuorum(quorum.query));
  quorum.answer(150, [map("a", 50)]);
  assert.equal(await outcome, "beyond");
  assert.deepEqual([scene.restored, scene.watch.position, scene.values()], [[], 150n, { a: "" }]);
});

test("calls during a list do not restart it", async (t) => {
  const scene = begin(t);
  (await list(scene)).answer(100, []);
  await stream(scene);
  const first = scene.watch.refresh();
  const asked = await list(scene);
  const later = [scene.watch.reach(105n), scene.watch.refresh(), scene.watch.reach(300n)];
  assert.deepEqual(scene.lists, [asked]);
  asked.answer(110, []);
  await first;
  assert.equal(await later[0], "reached");
  const next = await list(scene);
  assert.ok(isQuorum(next.query));
  next.answer(120, []);
  assert.equal(await later[2], "beyond");
});

test("a quorum list below the position shows a restore; its content is adopted", async (t) => {
  const scene = begin(t);
  (await list(scene)).answer(100, [map("a", 90, "new"), map("b", 80)]);
  await stream(scene);
  const again = scene.watch.refresh();
  (await list(scene)).answer(60, [map("a", 40, "old")]);
  await again;
  assert.deepEqual([scene.restored, scene.watch.position, scene.values()], [[100n], 60n, { a: "old" }]);
});

test("a quorum list below a received bookmark shows a restore", async (t) => {
  const scene = begin(t);
  (await list(scene)).answer(100, [map("a", 90)]);
  (await stream(scene)).send(bookmark(170), event("MODIFIED", map("a", 180, "x")), bookmark(200));
  await until("the event", () => scene.watch.position === 180n);
  const again = scene.watch.refresh();
  (await list(scene)).answer(190, [map("a", 90)]);
  await again;
  assert.deepEqual([scene.restored, scene.watch.position], [[180n], 190n]);
});

test("a streamed list below the newest version is discarded, and a quorum list decides", async (t) => {
  for (const truth of [300, 60]) {
    const scene = begin(t, "stream");
    const first = await stream(scene);
    first.send(event("ADDED", map("a", 90, "seen")), bookmark(100, true));
    await until("in sync", () => scene.watch.inSync);
    first.send({ type: "ERROR", object: { code: 410, reason: "Expired" } });
    await until("another stream", () => scene.streams.some((each) => each !== first));
    (await stream(scene)).send(event("ADDED", map("a", 40, "stale")), bookmark(50, true));
    const asked = await list(scene);
    assert.ok(isQuorum(asked.query));
    assert.deepEqual([scene.values(), scene.restored], [{ a: "seen" }, []]);
    asked.answer(truth, [map("a", 40, "listed")]);
    await until("adopted", () => scene.watch.position === BigInt(truth));
    assert.deepEqual([scene.values(), scene.restored.length], [{ a: "listed" }, truth === 60 ? 1 : 0]);
  }
});

test("modifications and deletions among the initial events of a streamed list are applied", async (t) => {
  const scene = begin(t, "stream");
  (await stream(scene)).send(
    event("ADDED", map("a", 10, "1")),
    event("ADDED", map("b", 11, "1")),
    event("MODIFIED", map("b", 21, "2")),
    event("DELETED", map("a", 22)),
    event("ADDED", map("a", 23, "again", "a2")),
    event("DELETED", map("b", 24)),
    bookmark(25, true),
  );
  await until("in sync", () => scene.watch.inSync);
  assert.deepEqual(scene.values(), { a: "again" });
});

test("after a restore that raised the revisions, older objects in a newer list are adopted", async (t) => {
  const scene = begin(t);
  (await list(scene)).answer(100, [map("a", 90, "new"), map("b", 50, "same")]);
  await stream(scene);
  const again = scene.watch.refresh();
  (await list(scene)).answer(1_000_000, [map("a", 70, "old"), map("b", 50, "same")]);
  await again;
  assert.deepEqual([scene.values(), scene.restored], [{ a: "old", b: "same" }, []]);
  assert.deepEqual(
    scene.changes.at(-1)?.sets.map(({ key }) => key),
    ["n/a"],
  );
});

test("a resumed stream is trusted only after a quorum read, because after a restore it would be silent", async (t) => {
  const scene = begin(t);
  (await list(scene)).answer(100, [map("a", 90, "new")]);
  const first = await stream(scene);
  scene.now.version = 60;
  first.end();
  const asked = await list(scene);
  assert.ok(isQuorum(asked.query));
  asked.answer(61, [map("a", 40, "old")]);
  await until("set back", () => scene.restored.length === 1);
  assert.deepEqual([scene.watch.position, scene.values()], [61n, { a: "old" }]);
});
