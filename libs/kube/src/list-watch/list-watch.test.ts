/** The list-watch on a real kube-apiserver, through a proxy that injects network faults. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { silentLogger } from "@isthmus/observe";
import { until } from "@isthmus/testing";
import { createKubeClient, type KubeClient } from "../client.js";
import { loadKubeAccess } from "../config.js";
import type { KubeConfigMap } from "../objects.js";
import { CONFIG_MAPS, NAMESPACES } from "../resources.js";
import { type KubeServer, startKubeServer } from "../testing/kube-server.js";
import { type FaultyProxy, startProxy } from "../testing/proxy.js";
import { createTransport, type Transport } from "../transport.js";
import { createListWatch } from "./list-watch.js";
import type { Change, ListWatch, ListWatchOptions } from "./types.js";

let server: KubeServer;
let client: KubeClient;
let proxy: FaultyProxy;

before(async () => {
  server = await startKubeServer();
  client = createKubeClient(createTransport(loadKubeAccess({ kubeconfig: server.kubeconfig })));
  proxy = await startProxy({ host: "127.0.0.1", port: server.port });
});

after(async () => {
  client?.transport.close();
  await proxy?.close();
  await server?.stop();
});

interface Followed {
  readonly watch: ListWatch<string>;
  readonly changes: Change<string>[];
  readonly restored: { count: number };
  readonly namespace: string;
  values(): Record<string, string>;
  stop(): Promise<void>;
}

/** Starts a list-watch of the ConfigMaps of a new namespace, through the proxy. */
async function follow(namespace: string, options: Partial<ListWatchOptions<string>> = {}): Promise<Followed> {
  await client.create(NAMESPACES, { metadata: { name: namespace } });
  const transport: Transport = createTransport(
    loadKubeAccess({ kubeconfig: server.writeKubeconfig("proxied", { port: proxy.port }) }),
  );
  const changes: Change<string>[] = [];
  const restored = { count: 0 };
  const watch = createListWatch<string>(
    {
      resource: CONFIG_MAPS,
      namespace,
      project: (object) => (object as KubeConfigMap).data?.["value"] ?? "",
      retry: { minMs: 20, maxMs: 200 },
      ...options,
    },
    {
      transport,
      log: silentLogger,
      onChange: (change) => changes.push(change),
      onRestored: () => {
        restored.count++;
      },
    },
  );
  const stop = new AbortController();
  const running = watch.run(stop.signal);
  await until("in sync", () => watch.inSync);
  return {
    watch,
    changes,
    restored,
    namespace,
    values: () => Object.fromEntries([...watch.items.values()].map(({ key, value }) => [key.split("/")[1], value])),
    async stop() {
      stop.abort();
      await running;
      transport.close();
    },
  };
}

const put = (namespace: string, name: string, value: string) =>
  client.apply<KubeConfigMap>(
    CONFIG_MAPS,
    { metadata: { namespace, name }, data: { value } },
    { manager: "test", force: true },
  );
const drop = (namespace: string, name: string) => client.delete(CONFIG_MAPS, name, { namespace });

function has(followed: Followed, want: Record<string, string>): () => boolean {
  return () => {
    const have = followed.values();
    const keys = Object.keys(have).filter((key) => key !== "kube-root-ca.crt");
    return keys.length === Object.keys(want).length && keys.every((key) => have[key] === want[key]);
  };
}

for (const read of ["stream", "pages"] as const) {
  describe(`read by ${read}`, () => {
    test("the first change is the whole collection, later ones are the difference", async (t) => {
      const f = await follow(`first-${read}`, { read, pageSize: 2 });
      t.after(f.stop);
      assert.equal(f.changes[0]?.relist, true);
      for (const name of ["a", "b", "c"]) await put(f.namespace, name, "1");
      await until("three", has(f, { a: "1", b: "1", c: "1" }));
      await drop(f.namespace, "b");
      await until("two", has(f, { a: "1", c: "1" }));
      const last = f.changes.at(-1);
      assert.deepEqual(
        last?.deletes.map(({ key }) => key),
        [`${f.namespace}/b`],
      );
      assert.equal(last?.position, f.watch.position);
    });

    test("deletions, changes and re-creations while the API server was down are reported afterwards", async (t) => {
      const f = await follow(`away-${read}`, { read, pageSize: 2 });
      t.after(f.stop);
      for (const name of ["a", "b", "c", "d", "e"]) await put(f.namespace, name, "1");
      await until("five", has(f, { a: "1", b: "1", c: "1", d: "1", e: "1" }));
      const uid = f.watch.items.get(`${f.namespace}/c`)?.uid;
      proxy.refuse(true);
      proxy.reset();
      await drop(f.namespace, "a");
      await put(f.namespace, "b", "2");
      await drop(f.namespace, "c");
      await put(f.namespace, "c", "1");
      await server.killApi();
      await server.startApi();
      proxy.refuse(false);
      await until("the difference", has(f, { b: "2", c: "1", d: "1", e: "1" }));
      await until("the new c", () => f.watch.items.get(`${f.namespace}/c`)?.uid !== uid);
      const deletedUids = f.changes.flatMap(({ deletes }) => deletes.map(({ uid: u }) => u));
      assert.ok(uid !== undefined && deletedUids.includes(uid), "the old c is reported as deleted");
    });

    test("after a compacted position (410) a list gives the difference", async (t) => {
      const f = await follow(`gone-${read}`, { read, pageSize: 2 });
      t.after(f.stop);
      await put(f.namespace, "a", "1");
      await until("one", has(f, { a: "1" }));
      proxy.refuse(true);
      proxy.reset();
      await drop(f.namespace, "a");
      await put(f.namespace, "b", "1");
      await server.killApi();
      const status = JSON.parse(await server.etcdctl("endpoint", "status", "-w", "json")) as [
        { Status: { header: { revision: number } } },
      ];
      await server.etcdctl("compact", String(status[0].Status.header.revision));
      await server.startApi();
      const before = f.changes.length;
      proxy.refuse(false);
      await until("the difference", has(f, { b: "1" }));
      assert.ok(
        f.changes.slice(before).some(({ relist }) => relist),
        "it was a list",
      );
      assert.equal(f.restored.count, 0);
    });
  });
}

