/** Maps that grow on a running node: their content, rows that programs write meanwhile, and an agent that is killed. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { bytesKey, keyBytes } from "@isthmus/model";
import { preparePinFolder } from "./bpffs.js";
import { createHashMap } from "./hash-map.js";
import { type Datapath, type MapSizes, openDatapath, PodRangeKey, Proto } from "./index.js";
import { MapFlag, MapType, UpdateFlag } from "./kernel-constants.js";
import { createMapGrowth } from "./map-growth.js";
import { type Fd, native } from "./native.js";
import { uniqueName } from "./testing/cgroup.js";
import { startNode, type TestNode } from "./testing/node.js";
import { createServing } from "./testing/serving.js";
import { frontend } from "./testing/writer.js";

const KILLED_OPEN = fileURLToPath(new URL("testing/killed-open-main.js", import.meta.url));
const SPEC = { type: MapType.LruHash, keySize: 4, valueSize: 4, maxEntries: 64, flags: MapFlag.None };
const LARGER = { ...SPEC, maxEntries: 128 };

function sizesOf({ datapath }: TestNode): Record<string, number> {
  const { frontends, services, backends, nodes, nodeState } = datapath;
  const maps = Object.entries({ frontends, services, backends, nodes, nodeState });
  return Object.fromEntries(maps.map(([name, map]) => [name, map.maxEntries]));
}

/** Pins that only exist while maps grow. */
function leftovers(pinFolder: string): readonly string[] {
  return readdirSync(pinFolder).filter((pin) => !pin.startsWith("mesh_") && !pin.startsWith("link_"));
}

/** Closes the datapath of a node and opens it with other sizes. */
async function reopenWith(node: TestNode, sizes: Partial<MapSizes>): Promise<void> {
  node.datapath.close();
  const larger = await openDatapath({ ...node.options, sizes: { ...node.options.sizes, ...sizes } });
  larger.close();
  await node.reopen();
}

/** Connects to a Service again and again until stopped; resolves to the number of connects, none of which failed. */
function connectAgainAndAgain(node: TestNode, vip: string, port: number): () => Promise<number> {
  let connects = 0;
  let stopped = false;
  const work = (async () => {
    while (!stopped) {
      const answers = await node.pod.dial(vip, port, 20, 4);
      connects += Object.values(answers).reduce((sum, count) => sum + count, 0);
    }
  })();
  work.catch(() => {});
  return async () => {
    stopped = true;
    await work;
    return connects;
  };
}

test("all maps of a node grow under load: no connect fails, nothing is lost, and UDP sockets keep their backend", async (t) => {
  const node = await startNode("growth");
  t.after(() => node.remove());
  const serving = createServing(node);
  const tcp = await serving.serve("tcp", 3);
  const udp = await serving.serve("udp", 3);
  const before = await serving.askUdp(4, udp.vip, udp.port, false);
  const rows = [...(await node.datapath.frontends.load())];
  const backends = node.datapath.backends.read(0, 64);
  const stop = connectAgainAndAgain(node, tcp.vip, tcp.port);
  await reopenWith(node, { frontends: 1000, services: 700, backends: 5000, nodes: 200, udp: 3000 });
  assert.ok((await stop()) > 0);
  assert.deepEqual(sizesOf(node), { frontends: 1000, services: 700, backends: 5000, nodes: 200, nodeState: 200 });
  assert.deepEqual([...(await node.datapath.frontends.load())].sort(), rows.sort());
  assert.deepEqual(node.datapath.backends.read(0, 64), backends);
  for (let i = 0; i < 10; i++) {
    await node.pod.sendto(before.sock, udp.vip, udp.port, "x");
    assert.deepEqual(await node.pod.receive(before.sock), { data: before.data, from: [udp.vip, udp.port] });
  }
  assert.deepEqual(leftovers(node.options.bpffs), []);
});

