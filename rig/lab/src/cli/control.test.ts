import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProcessRow } from "../supervise/process-table.js";
import { resultLine } from "./control.js";

const row = (pid: number, status: ProcessRow["status"] = "Running"): ProcessRow => ({
  ...{ role: "etcd", cluster: "east", node: "", pid, status, startTicks: 1, restarts: 0, sinceMs: 0, reason: "" },
  holder: false,
});

test("start reports the started process, or that it is running already", () => {
  assert.equal(resultLine("start", row(7), [row(0, "Held")]), "started etcd east (pid 7)");
  assert.equal(resultLine("start", row(7), [row(7)]), "etcd east (pid 7) runs already");
});

test("stop reports the stopped process, or that it was stopped already", () => {
  assert.equal(resultLine("stop", row(0, "Held"), [row(7)]), "stopped etcd east");
  assert.equal(resultLine("stop", row(0, "Held"), [row(0, "Held")]), "etcd east was stopped already");
});

test("kill reports the process that it killed", () => {
  assert.equal(resultLine("kill", row(7), [row(7)]), "killed etcd east (pid 7)");
});
