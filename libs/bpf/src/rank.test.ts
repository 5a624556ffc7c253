import assert from "node:assert/strict";
import { test } from "node:test";
import { backendGeneration, backendId, backendIndex, nextGeneration, Rank, rankBit, rankOf } from "./index.js";

test("the rank of a word is that of its highest byte that is not zero", () => {
  const word = rankBit(Rank.Draining, 0) | rankBit(Rank.Suspect, 7);
  assert.equal(rankOf(0), Rank.Up);
  assert.equal(rankOf(word), Rank.Suspect);
  assert.equal(rankOf(word | rankBit(Rank.Down, 3)), Rank.Down);
  assert.equal(rankOf(word & ~rankBit(Rank.Suspect, 7)), Rank.Draining);
  assert.equal(rankBit(Rank.Up, 3), 0);
});

test("backend ids encode generation and index, and generations wrap from 255 to 1", () => {
  const id = backendId(255, 0xffffff);
  assert.equal(id, 0xffffffff);
  assert.equal(backendGeneration(id), 255);
  assert.equal(backendIndex(id), 0xffffff);
  assert.equal(nextGeneration(255), 1);
  assert.equal(nextGeneration(0), 1);
});
