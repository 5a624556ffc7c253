import assert from "node:assert/strict";
import { test } from "node:test";
import { formatPrefix, parseAddress, parsePrefix } from "@isthmus/model";
import { Node } from "@isthmus/proto";
import { whole } from "../../testing/whole.js";
import { nodeName } from "../nodes/nodes.js";
import { createServiceRanges } from "./service-ranges.js";

const ONE = nodeName(1, "one");
const WEST = nodeName(2, "w");

function node(addresses: readonly string[], podCidrs: readonly string[]): Node {
  return Node.fromPartial({
    addresses: addresses.map((text) => Buffer.from(parseAddress(text))),
    podCidrs: podCidrs.map(parsePrefix).map(({ address, length }) => ({ address: Buffer.from(address), length })),
  });
}

function made(ranges: readonly string[]) {
  const made = createServiceRanges();
  const setRanges: typeof made.setRanges = (next) => {
    made.setRanges(next);
    whole(made.compare());
  };
  setRanges(ranges.map(parsePrefix));
  return { ...made, setRanges, exclusive: () => made.exclusive.map(formatPrefix), shared: () => [...made.shared] };
}

test("a range without addresses of nodes or pods may be refused", () => {
  const { setNode, exclusive, shared } = made(["10.96.0.0/16", "fd00:96::/108"]);
  setNode(ONE, node(["10.0.0.1"], ["10.11.0.0/24"]));
  assert.deepEqual(exclusive(), ["10.96.0.0/16", "fd00:96::/108"]);
  assert.deepEqual(shared(), []);
});

test("a range is not refused while pods or nodes have addresses in it", () => {
  const { setNode, exclusive, shared } = made(["10.96.0.0/12", "10.32.0.0/16"]);
  setNode(ONE, node(["10.0.0.1"], ["10.100.7.0/24"]));
  setNode(WEST, node(["10.96.0.200"], []));
  assert.deepEqual(exclusive(), ["10.32.0.0/16"]);
  assert.deepEqual(shared(), [["10.96.0.0/12", ONE]]);
  setNode(ONE, undefined);
  assert.deepEqual(shared(), [["10.96.0.0/12", WEST]]);
  setNode(WEST, node(["10.0.0.2"], []));
  assert.deepEqual(exclusive(), ["10.96.0.0/12", "10.32.0.0/16"]);
});

test("new ranges are compared with the known nodes", () => {
  const { setNode, setRanges, exclusive } = made(["10.96.0.0/16"]);
  setNode(ONE, node([], ["10.100.7.0/24"]));
  setRanges(["10.100.0.0/16", "10.97.0.0/16"].map(parsePrefix));
  assert.deepEqual(exclusive(), ["10.97.0.0/16"]);
});

test("invalid prefixes are ignored", () => {
  const { setRanges, exclusive } = made(["10.96.0.0/16"]);
  setRanges([
    { address: new Uint8Array(4), length: 8 },
    { address: new Uint8Array(16), length: 200 },
  ]);
  assert.deepEqual(exclusive(), []);
});
