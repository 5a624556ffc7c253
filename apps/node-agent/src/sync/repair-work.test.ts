import assert from "node:assert/strict";
import { test } from "node:test";
import { createRecordSource, makeService } from "@isthmus/testing";
import { createSource } from "./source.js";
import { answerAll, feedSource } from "./testing/feed-source.js";

test("the work of a full repair is proportional to the records, not to records times buckets", () => {
  const from = createRecordSource({ clusterId: 2 });
  from.change(Array.from({ length: 30_000 }, (_, i) => makeService(`a/s${i}`)));
  const source = createSource({ clusterId: 2, floor: undefined });
  for (const message of from.firstSync()) feedSource(source, message);
  const base = performance.now();
  for (const message of from.firstSync()) feedSource(source, message);
  const unit = performance.now() - base;
  from.change([makeService("a/lost")]);
  const gap = feedSource(source, from.change([makeService("a/other")]));
  const began = performance.now();
  answerAll(source, gap, from.answer);
  const took = performance.now() - began;
  assert.equal(source.phase, "InSync");
  assert.ok(took < 20 * unit + 500, `${took} ms, a first sync ${unit} ms`);
});
