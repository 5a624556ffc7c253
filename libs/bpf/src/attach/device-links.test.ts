/** Programs on network devices, by TCX links and by clsact filters: the same tests for both. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { waitFor } from "@isthmus/runtime";
import { removePins } from "../datapath.js";
import { openMapSet } from "../map-set.js";
import { native } from "../native.js";
import { loadPrograms } from "../programs.js";
import { makeCgroup, uniqueName } from "../testing/cgroup.js";
import { devicePrograms } from "../testing/device-programs.js";
import { makeNetns, makeVeth, type TestNetns } from "../testing/netns.js";
import { loadTestObject, OBJECTS } from "../testing/objects.js";
import { attachToCgroups } from "./cgroup-links.js";
import { createClsactFilters } from "./clsact-filters.js";
import { type MechanismName, openDeviceLinks } from "./device-links.js";
import { createTcxLinks } from "./tcx-links.js";

const MECHANISMS: readonly MechanismName[] = native().probeTcx() ? ["tcx", "clsact"] : ["clsact"];
const ATTACH = fileURLToPath(new URL("../testing/attach-main.js", import.meta.url));

test("TCX links are used from Linux 6.6 on, else clsact filters", () => {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  const hasTcx = major > 6 || (major === 6 && minor >= 6);
  assert.equal(openDeviceLinks({ pinFolder: "/none" }).mechanism, hasTcx ? "tcx" : "clsact");
});

function makePinFolder(t: TestContext): string {
  const pinFolder = join("/sys/fs/bpf", uniqueName("device"));
  mkdirSync(pinFolder);
  t.after(() => rmSync(pinFolder, { recursive: true, force: true }));
  return pinFolder;
}

const OBJECT = `${OBJECTS}/device_test.bpf.o`;

/** A version of the programs, whose counters no other version shares unless it uses the same folder. */
function loadVersion(t: TestContext, pinFolder = makePinFolder(t)) {
  const maps = openMapSet({ pinFolder, objects: [OBJECT] });
  const programs = loadPrograms(maps, OBJECT, {});
  t.after(() => {
    maps.close();
    for (const { fd } of programs) fd.close();
  });
  const count = (direction: number) => {
    const key = new Uint8Array(Uint32Array.of(direction).buffer);
    const value = native().mapLookup(maps.map("mesh_test_frames_v1"), key);
    return value === undefined ? 0 : Number(new BigUint64Array(value.buffer)[0]);
  };
  return {
    programs: devicePrograms(programs),
    once: devicePrograms(programs, "once"),
    received: () => count(0),
    sent: () => count(1),
  };
}

/** A namespace with the veth `one` and `two`, a pin folder, and the links of one mechanism. */
function setUp(t: TestContext, mechanism: MechanismName) {
  const netns = makeNetns(t);
  makeVeth(netns, "one", "two");
  const pinFolder = makePinFolder(t);
  const open = () => openDeviceLinks({ pinFolder, netns: netns.path, mechanism });
  return { netns, pinFolder, open, links: open(), one: netns.index("one"), two: netns.index("two") };
}

/** Waits until the number is reached: frames arrive at the other end of a veth a little later. */
async function reaches(count: () => number, wanted: number): Promise<void> {
  await waitFor(`${wanted} frames`, () => count() >= wanted, { timeoutMs: 10_000, reason: () => `${count()} came` });
  assert.equal(count(), wanted);
}

/** Neither programs, hooks nor pins are left. */
function assertNothingLeft(netns: TestNetns, pinFolder: string): void {
  assert.doesNotMatch(netns.tc("qdisc", "show"), /clsact/);
  assert.deepEqual(readdirSync(pinFolder), []);
}