test("TCP resets in a series of events lose none of them", async (t) => {
  const f = await follow("reset");
  t.after(f.stop);
  const want: Record<string, string> = {};
  for (let i = 0; i < 60; i++) {
    want[`n${i}`] = String(i);
    await put(f.namespace, `n${i}`, String(i));
    if (i % 10 === 5) proxy.reset();
  }
  await until("sixty", has(f, want));
});

test("a server that stops answering is left after the idle timeout, and the collection stays meanwhile", async (t) => {
  const f = await follow("silence", { silenceMs: 300 });
  t.after(f.stop);
  await put(f.namespace, "a", "1");
  await until("one", has(f, { a: "1" }));
  proxy.stall();
  await put(f.namespace, "b", "1");
  await until("the problem is reported", () => f.watch.problem !== undefined);
  assert.deepEqual(has(f, { a: "1" })(), true);
  proxy.flow();
  await until("both", has(f, { a: "1", b: "1" }));
  await until("no problem", () => f.watch.problem === undefined);
});

test("the watch moves from a dead connection to a new one within seconds", async (t) => {
  const f = await follow("dead");
  t.after(f.stop);
  await put(f.namespace, "a", "1");
  await until("one", has(f, { a: "1" }));
  proxy.stallOpen();
  await put(f.namespace, "b", "1");
  // Far below the 100 s after which a silent watch is opened again.
  await until("both", has(f, { a: "1", b: "1" }), 40_000);
  await until("no problem", () => f.watch.problem === undefined);
});

test("a silent watch of a type that never changes is opened again without reporting a problem", async (t) => {
  const f = await follow("quiet", { silenceMs: 1000 });
  t.after(f.stop);
  const first = f.watch.lastContact ?? 0;
  let problems = 0;
  await until("it was opened several times", () => {
    if (f.watch.problem !== undefined) problems++;
    return (f.watch.lastContact ?? 0) > first + 2500;
  });
  assert.equal(problems, 0);
  await put(f.namespace, "a", "1");
  await until("it follows", has(f, { a: "1" }));
});

test("a floor from elsewhere is reached even when the last event of the type was a deletion", async (t) => {
  const f = await follow("floor");
  t.after(f.stop);
  await put(f.namespace, "a", "1");
  await until("one", has(f, { a: "1" }));
  proxy.stall();
  await drop(f.namespace, "a");
  const made = await put(f.namespace, "b", "1");
  const floor = BigInt(made.metadata.resourceVersion ?? "0");
  proxy.flow();
  assert.equal(await f.watch.reach(floor), "reached");
  assert.ok(f.watch.position >= floor);
  assert.ok(has(f, { b: "1" })());
  assert.equal(f.restored.count, 0);
});

test("a floor above a quorum read is beyond Kubernetes, and alone no evidence of a restore", async (t) => {
  const f = await follow("restored");
  t.after(f.stop);
  assert.equal(await f.watch.reach(f.watch.position + 1_000_000n), "beyond");
  assert.equal(f.restored.count, 0);
  await put(f.namespace, "a", "1");
  await until("it continues", has(f, { a: "1" }));
});

test("a version below one already received shows a restore, and the restored content is adopted", async (t) => {
  const f = await follow("backup");
  t.after(f.stop);
  await put(f.namespace, "a", "1");
  await until("one", has(f, { a: "1" }));
  await server.backUp();
  await put(f.namespace, "a", "2");
  await put(f.namespace, "b", "1");
  await until("two", has(f, { a: "2", b: "1" }));
  const before = f.watch.position;
  await server.restoreBackup();
  await until("set back", has(f, { a: "1" }), 30_000);
  assert.ok(f.watch.position < before);
  assert.equal(f.restored.count, 1);
  await put(f.namespace, "c", "1");
  await until("it continues", has(f, { a: "1", c: "1" }));
});
