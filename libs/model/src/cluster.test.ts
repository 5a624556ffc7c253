import assert from "node:assert/strict";
import { test } from "node:test";
import { parseClusterId, parseClusterName } from "./cluster.js";
import { MeshError } from "./errors.js";

test("a cluster name is a DNS label of at most 32 characters", () => {
  for (const good of ["a", "east", "eu-west-1", "a".repeat(32)]) assert.equal(parseClusterName(good), good);
  for (const bad of ["", "-a", "a-", "East", "a.b", "a".repeat(33)])
    assert.throws(() => parseClusterName(bad), { code: "CLUSTER_NAME" });
});

test("a cluster id is a whole number from 1 to 4094", () => {
  for (const good of [1, 4094]) assert.equal(parseClusterId(good), good);
  for (const bad of [0, 4095, 1.5, -1, Number.NaN]) assert.throws(() => parseClusterId(bad), { code: "CLUSTER_ID" });
});

test("MeshError.from returns a MeshError unchanged and wraps other errors with the action", () => {
  const known = new MeshError({ code: "X" }, "Cannot x");
  assert.equal(MeshError.from(known), known);
  const wrapped = MeshError.from(new Error("ENOENT"), 'Cannot read "f"');
  assert.equal(wrapped.message, 'Cannot read "f": ENOENT');
  assert.equal((wrapped.cause as Error).message, "ENOENT");
});
