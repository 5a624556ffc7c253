import assert from "node:assert/strict";
import { test } from "node:test";
import { createInForce } from "./in-force.js";

test("everything is undone once, also when undoing one of it fails", async () => {
  const undone: string[] = [];
  const inForce = createInForce();
  inForce.add("a", async () => {
    throw new Error("a stays");
  });
  inForce.add("b", async () => void undone.push("b"));
  inForce.add("gone", async () => void undone.push("gone"));
  inForce.remove("gone");
  const fault = inForce.put("c", { end: async () => void undone.push("c") });
  await fault.end();
  await assert.rejects(inForce.restore(), /a stays/);
  await inForce.restore();
  assert.deepEqual(undone, ["c", "b"]);
});
