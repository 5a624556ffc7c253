import assert from "node:assert/strict";
import { test } from "node:test";
import { formatPrefix, parsePrefix } from "@isthmus/model";
import { createClusterRanges } from "./cluster-ranges.js";

function rig() {
  const ranges = createClusterRanges(1);
  const set = (cluster: number, node: string, ...texts: readonly string[]) =>
    ranges.setNode(cluster, node, texts.map(parsePrefix));
  const supernet = (cluster: number) => {
    const prefix = ranges.supernet(cluster);
    return prefix && formatPrefix(prefix);
  };
  const changes = () => {
    const { ranges: texts, supernets } = ranges.takeChanges();
    return { ranges: [...texts], supernets: [...supernets] };
  };
  return { ranges, set, supernet, changes };
}

test("the supernet contains all IPv4 ranges of a cluster, and shrinks when a node goes", () => {
  const { set, supernet, changes } = rig();
  set(2, "a", "10.1.0.0/24", "fd00::/64");
  assert.deepEqual(changes(), { ranges: ["10.1.0.0/24", "fd00::/64"], supernets: [2] });
  assert.equal(supernet(2), "10.1.0.0/24");
  set(2, "b", "10.1.3.0/24");
  assert.deepEqual(changes(), { ranges: ["10.1.3.0/24"], supernets: [2] });
  assert.equal(supernet(2), "10.1.0.0/22");
  set(2, "c", "10.1.1.0/24");
  assert.deepEqual(changes(), { ranges: ["10.1.1.0/24"], supernets: [] });
  set(2, "b");
  changes();
  assert.equal(supernet(2), "10.1.0.0/23");
  set(2, "a");
  set(2, "c");
  assert.deepEqual(changes().supernets, [2]);
  assert.equal(supernet(2), undefined);
});

test("a range of two clusters is the local one's, else of the one that had it first", () => {
  const { ranges, set, changes } = rig();
  const owner = () => ranges.ranges.get("10.1.0.0/24")?.cluster;
  set(3, "a", "10.1.0.0/24");
  set(2, "a", "10.1.0.0/24");
  changes();
  assert.equal(owner(), 3);
  set(1, "a", "10.1.0.0/24");
  assert.deepEqual(changes().ranges, ["10.1.0.0/24"]);
  assert.equal(owner(), 1);
  set(1, "a");
  set(3, "a");
  changes();
  assert.equal(owner(), 2);
  set(2, "a");
  assert.deepEqual(changes().ranges, ["10.1.0.0/24"]);
  assert.equal(ranges.ranges.size, 0);
  assert.equal(ranges.containing(parsePrefix("10.1.0.0/25")), undefined);
});
