import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Address, formatAddress, parseAddress, parsePrefix } from "@isthmus/model";
import { createLogger } from "@isthmus/observe";
import { type Attachments, createAttachments, type KernelState } from "./attachments.js";
import type { PodAttachment } from "./types.js";

const CIDR = parsePrefix("10.0.0.0/24");

interface Fixture {
  readonly folder: string;
  readonly down: string[];
  open(): Attachments;
}

async function fixture(t: TestContext): Promise<Fixture> {
  const folder = await mkdtemp(join(tmpdir(), "mcni-"));
  t.after(() => rm(folder, { recursive: true }));
  const down: string[] = [];
  const report = { down: (pod: PodAttachment) => void down.push(pod.hostDevice) };
  return {
    folder,
    down,
    open: () => createAttachments(folder, { log: createLogger({ app: "t", level: "silent" }), report }),
  };
}

const pod = (hostDevice: string) => ({
  hostDevice,
  containerId: hostDevice,
  interfaceName: "eth0",
  namespace: "shop",
  name: "cart",
  uid: `uid-${hostDevice}`,
});

const text = (address: Address | undefined) => address && formatAddress(address);

const observed = (addresses: Readonly<Record<string, string>>, more: readonly string[] = []): KernelState => ({
  devices: new Set([...Object.keys(addresses), ...more]),
  ownedDevices: new Set([...Object.keys(addresses), ...more]),
  addresses: new Map(Object.entries(addresses).map(([device, address]) => [device, [parseAddress(address)]])),
});

test("saved attachments whose device exists are loaded, and the next address follows the last assigned one", async (t) => {
  const { open } = await fixture(t);
  const before = open();
  for (const device of ["mesha", "meshb"]) before.add(pod(device), CIDR);
  await before.save();
  const after = open();
  assert.deepEqual(await after.load(observed({ mesha: "10.0.0.1" }, ["meshhalf"])), ["meshhalf"]);
  assert.deepEqual(after.list(), before.list().slice(0, 1));
  assert.equal(formatAddress(after.add(pod("meshc"), CIDR).addresses[0]), "10.0.0.3");
});

test("without a file, or with a truncated one or one of another layout, addresses are read from the kernel", async (t) => {
  const { open, folder } = await fixture(t);
  for (const content of [undefined, "", '{"layout":1,"atta', '{"layout":9,"attachments":[]}', "null"]) {
    if (content !== undefined) await writeFile(join(folder, "pods.json"), content);
    const table = open();
    assert.deepEqual(await table.load(observed({ mesha: "10.0.0.1" })), []);
    assert.equal(formatAddress(table.add(pod("meshb"), CIDR).addresses[0]), "10.0.0.2");
  }
});

test("an address without a device is reclaimed, unless a call has replaced its entry meanwhile", async (t) => {
  const { open, down } = await fixture(t);
  const table = open();
  const [, b, c] = ["mesha", "meshb", "meshc"].map((device) => table.add(pod(device), CIDR));
  assert.ok(b !== undefined && c !== undefined);
  table.put({ ...b });
  table.reclaim([b, c]);
  assert.deepEqual(
    table.list().map((entry) => entry.hostDevice),
    ["mesha", "meshb"],
  );
  assert.deepEqual(down, ["meshc"]);
});

test("the health address is kept over a restart, and no pod gets it", async (t) => {
  const { open } = await fixture(t);
  const small = parsePrefix("10.0.0.0/29");
  const before = open();
  assert.equal(text(before.takeHealth(CIDR)), "10.0.0.254");
  assert.equal(text(before.takeHealth(small)), "10.0.0.6", "one outside the CIDR is given up");
  await before.save();
  const after = open();
  await after.load(observed({}));
  const given = [1, 2, 3, 4, 5].map((i) => formatAddress(after.add(pod(`mesh${i}`), small).addresses[0]));
  assert.deepEqual(
    given,
    [1, 2, 3, 4, 5].map((i) => `10.0.0.${i}`),
  );
  assert.throws(() => after.add(pod("mesh6"), small), /all 6 of pod CIDR "10.0.0.0\/29" are in use/);
  assert.equal(text(after.takeHealth(small)), "10.0.0.6");
});

test("a health address that a pod got meanwhile is left to the pod; with all in use there is none until one is free", async (t) => {
  const { open, folder } = await fixture(t);
  const small = parsePrefix("10.0.0.0/29");
  const taken = Object.fromEntries([1, 2, 3, 4, 6].map((i) => [`mesh${i}`, `10.0.0.${i}`]));
  await writeFile(join(folder, "pods.json"), '{"layout":2,"last":[],"health":"10.0.0.6","attachments":[]}');
  const table = open();
  await table.load(observed(taken));
  assert.equal(text(table.takeHealth(small)), "10.0.0.5");
  const full = open();
  await full.load(observed({ ...taken, mesh5: "10.0.0.5" }));
  assert.equal(full.takeHealth(small), undefined);
  full.remove("mesh3");
  assert.equal(text(full.takeHealth(small)), "10.0.0.3");
});

test("after many concurrent saves the file contains the newest state", async (t) => {
  const { open, folder } = await fixture(t);
  const table = open();
  const saves: Promise<void>[] = [];
  for (let i = 0; i < 50; i++) {
    table.add(pod(`mesh${i}`), CIDR);
    saves.push(table.save());
  }
  await Promise.all(saves);
  assert.equal(JSON.parse(await readFile(join(folder, "pods.json"), "utf8")).attachments.length, 50);
});
