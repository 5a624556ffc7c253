import assert from "node:assert/strict";
import { test } from "node:test";
import { createServerList } from "./server-list.js";

test("configured servers come first, then learned ones; a round ends when all were tried", () => {
  const list = createServerList(["a:1"], ["b:1", "c:1"], () => 0);
  assert.equal(list.next(), "a:1");
  assert.equal(list.exhausted, false);
  assert.deepEqual(new Set([list.next(), list.next()]), new Set(["b:1", "c:1"]));
  assert.equal(list.exhausted, true);
  assert.equal(list.next(), "a:1");
});

test("after a success a new round begins after the server that worked", () => {
  const list = createServerList(["a:1", "b:1"], [], () => 0);
  const first = list.next();
  list.reportSuccess();
  assert.notEqual(list.next(), first);
  assert.equal(list.exhausted, false);
});

test("a server that is listed twice is tried once, and learning keeps the position in the round", () => {
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

test("learned entries that are no addresses are ignored, and so are those after the first 64", () => {
  const list = createServerList(["a:1"], [], () => 0);
  list.learn(["b:1", "", "c", "d:0", "e:99999", "http://f:1", "g:1"]);
  assert.deepEqual(list.learned, ["b:1", "g:1"]);
  assert.deepEqual([list.next(), list.next(), list.next(), list.next()], ["a:1", "b:1", "g:1", "a:1"]);
  list.learn(Array.from({ length: 1000 }, (_, i) => `s${i}:1`));
  assert.equal(list.learned.length, 64);
});
