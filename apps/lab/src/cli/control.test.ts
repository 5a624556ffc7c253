import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProcessRow } from "../supervise/process-table.js";
import { told } from "./control.js";

const row = (pid: number, status: ProcessRow["status"] = "Running"): ProcessRow => ({
  ...{ role: "etcd", cluster: "east", node: "", pid, status, startTicks: 1, restarts: 0, sinceMs: 0, reason: "" },
  holder: false,
});

test("start says what it started, and of what runs that it runs already", () => {
  assert.equal(told("start", row(7), [row(0, "Held")]), "started etcd east (pid 7)");
  assert.equal(told("start", row(7), [row(7)]), "etcd east (pid 7) runs already");
});

test("stop says what it stopped, and of what is held that it was", () => {
  assert.equal(told("stop", row(0, "Held"), [row(7)]), "stopped etcd east");
  assert.equal(told("stop", row(0, "Held"), [row(0, "Held")]), "etcd east was stopped already");
});

test("kill speaks of the process that it killed", () => {
  assert.equal(told("kill", row(7), [row(7)]), "killed etcd east (pid 7)");
});
