import assert from "node:assert/strict";
import { test } from "node:test";
import type { ToAgent } from "@isthmus/proto";
import { createRecordSource, makeService } from "@isthmus/testing";
import { createSource } from "./source.js";

test("the work of a full repair is proportional to the records, not to records times buckets", () => {
  const from = createRecordSource({ clusterId: 2 });
  from.change(Array.from({ length: 30_000 }, (_, i) => makeService(`a/s${i}`)));
  const source = createSource({ clusterId: 2, floor: undefined });
  const take = ({ message }: ToAgent) => {
    if (message?.$case === "batch") return source.batch(message.value);
    if (message?.$case === "mark") return source.mark(message.value);
    return message?.$case === "bucket" ? source.bucket(message.value) : {};
  };
  for (const message of from.firstSync()) take(message);
  const base = performance.now();
  for (const message of from.firstSync()) take(message);
  const unit = performance.now() - base;
  from.change([makeService("a/lost")]);
  const asked = take(from.change([makeService("a/other")])).buckets ?? [];
  const answers = asked.flatMap((each) => from.answer(each));
  const began = performance.now();
  for (const message of answers) take(message);
  const took = performance.now() - began;
  assert.equal(source.phase, "InSync");
  assert.ok(took < 20 * unit + 500, `${took} ms, a first sync ${unit} ms`);
});
