import assert from "node:assert/strict";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { isAdminError } from "./admin-error.js";
import { createOneAtATime } from "./one-at-a-time.js";

test("work runs in the order in which it came, one at a time, and what is too much is refused", async () => {
  const one = createOneAtATime(2, "lists");
  const log: string[] = [];
  const release: (() => void)[] = [];
  const work = (name: string) =>
    one.run(async () => {
      log.push(`${name} begins`);
      await new Promise<void>((resolve) => release.push(resolve));
      log.push(`${name} ends`);
      if (name === "b") throw new Error("b failed");
      return name;
    });
  const [a, b, c] = [work("a"), work("b"), work("c")];
  await assert.rejects(work("d"), (thrown: unknown) => {
    assert.ok(isAdminError(thrown));
    assert.equal(thrown.data.status, status.RESOURCE_EXHAUSTED);
    return /3 lists run or wait here already: try again later/.test(thrown.message);
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const failed = assert.rejects(b, /b failed/);
  for (let i = 0; i < 3; i++) {
    await turn();
    assert.equal(release.length, 1);
    release.pop()?.();
  }
  assert.deepEqual([await a, await c], ["a", "c"]);
  await failed;
  assert.deepEqual(log, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
  const again = work("e");
  await turn();
  release.pop()?.();
  assert.equal(await again, "e");
});