test("maps of mode packets grow: rows of pods and ranges stay, flows and the ring of events begin anew", async (t) => {
  const node = await startNode("growth");
  t.after(() => node.remove());
  node.datapath.close();
  const open = (flows: number, pods: number, ranges: number, events: number) =>
    openDatapath({ ...node.options, mode: "packets", sizes: { ...node.options.sizes, flows, pods, ranges, events } });
  const pathOf = ({ packets }: Datapath) => packets ?? assert.fail("mode packets");
  const small = await open(1000, 20, 16, 1 << 16);
  const addr = new Uint8Array(16).fill(7);
  const [address, range] = [bytesKey(addr), bytesKey(PodRangeKey.encode({ length: 128, addr }))];
  pathOf(small).endpoints.storeWord32(19, 4, 77);
  await pathOf(small).endpointIndex.insert(new Map([[address, Uint8Array.of(19, 0, 0, 0)]]));
  await pathOf(small).podRanges.insert(new Map([[range, new Uint8Array(8).fill(3)]]));
  assert.deepEqual([pathOf(small).flowFill(), small.sizes.flows], [{ used: 0, capacity: 1024 }, 1024]);
  assert.equal(small.sizes.events, 1 << 16);
  small.close();
  const large = await open(4000, 30, 40, 1 << 20);
  t.after(() => large.close());
  const path = pathOf(large);
  assert.deepEqual(path.flowFill(), { used: 0, capacity: 4096 });
  assert.equal(large.sizes.events, 1 << 20);
  assert.deepEqual([path.endpoints.maxEntries, path.endpointIndex.maxEntries, path.podRanges.maxEntries], [30, 30, 40]);
  assert.deepEqual([...path.endpoints.read(19).subarray(4, 8)], [77, 0, 0, 0]);
  assert.deepEqual(await path.endpointIndex.load(), new Map([[address, Uint8Array.of(19, 0, 0, 0)]]));
  assert.deepEqual([...(await path.podRanges.load()).keys()], [range]);
  assert.deepEqual(leftovers(node.options.bpffs), []);
});

test("the entries that were added can be used", async (t) => {
  const node = await startNode("growth");
  t.after(() => node.remove());
  await reopenWith(node, { backends: 2000 });
  node.datapath.backends.storeWord32(1999, 0, 7);
  await node.reopen();
  assert.deepEqual([...node.datapath.backends.read(1999).subarray(0, 4)], [7, 0, 0, 0]);
});

test("programs use the larger maps as soon as the datapath is open, also in cgroups that it is not attached to yet", async (t) => {
  const node = await startNode("growth");
  t.after(() => node.remove());
  const serving = createServing(node);
  const { vip, port, service } = await serving.serve("tcp", 1);
  node.datapath.close();
  const { cgroup: _, ...options } = node.options;
  const larger = await openDatapath({ ...options, sizes: { ...options.sizes, frontends: 512 } });
  await larger.frontends.insert(new Map([frontend("10.96.200.1", port, Proto.Tcp, service)]));
  assert.deepEqual(await node.pod.dial("10.96.200.1", port, 3, 4), { "server-1": 3 });
  assert.deepEqual(await node.pod.dial(vip, port, 3, 4), { "server-1": 3 });
  larger.close();
  await node.reopen();
});

test("a size that the kernel refuses changes nothing, and the error names the map", async (t) => {
  const node = await startNode("growth");
  t.after(() => node.remove());
  const before = sizesOf(node);
  node.datapath.close();
  const sizes = { ...node.options.sizes, frontends: 512, services: 2 ** 32 - 1 };
  await assert.rejects(openDatapath({ ...node.options, sizes } as typeof node.options), {
    code: "MAP_IO",
    message: /^Cannot create map "mesh_services_v1" with 4294967295 entries: E\w+; lower its size$/,
  });
  await node.reopen();
  assert.deepEqual(sizesOf(node), before);
  assert.deepEqual(leftovers(node.options.bpffs), []);
});

test("an agent that is killed at any step while maps grow: connects go on, and the next agent completes it", async (t) => {
  const node = await startNode("growth");
  t.after(() => node.remove());
  const serving = createServing(node);
  const tcp = await serving.serve("tcp", 3);
  const udp = await serving.serve("udp", 3);
  const { sock, data } = await serving.askUdp(4, udp.vip, udp.port, false);
  const backends = node.datapath.backends.read(0, 64);
  const rows = [...(await node.datapath.frontends.load())].sort();
  node.datapath.close();
  const stop = connectAgainAndAgain(node, tcp.vip, tcp.port);
  let step = 1;
  for (; await isKilled(node, step); step++) {
    await node.pod.sendto(sock, udp.vip, udp.port, "x");
    assert.deepEqual(await node.pod.receive(sock), { data, from: [udp.vip, udp.port] }, `killed before step ${step}`);
  }
  const connects = await stop();
  t.diagnostic(`${step - 1} agents were killed, ${connects} connects succeeded, none failed`);
  assert.ok(step > 30 && connects > 0);
  await node.reopen();
  assert.equal(node.datapath.backends.maxEntries, 1024 + 8 * step);
  assert.deepEqual(node.datapath.backends.read(0, 64), backends);
  assert.deepEqual([...(await node.datapath.frontends.load())].sort(), rows);
  assert.deepEqual(leftovers(node.options.bpffs), []);
});

