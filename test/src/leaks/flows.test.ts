/** The program of the leak test's pods, between processes of this machine. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { freePort, until } from "@isthmus/testing";
import { compile } from "../e2e/probe-image.js";
import { nowMicros } from "./history.js";
import type { Probe } from "./judge.js";
import { parseLine } from "./prober.js";

let folder: string;
let flows: string;
let port: number;
let closed: number;
const children: ChildProcess[] = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "isthmus-flows-"));
  flows = await compile("flows", folder);
  [port, closed] = [await freePort(), await freePort()];
  start("serve", String(port));
});
after(async () => {
  for (const child of children) child.kill("SIGKILL");
  await rm(folder, { recursive: true });
});

function start(...argv: readonly string[]) {
  const child = spawn(flows, argv, { stdio: ["pipe", "pipe", "inherit"] });
  children.push(child);
  const probes: Probe[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    const read = parseLine("client", line);
    if (!("late" in read)) probes.push(read);
  });
  return { child, probes };
}

/** As `connect open` of each that there was. */
const found = (probes: readonly Probe[], target: number) =>
  new Set(
    probes.filter((one) => one.target === `127.0.0.1:${target}`).map(({ kind, outcome }) => `${kind} ${outcome}`),
  );

test("tells what was established and what was refused, by TCP and UDP, new and kept", async () => {
  const began = nowMicros();
  const { child, probes } = start("probe", "100");
  const all = [port, closed].map((one) => `127.0.0.1:${one}`).join(" ");
  for (const kind of ["connect", "ask", "hold", "flow"]) child.stdin?.write(`${kind} ${all}\n`);
  const [open, refused] = [4, 3];
  await until("each outcome", () => found(probes, port).size >= open && found(probes, closed).size >= refused);
  assert.deepEqual([...found(probes, port)].sort(), ["ask open", "connect open", "flow open", "hold open"]);
  assert.deepEqual([...found(probes, closed)].sort(), ["ask refused", "connect refused", "flow refused"]);
  for (const { kind, outcome, answeredBy, began: from, ended } of probes) {
    assert.ok(began <= from && from <= ended && ended <= nowMicros(), "on the clock of this process");
    assert.equal(answeredBy, outcome === "open" ? hostname() : undefined, kind);
  }
  // Other targets replace those before.
  for (const kind of ["connect", "ask", "hold", "flow"]) child.stdin?.write(`${kind}\n`);
  child.stdin?.end();
  const [code] = await once(child, "close");
  assert.equal(code, 0);
});

test("dials from its first moment on, and goes on to run", async () => {
  const { child, probes } = start("first", "100", "1", `127.0.0.1:${port}`);
  await until("what was found in a second", () => probes.length >= 50);
  assert.deepEqual([...found(probes, port)], ["connect open"]);
  assert.equal(child.exitCode, null);
});

test("holds as many connections to a target as its line names it, and names the server of one that is lost", async () => {
  const other = await freePort();
  const server = start("serve", String(other));
  const { child, probes } = start("probe", "10");
  const line = (times: number) => child.stdin?.write(`hold${` 127.0.0.1:${other}`.repeat(times)}\n`);
  const held = (since: number) =>
    new Set(probes.filter(({ kind, began }) => kind === "hold" && began >= since).map(({ sourcePort }) => sourcePort));
  line(3);
  await until("three connections", () => held(0).size === 3);
  const before = held(0);
  line(2);
  // Of those before, and no new ones.
  await until("two connections", () => held(nowMicros() - 500_000).size === 2);
  assert.ok([...held(nowMicros() - 500_000)].every((one) => before.has(one)));
  server.child.kill("SIGKILL");
  const lost = () => probes.filter(({ kind, outcome }) => kind === "hold" && outcome !== "open");
  await until("both to be lost", () => lost().length === 2);
  assert.deepEqual(
    lost().map(({ outcome, answeredBy }) => [outcome, answeredBy]),
    Array(2).fill(["reset", hostname()]),
  );
  line(0);
});