for (const mechanism of MECHANISMS) {
  test(`${mechanism}: programs see what a device receives and sends, of no other device`, async (t) => {
    const { links, netns, one, two } = setUp(t, mechanism);
    const [first, second] = [loadVersion(t), loadVersion(t)];
    await links.attach(one, first.programs);
    await netns.sendFrames("one", 10);
    assert.deepEqual([first.sent(), first.received()], [10, 0]);
    await links.attach(two, second.programs);
    await netns.sendFrames("one", 5);
    await reaches(second.received, 5);
    await netns.sendFrames("two", 3);
    await reaches(first.received, 3);
    assert.deepEqual([first.sent(), second.sent()], [15, 3]);
  });

  test(`${mechanism}: a program that is attached already stays, and the next agent's takes its place`, async (t) => {
    const { links, netns, one, open, pinFolder } = setUp(t, mechanism);
    const [old, next] = [loadVersion(t), loadVersion(t)];
    await links.attach(one, old.programs);
    const pins = readdirSync(pinFolder);
    await links.attach(one, old.programs);
    await netns.sendFrames("one", 4);
    await open().attach(one, next.programs);
    await netns.sendFrames("one", 3);
    assert.deepEqual([old.sent(), next.sent()], [4, 3]);
    assert.deepEqual(readdirSync(pinFolder), pins);
  });

  test(`${mechanism}: while programs are replaced, every frame runs exactly one`, async (t) => {
    const { links, netns, one } = setUp(t, mechanism);
    const versions = [loadVersion(t), loadVersion(t)];
    const total = () => versions.reduce((sum, { sent }) => sum + sent(), 0);
    for (const { programs } of versions) await links.attach(one, programs);
    let sending = true;
    const sent = netns.sendFrames("one", 100_000).finally(() => {
      sending = false;
    });
    let replaced = 0;
    for (; sending; replaced++) for (const { programs } of versions) await links.attach(one, programs);
    await sent;
    t.diagnostic(`replaced ${2 * replaced} times: ${versions.map((version) => version.sent()).join(" + ")} frames`);
    assert.equal(total(), 100_000);
    assert.ok(versions.every((version) => version.sent() > 0));
  });

  test(`${mechanism}: a program that a device shall not have any more is detached, others stay`, async (t) => {
    const { links, netns, one } = setUp(t, mechanism);
    const version = loadVersion(t);
    await links.attach(one, version.programs);
    await links.attach(
      one,
      version.programs.filter(({ direction }) => direction === "egress"),
    );
    await netns.sendFrames("one", 2);
    await netns.sendFrames("two", 2);
    await links.attach(one, version.programs);
    await netns.sendFrames("two", 5);
    await reaches(version.received, 5);
    assert.equal(version.sent(), 2);
  });

  test(`${mechanism}: a device that was made again with the same name and index gets its programs again`, async (t) => {
    const { links, netns, one, pinFolder } = setUp(t, mechanism);
    const version = loadVersion(t);
    await links.attach(one, version.programs);
    netns.ip("link", "del", "one");
    await assert.rejects(links.attach(one, version.programs), {
      code: "PROGRAM_ATTACH",
      message: `Cannot attach program "frame_in" to device ${one} (ingress, ${mechanism}): ENODEV`,
    });
    makeVeth(netns, "one", "two", one);
    await netns.sendFrames("one", 3);
    assert.equal(version.sent(), 0);
    await links.attach(one, version.programs);
    await netns.sendFrames("one", 3);
    assert.equal(version.sent(), 3);
    netns.ip("link", "del", "one");
    await links.retain(new Set());
    assertNothingLeft(netns, pinFolder);
  });

  test(`${mechanism}: only the retained devices keep their programs, then none`, async (t) => {
    const { links, netns, one, two, pinFolder } = setUp(t, mechanism);
    const version = loadVersion(t);
    for (const ifindex of [one, two]) await links.attach(ifindex, version.programs);
    await links.retain(new Set([two]));
    await netns.sendFrames("one", 7);
    await reaches(version.received, 7);
    assert.equal(version.sent(), 0);
    await links.retain(new Set());
    await netns.sendFrames("one", 7);
    await netns.sendFrames("two", 7);
    assert.deepEqual([version.sent(), version.received()], [0, 7]);
    assertNothingLeft(netns, pinFolder);
  });

  test(`${mechanism}: programs that are attached at once run when that is done, and as often afterwards`, async (t) => {
    const { links, netns, one, two, pinFolder } = setUp(t, mechanism);
    const [version, next] = [loadVersion(t), loadVersion(t)];
    for (const [programs, isLeft] of [
      [version.programs, mechanism === "tcx"],
      [next.programs, mechanism === "tcx"],
    ] as const)
      assert.equal(await links.attachAtOnce(one, programs), isLeft);
    await netns.sendFrames("one", 4);
    assert.deepEqual([version.sent(), next.sent()], [0, 4]);
    assert.deepEqual(readdirSync(pinFolder), []);
    await links.attach(one, next.programs);
    assert.equal(await links.attachAtOnce(one, version.programs), false);
    await netns.sendFrames("one", 3);
    assert.deepEqual([version.sent(), next.sent()], [3, 4]);
    assert.equal(/clsact/.test(netns.tc("qdisc", "show")), mechanism === "clsact");
    // What waits for its links is kept as what has them.
    await links.attachAtOnce(two, version.programs);
    await links.retain(new Set([two]));
    await netns.sendFrames("one", 5);
    await reaches(version.received, 5);
    assert.equal(version.sent(), 3);
    await links.retain(new Set());
    assertNothingLeft(netns, pinFolder);
  });

  test(`${mechanism}: devices that come at once have their programs, of the last call for each`, async (t) => {
    const { links, netns, pinFolder } = setUp(t, mechanism);
    const [version, next] = [loadVersion(t), loadVersion(t)];
    const devices = Array.from({ length: 12 }, (_, i) => `pod${i}`);
    for (const device of devices) makeVeth(netns, device, `${device}-peer`);
    const indexes = devices.map((device) => netns.index(device));
    await Promise.all(
      indexes.flatMap((index) => [
        links.attachAtOnce(index, version.programs),
        links.attach(index, version.programs),
        links.attachAtOnce(index, next.programs),
      ]),
    );
    for (const device of devices) await netns.sendFrames(device, 2);
    assert.deepEqual([version.sent(), next.sent()], [0, 24]);
    const [kept = 0, ...others] = indexes;
    const again = others.map((index) => links.attachAtOnce(index, version.programs));
    await Promise.all([...again, links.retain(new Set([kept])), links.attachAtOnce(kept, version.programs)]);
    for (const device of devices) await netns.sendFrames(device, 3);
    assert.deepEqual([version.sent(), next.sent()], [3, 24]);
    await links.retain(new Set());
    assertNothingLeft(netns, pinFolder);
  });

  test(`${mechanism}: after an agent is killed at any moment, the next one's programs run exactly once`, async (t) => {
    const { links, netns, one, pinFolder } = setUp(t, mechanism);
    const maps = makePinFolder(t);
    const args = [ATTACH, maps, pinFolder, netns.path, `${one}`, mechanism];
    for (let delay = 0; delay < 40; delay += 8) {
      const child = spawn(process.execPath, args, { stdio: ["ignore", 2, 2, "ipc"] });
      await once(child, "message");
      await setTimeout(delay);
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
    }
    // All versions share these counters, so that a second program on the device would count too.
    const version = loadVersion(t, maps);
    await links.attachAtOnce(one, version.programs);
    await links.attach(one, version.programs);
    const before = version.sent();
    await netns.sendFrames("one", 5);
    assert.equal(version.sent() - before, 5);
    await links.retain(new Set());
    assertNothingLeft(netns, pinFolder);
  });

  test(`${mechanism}: uninstalling detaches the programs and removes the folder`, async (t) => {
    const { links, netns, one, pinFolder } = setUp(t, mechanism);
    const version = loadVersion(t);
    await links.attach(one, version.programs);
    const module = new URL("../datapath.js", import.meta.url).href;
    const code = `import { removePins } from ${JSON.stringify(module)}; await removePins(${JSON.stringify(pinFolder)});`;
    execFileSync("nsenter", [`--net=${netns.path}`, process.execPath, "--input-type=module", "-e", code]);
    await netns.sendFrames("one", 5);
    assert.equal(version.sent(), 0);
    assert.doesNotMatch(netns.tc("qdisc", "show"), /clsact/);
    assert.throws(() => readdirSync(pinFolder), { code: "ENOENT" });
  });

  test(`${mechanism}: links to cgroups in the same folder are left alone, and leave those to devices alone`, async (t) => {
    const { links, netns, one, pinFolder } = setUp(t, mechanism);
    const version = loadVersion(t);
    const cgroup = makeCgroup(uniqueName("device"));
    t.after(() => cgroup.remove());
    const name = "sock_connect4";
    const connect4 = loadTestObject(t, "sock").loaded(name);
    const cgroupProgram = { name, ...connect4, info: native().programInfo(connect4.fd) };
    await links.attach(one, version.programs);
    attachToCgroups([cgroupProgram], pinFolder, [cgroup.path]);
    const ofCgroups = () => readdirSync(pinFolder).filter((pin) => pin.startsWith("link_"));
    await netns.sendFrames("one", 1);
    assert.equal(version.sent(), 1);
    await links.retain(new Set());
    const [pin = "", ...more] = ofCgroups();
    assert.deepEqual(more, []);
    const link = native().openPin(join(pinFolder, pin));
    t.after(() => link.close());
    assert.notEqual(native().linkInfo(link).cgroupId, 0n);
    await removePins(pinFolder);
    assert.equal(native().linkInfo(link).cgroupId, 0n);
  });
}