/** Opens the datapath with larger maps in a process that is killed before step `step`; false when it ended before. */
function isKilled(node: TestNode, step: number): Promise<boolean> {
  const { sizes, ...rest } = node.options;
  const larger = Object.fromEntries(Object.entries(sizes ?? {}).map(([name, size]) => [name, size + 8 * step]));
  const options = JSON.stringify({ ...rest, sizes: larger });
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [KILLED_OPEN, options, String(step)], (error, _, stderr) => {
      if (error === null) resolve(false);
      else if (error.signal === "SIGKILL") resolve(true);
      else reject(new Error(`Cannot open the datapath: ${stderr}`));
    });
  });
}

/** A pin folder with one map of programs, `lru`, and its rows as numbers. */
function pinnedMap(t: TestContext) {
  const folder = join("/sys/fs/bpf", uniqueName("growth"));
  preparePinFolder(folder);
  t.after(() => rmSync(folder, { recursive: true }));
  const old = native().mapCreate({ ...SPEC, name: "lru" });
  native().pin(old, join(folder, "lru"));
  return { folder, old, replacement: { name: "lru", old, spec: LARGER, writtenByPrograms: true } };
}

function put(map: Fd, rows: Readonly<Record<number, number>>): void {
  for (const [key, value] of Object.entries(rows)) {
    native().mapUpdate(map, number(Number(key)), number(value), UpdateFlag.Any);
  }
}

async function rowsOf(map: Fd): Promise<Record<number, number>> {
  const rows = [...(await createHashMap("lru", map).load())];
  return Object.fromEntries(rows.map(([key, value]) => [readNumber(keyBytes(key)), readNumber(value)]));
}

const number = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const readNumber = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);

test("rows that programs write to the old map until they are switched are in the new map; newer ones there stay", async (t) => {
  const { folder, old, replacement } = pinnedMap(t);
  put(old, { 1: 10, 2: 20, 3: 30 });
  const growth = createMapGrowth(folder);
  await growth.replace([replacement]);
  const made = native().openPin(join(folder, "lru"));
  put(old, { 2: 21, 3: 31, 4: 40 });
  put(made, { 3: 32, 5: 50 });
  await growth.finish(
    () => made,
    async () => put(old, { 6: 60 }),
  );
  assert.deepEqual(await rowsOf(made), { 1: 10, 2: 21, 3: 32, 4: 40, 5: 50, 6: 60 });
  assert.deepEqual(leftovers(folder), ["lru"]);
});

test("rows of programs on the old map are not lost when the agent ended meanwhile, also with a still larger map", async (t) => {
  const { folder, old, replacement } = pinnedMap(t);
  put(old, { 1: 10 });
  await createMapGrowth(folder).replace([replacement]);
  const first = native().openPin(join(folder, "lru"));
  put(old, { 2: 20 });
  put(first, { 3: 30 });
  const next = createMapGrowth(folder);
  await next.replace([{ ...replacement, old: first, spec: { ...LARGER, maxEntries: 256 } }]);
  const second = native().openPin(join(folder, "lru"));
  put(first, { 4: 40 });
  await next.finish(
    () => second,
    async () => {},
  );
  assert.deepEqual(await rowsOf(second), { 1: 10, 2: 20, 3: 30, 4: 40 });
  assert.equal(native().mapInfo(second).maxEntries, 256);
  assert.deepEqual(leftovers(folder), ["lru"]);
});

test("an incomplete copy is removed, and a map is whole whenever its pin has its name", async (t) => {
  const { folder, old } = pinnedMap(t);
  put(old, { 1: 10 });
  native().pin(native().mapCreate({ ...LARGER, name: "lru" }), join(folder, "next_lru"));
  const growth = createMapGrowth(folder);
  await growth.replace([]);
  await growth.finish(
    () => old,
    async () => {},
  );
  assert.deepEqual(readdirSync(folder), ["lru"]);
  assert.equal(bytesKey(native().mapLookup(old, number(1)) ?? new Uint8Array(0)), bytesKey(number(10)));
});
