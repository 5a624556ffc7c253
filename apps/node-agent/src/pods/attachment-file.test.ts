import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { formatAddress, MeshError, parseAddress } from "@isthmus/model";
import { type AttachmentState, createAttachmentFile } from "./attachment-file.js";
import type { PodAddresses } from "./types.js";

const NOTHING: AttachmentState = { attachments: [], last: [], health: undefined };
const NAMED = { containerId: "c1", interfaceName: "eth0", namespace: "shop", name: "cart", uid: "uid-1" };
const NAMED_IN_FILE = `"containerId":"c1","interfaceName":"eth0","namespace":"shop","name":"cart","uid":"uid-1"`;
/** As an agent with layout 1 wrote it; 167772163 is 10.0.0.3. */
const LAYOUT_1 = `{"layout":1,"last":167772163,"attachments":[{"hostDevice":"mesha","address":"10.0.0.1",${NAMED_IN_FILE}}]}\n`;

async function fileWith(t: TestContext, content: string, state: AttachmentState = NOTHING) {
  const folder = await mkdtemp(join(tmpdir(), "mcni-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "pods.json");
  await writeFile(path, content);
  return { path, file: createAttachmentFile(path, () => state) };
}

const addressesOf = (texts: readonly [string, ...string[]]): PodAddresses => {
  const [first, ...others] = texts;
  return [parseAddress(first), ...others.map(parseAddress)];
};

test("a file of layout 1 is taken over, and written in layout 2", async (t) => {
  const { file } = await fileWith(t, LAYOUT_1);
  const state = await file.read();
  assert.deepEqual(state, {
    attachments: [{ hostDevice: "mesha", addresses: addressesOf(["10.0.0.1"]), ...NAMED }],
    last: [parseAddress("10.0.0.3")],
    health: undefined,
  });
  const next = await fileWith(t, "", state);
  await next.file.save();
  assert.equal(
    await readFile(next.path, "utf8"),
    `{"layout":2,"last":["10.0.0.3"],"attachments":[{"hostDevice":"mesha","addresses":["10.0.0.1"],${NAMED_IN_FILE}}]}\n`,
  );
  assert.deepEqual(await next.file.read(), state);
});

test("an agent that reads layout 1 alone refuses this layout, and does not take pods without addresses from it", async (t) => {
  /** The check of the version before; a file that passes it is read with `parseAddress(String(entry.address))`. */
  const isLayout1 = (text: string): boolean => {
    const file = JSON.parse(text) as { layout: unknown; attachments: unknown };
    return file.layout === 1 && Array.isArray(file.attachments);
  };
  const { file, path } = await fileWith(t, LAYOUT_1, {
    ...NOTHING,
    attachments: [{ hostDevice: "mesha", addresses: addressesOf(["10.0.0.1"]), ...NAMED }],
  });
  assert.equal(isLayout1(await readFile(path, "utf8")), true);
  await file.save();
  assert.equal(isLayout1(await readFile(path, "utf8")), false);
});

test("a file of layout 1 in which no address was assigned yet has no last one", async (t) => {
  const { file } = await fileWith(t, '{"layout":1,"last":0,"attachments":[]}');
  assert.deepEqual(await file.read(), NOTHING);
});

test("a pod keeps an address of each family, IPv4 first", async (t) => {
  const entry = `{"hostDevice":"mesha","addresses":["fd00::1","10.0.0.1"],${NAMED_IN_FILE}}`;
  const { file } = await fileWith(t, `{"layout":2,"last":["10.0.0.1","fd00::1"],"attachments":[${entry}]}`);
  const state = await file.read();
  assert.deepEqual(state?.attachments[0]?.addresses.map(formatAddress), ["10.0.0.1", "fd00::1"]);
  const next = await fileWith(t, "", state);
  await next.file.save();
  assert.deepEqual(await next.file.read(), state);
});

test("the node's health address is kept", async (t) => {
  const state = { ...NOTHING, health: parseAddress("10.0.0.254") };
  const { file, path } = await fileWith(t, "", state);
  await file.save();
  assert.equal(await readFile(path, "utf8"), '{"layout":2,"last":[],"health":"10.0.0.254","attachments":[]}\n');
  assert.deepEqual(await file.read(), state);
});

test("a file that cannot be read is refused with the reason", async (t) => {
  const pod = (addresses: string) =>
    `{"layout":2,"last":[],"attachments":[{"hostDevice":"mesha","addresses":${addresses},${NAMED_IN_FILE}}]}`;
  const refused: readonly (readonly [string, RegExp])[] = [
    ["", /JSON/],
    ['{"layout":2,"atta', /JSON/],
    ["null", /layout undefined is not 1 or 2/],
    ['{"layout":3,"last":[],"attachments":[]}', /layout 3 is not 1 or 2/],
    ['{"layout":2,"last":[]}', /"attachments" is not a list/],
    ['{"layout":2,"last":7,"attachments":[]}', /"last" is not a list/],
    ['{"layout":2,"last":[],"health":7,"attachments":[]}', /Cannot read "7" as an IP address/],
    [pod("[]"), /a pod has no address/],
    [pod('"10.0.0.1"'), /"addresses" is not a list/],
    [pod('["10.0.0.256"]'), /Cannot read "10.0.0.256" as an IP address/],
    [pod('["10.0.0.1","10.0.0.2"]'), /a pod has 2 addresses of 1 families/],
    [LAYOUT_1.replace("10.0.0.1", "x"), /Cannot read "x" as an IP address/],
  ];
  for (const [content, reason] of refused) {
    const { file, path } = await fileWith(t, content);
    await assert.rejects(file.read(), (error) => {
      assert.ok(error instanceof MeshError && error.code === "STATE_FILE", content);
      assert.ok(error.message.startsWith(`Cannot read the pods' state file "${path}": `), error.message);
      assert.match(error.message, reason);
      assert.ok(error.message.length < path.length + 200, error.message);
      return true;
    });
  }
});