test("filters of others stay, and with them the hooks; programs run before them", async (t) => {
  const { links, netns, one, pinFolder } = setUp(t, "clsact");
  const [version, foreign] = [loadVersion(t), loadVersion(t)];
  const accept = `${pinFolder}-accept`;
  native().pin(loadTestObject(t, "device_test").program("accept"), accept);
  t.after(() => rmSync(accept));
  netns.tc("qdisc", "add", "dev", "one", "clsact");
  netns.tc("filter", "add", "dev", "one", "egress", "prio", "1", "bpf", "direct-action", "pinned", accept);
  const other = openDeviceLinks({ pinFolder: makePinFolder(t), netns: netns.path, mechanism: "clsact" });
  await other.attach(one, foreign.programs);
  await links.attach(one, version.programs);
  await netns.sendFrames("one", 4);
  assert.deepEqual([version.sent(), foreign.sent()], [4, 4]);
  await links.attach(one, []);
  await netns.sendFrames("one", 4);
  assert.deepEqual([version.sent(), foreign.sent()], [4, 8]);
  await other.attach(one, []);
  assert.match(netns.tc("filter", "show", "dev", "one", "egress"), /bpf.*accept/);
});

test("on a device with the qdisc ingress filters are refused, since those for egress would run on what it receives", async (t) => {
  const { links, netns, one } = setUp(t, "clsact");
  netns.tc("qdisc", "add", "dev", "one", "ingress");
  await assert.rejects(links.attach(one, loadVersion(t).programs), {
    message: `Cannot attach program "frame_in" to device ${one} (ingress, clsact): EINVAL`,
  });
  assert.equal(netns.tc("filter", "show", "dev", "one", "ingress"), "");
  netns.tc("qdisc", "del", "dev", "one", "ingress");
  await links.attach(one, loadVersion(t).programs);
});

