/** Opening, adopting, rejecting and removing a node's datapath. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { MAP_NAMES, openDatapath, removePins } from "./index.js";
import { MapFlag, MapType } from "./kernel-constants.js";
import { type Native, native } from "./native.js";
import { startNode, type TestNode } from "./testing/node.js";
import { loadTestObject, OBJECTS } from "./testing/objects.js";
import { frontend } from "./testing/writer.js";

async function setUp(t: TestContext) {
  const node = await startNode("datapath");
  t.after(() => node.remove());
  return node;
}

test("maps, tables and links survive the agent and are adopted, not recreated", async (t) => {
  const node = await setUp(t);
  await node.datapath.frontends.insert(new Map([frontend("10.96.0.1", 80, 6, 7)]));
  node.datapath.floors.storeWord32(4095, 0, 2);
  await node.datapath.tables.addSegment();
  node.datapath.tables.segments[1]?.writeBody(5, Uint8Array.of(1, 2, 3, 4));
  const ids = () => [...node.datapath.programs.values()].map(({ id }) => id);
  const before = ids();
  await node.reopen();
  assert.equal((await node.datapath.frontends.load()).size, 1);
  assert.deepEqual(node.datapath.floors.read(4095).subarray(0, 4), Uint8Array.of(2, 0, 0, 0));
  assert.equal(node.datapath.tables.segments.length, 2);
  assert.deepEqual(node.datapath.tables.segments[1]?.read(5).subarray(0, 4), Uint8Array.of(1, 2, 3, 4));
  assert.ok(
    ids().every((id) => !before.includes(id)),
    "the programs are new ones",
  );
});

test("a second agent on the node is rejected, and can start after the first has stopped", async (t) => {
  const node = await setUp(t);
  await assert.rejects(openDatapath(node.options), {
    code: "DATAPATH_LOCKED",
    message: `Cannot use the maps in "${node.options.bpffs}": another agent on this node has them; stop it first`,
  });
  await node.reopen();
});

test("a pin with another layout is rejected; the error has its path and what to do", async (t) => {
  const node = await setUp(t);
  node.datapath.close();
  const path = join(node.options.bpffs, MAP_NAMES.backends);
  rmSync(path);
  const spec = { type: MapType.Array, keySize: 4, valueSize: 40, maxEntries: 1024, flags: MapFlag.Mappable };
  const foreign = native().mapCreate({ ...spec, name: "foreign" });
  native().pin(foreign, path);
  foreign.close();
  await assert.rejects(openDatapath(node.options), (error: Error & { code?: string }) => {
    assert.equal(error.code, "MAP_LAYOUT");
    assert.match(error.message, new RegExp(`^Cannot use pinned map "${path}": .*value 40.*value 32.*remove the pin`));
    return true;
  });
  rmSync(path);
  await node.reopen();
});

test("a larger map is adopted and keeps its size", async (t) => {
  const node = await setUp(t);
  node.datapath.close();
  const other = await openDatapath({ ...node.options, sizes: { ...node.options.sizes, frontends: 100 } });
  assert.equal(other.frontends.maxEntries, 256);
  other.close();
  await node.reopen();
});

test("unused pins of older layouts are removed", async (t) => {
  const node = await setUp(t);
  const path = join(node.options.bpffs, "mesh_udp_sticky_v1");
  const old = native().mapCreate({
    type: MapType.LruHash,
    keySize: 32,
    valueSize: 8,
    maxEntries: 64,
    flags: 0,
    name: "old",
  });
  native().pin(old, path);
  old.close();
  await node.reopen();
  assert.equal(existsSync(path), false);
});

test("inserting into a full map fails with MAP_FULL and keeps its entries", async (t) => {
  const node = await setUp(t);
  const rows = Array.from({ length: 300 }, (_, i) => frontend("10.96.0.1", i + 1, 6, 1));
  const { done, failed } = await node.datapath.frontends.insert(new Map(rows));
  assert.equal(done.size, 256);
  assert.equal(failed.size, 44);
  const [error] = failed.values();
  assert.equal(error?.message, 'Cannot add an entry to map "mesh_frontends_v1": all 256 entries are in use');
});

test("programs are attached again to a cgroup that was recreated", async (t) => {
  const node = await setUp(t);
  await node.pod.end();
  rmdirSync(node.options.cgroup);
  mkdirSync(node.options.cgroup);
  node.datapath.attach();
  assert.deepEqual(attachedTo(node, [node.options.cgroup]), [basename(node.options.cgroup)]);
});

/** Those of the cgroups that run the connect4 program, by the last part of their path. */
function attachedTo(node: TestNode, cgroups: readonly string[]): string[] {
  const ids = readdirSync(node.options.bpffs)
    .filter((pin) => pin.split("@")[0] === "link_sock_connect4")
    .map((pin) => {
      const link = native().openPin(join(node.options.bpffs, pin));
      const id = native().linkInfo(link).cgroupId;
      link.close();
      return id;
    });
  return cgroups.filter((path) => ids.includes(statSync(path, { bigint: true }).ino)).map((path) => basename(path));
}

