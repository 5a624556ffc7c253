import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@isthmus/model";
import { runLab } from "./run-lab.js";

test("an interrupted command ends at once with the exit code of its signal", async () => {
  for (const [reason, code] of [
    [new MeshError({ code: "INTERRUPTED", exit: 143 }, "Interrupted"), 143],
    [new MeshError({ code: "INTERRUPTED", exit: 130 }, "Interrupted"), 130],
    [undefined, 130],
  ] as const) {
    const err: string[] = [];
    const io = { out: () => undefined, err: (text: string) => void err.push(text), env: {} };
    const ran = await runLab(["down", "--name", "no-such-lab"], { ...io, signal: AbortSignal.abort(reason) });
    assert.deepEqual([ran, err.join("")], [code, "Interrupted\n"]);
  }
});