if (MECHANISMS.includes("tcx")) {
  test("while links and filters take each other's place, every frame counts exactly once", async (t) => {
    const { netns, one, pinFolder } = setUp(t, "tcx");
    const { once: programs, sent } = loadVersion(t);
    const [links, filters] = MECHANISMS.map((mechanism) =>
      openDeviceLinks({ pinFolder, netns: netns.path, mechanism }),
    );
    assert.ok(links && filters);
    await links.attachAtOnce(one, programs);
    let sending = true;
    const frames = netns.sendFrames("one", 100_000).finally(() => {
      sending = false;
    });
    let changed = 0;
    for (; sending; changed++) {
      await links.attach(one, programs);
      assert.doesNotMatch(netns.tc("filter", "show", "dev", "one", "egress"), /once_out/);
      await filters.attach(one, programs);
      assert.deepEqual(readdirSync(pinFolder), []);
    }
    await frames;
    t.diagnostic(`changed ${2 * changed} times`);
    assert.ok(changed > 3);
    assert.equal(sent(), 100_000);
  });

  test("a device that refuses filters gets its links at once", async (t) => {
    const { links, netns, one, pinFolder } = setUp(t, "tcx");
    const version = loadVersion(t);
    netns.tc("qdisc", "add", "dev", "one", "ingress");
    assert.equal(await links.attachAtOnce(one, version.programs), false);
    assert.deepEqual(readdirSync(pinFolder).length, 2);
    await netns.sendFrames("one", 2);
    assert.equal(version.sent(), 2);
    assert.doesNotMatch(netns.tc("filter", "show", "dev", "one", "ingress"), /frame_in/);
    assert.match(netns.tc("qdisc", "show", "dev", "one"), /ingress/);
  });

  test("an agent that was killed between links and filters leaves both, which the next one or the uninstalling removes", async (t) => {
    const { links, netns, one, two, pinFolder } = setUp(t, "tcx");
    const [old, next] = [loadVersion(t), loadVersion(t)];
    const makeBoth = async (ifindex: number) => {
      await createClsactFilters(pinFolder, netns.path).attach(ifindex, old.programs);
      await createTcxLinks(pinFolder, netns.path).attach(ifindex, old.programs);
    };
    for (const attach of [links.attach, links.attachAtOnce]) {
      await makeBoth(one);
      const before = next.sent();
      await attach(one, next.programs);
      await netns.sendFrames("one", 3);
      assert.deepEqual([old.sent(), next.sent() - before], [0, 3]);
      assert.doesNotMatch(netns.tc("qdisc", "show"), /clsact/);
    }
    await makeBoth(two);
    await links.retain(new Set([one]));
    await netns.sendFrames("two", 2);
    assert.equal(old.sent(), 0);
    await makeBoth(one);
    await removePins(pinFolder, netns.path);
    assert.doesNotMatch(netns.tc("qdisc", "show"), /clsact/);
    await netns.sendFrames("one", 2);
    assert.deepEqual([old.sent(), next.sent()], [0, 6]);
  });

  test("an agent that uses the other mechanism than the one before takes its devices over", async (t) => {
    const { netns, one, pinFolder } = setUp(t, "tcx");
    const [old, next] = [loadVersion(t), loadVersion(t)];
    const open = (mechanism: MechanismName) => openDeviceLinks({ pinFolder, netns: netns.path, mechanism });
    for (const [from, to] of [
      ["tcx", "clsact"],
      ["clsact", "tcx"],
    ] as const) {
      const [sentOld, sentNext] = [old.sent(), next.sent()];
      await open(from).attach(one, old.programs);
      await open(to).attach(one, next.programs);
      await open(to).retain(new Set([one]));
      await netns.sendFrames("one", 6);
      assert.deepEqual([old.sent() - sentOld, next.sent() - sentNext], [0, 6]);
      await open(to).retain(new Set());
    }
    assertNothingLeft(netns, pinFolder);
  });
}
