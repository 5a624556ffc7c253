import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClusterId, type ClusterName, isV4 } from "@isthmus/model";
import { Family, Slice } from "@isthmus/proto";
import fc from "fast-check";
import { addressWords, wordsAddress } from "./address-words.js";
import { backendHash } from "./backend-hash.js";
import { readSlice } from "./read-slice.js";
import { createTextPool } from "./text-pool.js";

const EAST = { cluster: "east" as ClusterName, id: 7 as ClusterId };

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length }).map((b) => Buffer.from(b));
const v4 = bytes(4).map((b) => Buffer.concat([Buffer.from("00000000000000000000ffff", "hex"), b]));
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const port = fc.record({ name: fc.string({ unit: "grapheme" }), protocol: u32, port: u32 });
const backend = fc.record({
  address: fc.oneof({ weight: 6, arbitrary: v4 }, bytes(16), bytes(5)),
  conditions: fc.nat(7),
  weight: fc.oneof(fc.constant(0), u32),
  node: fc.oneof(fc.constantFrom("n1", "n2"), fc.string({ unit: "grapheme" })),
  zone: fc.string(),
  forZones: fc.array(fc.string(), { maxLength: 2 }),
  hostname: fc.string(),
  podUid: fc.string(),
});
const slice = fc.record({
  family: fc.constantFrom(Family.FAMILY_IPV4, Family.FAMILY_IPV6, Family.FAMILY_UNSPECIFIED),
  ports: fc.array(port, { maxLength: 3 }),
  backends: fc.array(backend, { maxLength: 5 }),
});

/** The fields of a slice that the merge uses, by the generated decoder. */
function expected(value: Uint8Array, i: number) {
  const { family, ports, backends } = Slice.decode(value);
  return backends
    .filter(({ address }) => address.length === 16 && family === (isV4(address) ? 4 : 6))
    .map(({ address, conditions, weight, node }) => ({ address, conditions, weight, node, ...portOf(ports[i]) }))
    .map(({ address, conditions, weight, node, port, protocol }) => ({
      cluster: EAST.cluster,
      clusterId: EAST.id,
      address: address.toString("hex"),
      port,
      protocol,
      hash: backendHash(EAST.id, addressWords(address), port, protocol),
      ready: (conditions & 1) !== 0,
      serving: (conditions & 6) === 6,
      node,
      weight: weight === 0 ? 1 : weight,
    }));
}

const portOf = ({ port, protocol }: { port: number; protocol: number } = { port: 0, protocol: 0 }) => ({
  port,
  protocol,
});

function read(value: Uint8Array) {
  const view = readSlice({ ...EAST, texts: createTextPool() }, value);
  const backends = (i: number) =>
    view.backends(i).map(({ word0, word1, word2, word3, ...found }) => {
      const address = Buffer.from(wordsAddress({ word0, word1, word2, word3 })).toString("hex");
      return { ...found, address };
    });
  return { ...view, backends };
}

test("every slice is decoded as by the generated decoder", () => {
  fc.assert(
    fc.property(slice, (message) => {
      // At an odd offset of a larger buffer, like records in a message.
      const encoded = Slice.encode(Slice.fromPartial(message)).finish();
      const value = Buffer.concat([Buffer.alloc(3), encoded, Buffer.alloc(5)]).subarray(3, 3 + encoded.length);
      const view = read(value);
      assert.deepEqual([view.family, view.ports], [Slice.decode(value).family, Slice.decode(value).ports]);
      for (const i of [0, 1, 2]) assert.deepEqual(view.backends(i), expected(value, i));
    }),
  );
});

test("unknown fields are skipped", () => {
  const known = Slice.encode(Slice.fromPartial({ family: 4, ports: [{ name: "a", protocol: 6, port: 1 }] })).finish();
  const unknown = Buffer.from([0x78, 0x80, 0x01, 0x7a, 0x02, 9, 9, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7d, 1, 2, 3, 4]);
  assert.deepEqual(read(Buffer.concat([unknown, known])).ports, Slice.decode(known).ports);
});

test("truncated bytes are rejected where the generated decoder rejects them, and never read beyond their end", () => {
  fc.assert(
    fc.property(slice, fc.nat(), (message, cut) => {
      const whole = Slice.encode(Slice.fromPartial(message)).finish();
      const value = whole.subarray(0, cut % (whole.length + 1));
      let wanted: unknown;
      try {
        wanted = expected(value, 0);
      } catch {
        assert.throws(() => read(value), RangeError);
        return;
      }
      assert.deepEqual(read(value).backends(0), wanted);
    }),
  );
});

test("bytes that are not a message are rejected", () => {
  for (const hex of ["00", "07", "ff", "0b", "1a05", `08${"ff".repeat(11)}`, "1a030a0501"]) {
    assert.throws(() => read(Buffer.from(hex, "hex")), RangeError, hex);
  }
});

test("a text is always the same string, and texts in the same slot of the pool do not change it", () => {
  const pool = createTextPool();
  const bytesOf = (text: string) => Buffer.from(text);
  const texts = Array.from({ length: 20_000 }, (_, i) => `node-${i}.example`);
  for (const text of [...texts, ...texts, "", "nödé", "n".repeat(300)]) {
    assert.equal(pool.read(bytesOf(`..${text}..`), 2, 2 + bytesOf(text).length), text);
  }
});