test("programs are attached to exactly the given cgroups, also by the next agent", async (t) => {
  const node = await startNode("datapath");
  const all = ["a", "b", "c"].map((name) => join(node.options.cgroup, name));
  for (const path of all) mkdirSync(path);
  const [a = "", b = "", c = ""] = all;
  t.after(() => {
    for (const path of all) rmdirSync(path);
    return node.remove();
  });
  node.datapath.attach([a, b]);
  assert.deepEqual(attachedTo(node, [...all, node.options.cgroup]), ["a", "b"]);
  node.datapath.attach();
  assert.deepEqual(attachedTo(node, all), ["a", "b"]);
  const { bpffs, objectDir, config } = node.options;
  node.datapath.close();
  const maps = await openDatapath({ bpffs, objectDir, config });
  assert.deepEqual(attachedTo(node, all), ["a", "b"]);
  maps.attach([]);
  assert.deepEqual(attachedTo(node, all), ["a", "b"]);
  maps.attach([b, c]);
  assert.deepEqual(attachedTo(node, all), ["b", "c"]);
  rmdirSync(b);
  mkdirSync(b);
  maps.attach();
  assert.deepEqual(attachedTo(node, all), ["b", "c"]);
  const connect4 = () => readdirSync(node.options.bpffs).filter((pin) => pin.startsWith("link_sock_connect4"));
  assert.equal(connect4().length, 2);
  maps.close();
  await node.reopen();
  assert.deepEqual(attachedTo(node, [...all, node.options.cgroup]), [basename(node.options.cgroup)]);
});

/** Counts and forwards calls of the addon. */
function countCalls(t: TestContext): () => Partial<Record<keyof Native, number>> {
  const addon = native();
  let counts: Partial<Record<keyof Native, number>> = {};
  for (const name of ["openPin", "pin", "linkInfo", "linkCreate", "linkUpdate", "linkDetach", "programInfo"] as const) {
    const call = addon[name] as (...args: unknown[]) => unknown;
    const counted = (...args: unknown[]): unknown => {
      counts[name] = (counts[name] ?? 0) + 1;
      return call(...args);
    };
    Object.assign(addon, { [name]: counted });
    t.after(() => Object.assign(addon, { [name]: call }));
  }
  return () => {
    const before = counts;
    counts = {};
    return before;
  };
}

test("attaching again restores removed links and does not change links that run the program already", async (t) => {
  const node = await setUp(t);
  const count = node.datapath.programs.size;
  const take = countCalls(t);
  for (let tick = 0; tick < 10; tick++) node.datapath.attach();
  assert.deepEqual(take(), { openPin: 10 * count, linkInfo: 10 * count });

  const pin = readdirSync(node.options.bpffs).find((name) => name.startsWith("link_sock_connect4@")) ?? "";
  const link = native().openPin(join(node.options.bpffs, pin));
  t.after(() => link.close());
  const wanted = native().linkInfo(link).programId;
  const foreign = loadTestObject(t, "sock").program("sock_connect4");
  native().linkUpdate(link, foreign);
  take();
  node.datapath.attach();
  assert.equal(take().linkUpdate, 1);
  assert.equal(native().linkInfo(link).programId, wanted);

  native().linkDetach(link);
  take();
  node.datapath.attach();
  assert.equal(take().linkCreate, 1);
  node.datapath.attach();
  assert.equal(take().linkCreate, undefined);

  await node.reopen();
  assert.equal(take().linkUpdate, count, "the next agent's programs take the links over");
  node.datapath.attach();
  assert.equal(take().linkUpdate, undefined);
});

test("a folder outside bpffs and a directory that is not a cgroup are rejected", async (t) => {
  const node = await setUp(t);
  const bpffs = join(tmpdir(), "mesh-test-pins");
  await assert.rejects(openDatapath({ ...node.options, bpffs }), { code: "BPFFS" });
  node.datapath.close();
  await assert.rejects(openDatapath({ ...node.options, cgroup: tmpdir() }), { code: "CGROUP" });
  await node.reopen();
});

test("a missing object is reported as PROGRAM_LOAD with its path", async (t) => {
  const node = await setUp(t);
  node.datapath.close();
  await assert.rejects(openDatapath({ ...node.options, objectDir: "/nowhere" }), {
    code: "PROGRAM_LOAD",
    message: /^Cannot load BPF object "\/nowhere\/sock.bpf.o": ENOENT/,
  });
  await node.reopen();
});

test("the next agent can use what an agent leaves that is killed at any moment of its start", async (t) => {
  const node = await setUp(t);
  node.datapath.close();
  await removePins(node.options.bpffs);
  const module = new URL("./index.js", import.meta.url).href;
  const code = `import { openDatapath } from ${JSON.stringify(module)};
    process.send("go");
    for (;;) (await openDatapath(${JSON.stringify(node.options)})).close();`;
  for (let delay = 0; delay <= 120; delay += 8) {
    const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", 2, 2, "ipc"] });
    await once(child, "message");
    await setTimeout(delay);
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }
  await node.reopen();
  assert.equal((await node.datapath.frontends.insert(new Map([frontend("10.96.0.1", 80, 6, 1)]))).done.size, 1);
});

test("destroy leaves no pin and no program", async () => {
  const node = await startNode("datapath");
  const ids = [...node.datapath.programs.values()].map(({ id }) => id);
  const pins = readdirSync(node.options.bpffs);
  assert.equal(pins.length, Object.keys(native().objectMaps(`${OBJECTS}/sock.bpf.o`)).length + ids.length);
  await node.remove();
  assert.equal(existsSync(node.options.bpffs), false);
  assert.equal(existsSync(node.options.cgroup), false);
});
