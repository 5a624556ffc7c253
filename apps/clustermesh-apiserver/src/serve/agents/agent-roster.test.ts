import assert from "node:assert/strict";
import { test } from "node:test";
import { createAgentRoster } from "./agent-roster.js";

test("an agent is admitted while a place is free, and refused beyond", () => {
  const roster = createAgentRoster<string>(2);
  assert.deepEqual(roster.admit("n1"), { replaced: undefined });
  roster.add("n1", "first of n1");
  roster.add("n2", "first of n2");
  assert.deepEqual(roster.admit("n3"), { refused: "too many agents" });
  assert.equal(roster.remove("n2", "first of n2"), true);
  assert.deepEqual(roster.admit("n3"), { replaced: undefined });
});

test("a newer stream of a node replaces the older one, also when all places are taken", () => {
  const roster = createAgentRoster<string>(1);
  roster.add("n1", "older");
  assert.deepEqual(roster.admit("n1"), { replaced: "older" });
  roster.add("n1", "newer");
  assert.equal(roster.remove("n1", "older"), false, "the end of the older stream does not remove the newer one");
  assert.deepEqual([roster.all(), roster.size], [["newer"], 1]);
  assert.equal(roster.remove("n1", "newer"), true);
  assert.deepEqual([roster.all(), roster.size], [[], 0]);
});

test("a draining roster admits nobody, not even a node that has a stream, and keeps its agents until they close", () => {
  const roster = createAgentRoster<string>(2);
  roster.add("n1", "a");
  assert.deepEqual(roster.drain(), ["a"]);
  assert.deepEqual(roster.admit("n1"), { refused: "shutting down" });
  assert.deepEqual(roster.admit("n2"), { refused: "shutting down" });
  assert.equal(roster.size, 1);
  assert.equal(roster.remove("n1", "a"), true);
  assert.equal(roster.size, 0);
});
