/** One set of maps under several objects: shared by name, adopted by the next set, refused when they differ. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { MAP_NAMES } from "./gen/index.js";
import { openMapSet } from "./map-set.js";
import { readMetrics } from "./metrics.js";
import { native } from "./native.js";
import { loadPrograms } from "./programs.js";
import { uniqueName } from "./testing/cgroup.js";
import { startNode } from "./testing/node.js";
import { OBJECTS } from "./testing/objects.js";
import { runOnSkb } from "./testing/skb-run.js";

const [SOCK, POD, TCP, DEVICE, SELECT, RACE] = ["sock", "pod", "tcp", "device_test", "select_test", "race_test"].map(
  (name) => `${OBJECTS}/${name}.bpf.o`,
) as [string, string, string, string, string, string];
const FRAMES = "mesh_test_frames_v1";

function makePinFolder(t: TestContext): string {
  const pinFolder = join("/sys/fs/bpf", uniqueName("maps"));
  mkdirSync(pinFolder);
  t.after(() => rmSync(pinFolder, { recursive: true }));
  return pinFolder;
}

function open(t: TestContext, pinFolder: string, ...objects: readonly string[]) {
  const set = openMapSet({ pinFolder, objects, sizes: { backends: 512, udp: 64 } });
  t.after(() => set.close());
  const id = (name: string) => native().mapInfo(set.map(name)).id;
  return { ...set, id };
}

/** A frame that the programs of device_test count. */
function frame(): Uint8Array {
  const bytes = new Uint8Array(60);
  bytes.set([0x88, 0xb5], 12);
  return bytes;
}

test("a second object uses the maps of the first by name, and brings its own", async (t) => {
  const node = await startNode("maps");
  t.after(() => node.remove());
  const set = open(t, node.options.bpffs, DEVICE);
  const programs = loadPrograms(set, DEVICE, {});
  const program = programs.find(({ name }) => name === "frame_in") ?? assert.fail();
  const before = node.datapath.metrics();
  await runOnSkb(program.fd, { packet: frame(), repeat: 3 });
  assert.equal(node.datapath.metrics().get("reply"), (before.get("reply") ?? 0) + 3);
  assert.deepEqual(readMetrics(set.map(MAP_NAMES.metrics)), node.datapath.metrics());
  assert.deepEqual(native().mapLookup(set.map(FRAMES), new Uint8Array(4)), Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0));
  assert.ok(readdirSync(node.options.bpffs).includes(FRAMES));
  for (const { fd } of programs) fd.close();
});

test("all objects of a set share its maps, with the configured sizes, and the next set adopts them", (t) => {
  const pinFolder = makePinFolder(t);
  const set = open(t, pinFolder, SOCK, POD, TCP, DEVICE, SELECT);
  const pins = readdirSync(pinFolder).sort();
  assert.deepEqual(pins, [...Object.values(MAP_NAMES), FRAMES, "mesh_test_counts"].sort());
  assert.equal(native().mapInfo(set.map(MAP_NAMES.backends)).maxEntries, 512);
  assert.equal(native().mapInfo(set.map(MAP_NAMES.udpSticky)).maxEntries, 64);
  const next = open(t, pinFolder, TCP, DEVICE, SOCK, POD);
  for (const name of [...Object.values(MAP_NAMES), FRAMES]) assert.equal(next.id(name), set.id(name), name);
  assert.deepEqual(readdirSync(pinFolder).sort(), pins);
  assert.throws(() => next.map("mesh_test_counts"), /Cannot find map "mesh_test_counts"/);
});

test("maps are created without loading a program", (t) => {
  const before = native().mapInfo(open(t, makePinFolder(t), DEVICE).map(FRAMES));
  assert.equal(before.valueSize, 8);
  const { programs, maps } = native().loadObject(`${OBJECTS}/refused_test.bpf.o`, { programs: [] });
  assert.deepEqual([Object.keys(programs), Object.keys(maps)], [[], ["mesh_test_refused"]]);
  for (const map of Object.values(maps)) map.close();
});

test("two objects that declare a name differently are refused, whichever comes first", (t) => {
  for (const objects of [
    [SELECT, RACE],
    [RACE, SELECT],
  ]) {
    const pinFolder = makePinFolder(t);
    assert.throws(() => openMapSet({ pinFolder, objects }), { code: "MAP_LAYOUT", message: /mesh_test_counts/ });
  }
});

test("an object whose maps the set does not have cannot be loaded onto it", (t) => {
  const set = open(t, makePinFolder(t), DEVICE);
  assert.throws(() => loadPrograms(set, SOCK, {}), /Cannot find map "mesh_/);
  assert.throws(() => openMapSet({ pinFolder: makePinFolder(t), objects: ["/nowhere.bpf.o"] }), {
    code: "PROGRAM_LOAD",
    message: /^Cannot load BPF object "\/nowhere.bpf.o": ENOENT/,
  });
});
