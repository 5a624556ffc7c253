/** Which pods the condition names, and for how long. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createLogger } from "@isthmus/observe";
import { FlowEvent } from "@isthmus/proto";
import { createFakeClock } from "@isthmus/testing";
import { createSpoofingReport } from "./spoofing-report.js";

function setUp(t: TestContext) {
  const clock = createFakeClock();
  const said: (string | undefined)[] = [];
  const lines: string[] = [];
  const stop = new AbortController();
  t.after(() => stop.abort());
  const report = createSpoofingReport({
    condition: (type, message) => {
      assert.equal(type, "PodAddressSpoofed");
      said.push(message);
    },
    log: createLogger({ app: "t", level: "warn", destination: { write: (line) => void lines.push(line) } }),
    ...{ clock, signal: stop.signal },
  });
  return {
    clock,
    said,
    lines,
    drop: (pod: string, dropReason = "spoofed_source") =>
      report.take(FlowEvent.fromPartial({ dropReason, source: { namespace: pod === "" ? "" : "shop", pod } })),
  };
}

const named = (pods: string) =>
  `packets of ${pods} were dropped: their source address or MAC is not the pod's; "mesh monitor --drops" shows them`;

test("a pod is named once, however much it sends; other drops and devices without a pod name nobody", (t) => {
  const { drop, said, lines } = setUp(t);
  drop("a", "malformed");
  drop("");
  for (let i = 0; i < 100; i++) drop("a");
  assert.deepEqual(said, [named('"shop/a"')]);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /shop\/a/);
});

test("three pods are named, the others counted", (t) => {
  const { drop, said } = setUp(t);
  for (const pod of ["a", "b", "c", "d", "e"]) drop(pod);
  assert.equal(said.at(-1), named('"shop/a", "shop/b", "shop/c" and 2 more pods'));
});

test("a pod is named until five minutes after its last packet", async (t) => {
  const { drop, said, clock } = setUp(t);
  drop("a");
  await clock.advance(200_000);
  drop("a");
  drop("b");
  await clock.advance(299_000);
  assert.equal(said.at(-1), named('"shop/a", "shop/b"'));
  drop("b");
  await clock.advance(2000);
  assert.equal(said.at(-1), named('"shop/b"'));
  await clock.advance(300_000);
  assert.equal(said.at(-1), undefined);
});
