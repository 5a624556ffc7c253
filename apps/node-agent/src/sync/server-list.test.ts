import assert from "node:assert/strict";
import { test } from "node:test";
import { createServerList } from "./server-list.js";

test("the static list goes first, then what was told; a round ends when all were tried", () => {
  const list = createServerList(["a:1"], ["b:1", "c:1"], () => 0);
  assert.equal(list.next(), "a:1");
  assert.equal(list.exhausted, false);
  assert.deepEqual(new Set([list.next(), list.next()]), new Set(["b:1", "c:1"]));
  assert.equal(list.exhausted, true);
  assert.equal(list.next(), "a:1");
});

test("after a success the round begins behind the server that worked", () => {
  const list = createServerList(["a:1", "b:1"], [], () => 0);
  const first = list.next();
  list.worked();
  assert.notEqual(list.next(), first);
  assert.equal(list.exhausted, false);
});

test("a server told twice is one, and learning keeps the place", () => {
  const list = createServerList(["a:1"], []);
  list.next();
  list.learn(["a:1", "b:1"]);
  assert.equal(list.next(), "b:1");
  list.learn(["a:1"]);
  assert.equal(list.next(), "a:1");
  assert.equal(list.next(), "a:1");
});

test("agents spread over the same list", () => {
  const firsts = new Set(Array.from({ length: 100 }, () => createServerList(["a:1", "b:1", "c:1"], []).next()));
  assert.equal(firsts.size, 3);
});
