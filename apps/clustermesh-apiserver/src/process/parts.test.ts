import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "@isthmus/observe";
import { closeParts } from "./close-parts.js";

test("a part that throws, rejects or hangs is logged and does not prevent the others from closing", async () => {
  const lines: string[] = [];
  const log = createLogger({ app: "test", destination: { write: (line) => void lines.push(line) } });
  const closed: number[] = [];
  const parts = [
    () => void closed.push(1),
    () => {
      throw new TypeError("a bug");
    },
    () => Promise.reject(new Error("refused")),
    () => new Promise<void>(() => undefined),
    async () => void closed.push(2),
  ];
  await closeParts(parts, log, 20);
  assert.deepEqual(closed, [1, 2]);
  assert.equal(lines.length, 3);
  assert.match(lines.join(""), /a bug.*refused.*did not end within 20 ms/s);
});
