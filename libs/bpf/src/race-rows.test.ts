/** Programs write rows (bpf/lib/orig_dst.h, bpf/lib/udp.h, bpf/lib/conntrack.h) while other CPUs read them or reuse their memory. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { MAP_NAMES } from "./index.js";
import { loadTestObject, type TestObject } from "./testing/objects.js";
import { READERS, RUNS, race } from "./testing/race.js";

function loadRows(t: TestContext): TestObject {
  return loadTestObject(t, "race_rows_test", { [MAP_NAMES.udpReverse]: 64 });
}

/** Repeats until the race happened: some rows in memory were torn, and others were read. */
async function runUntilRace(t: TestContext, program: string, runs: number, loaded = loadRows(t)) {
  const round = (rounds: number) => race(t, loaded, [program], rounds, () => setImmediate(undefined), runs);
  let counts = await round(2);
  for (let i = 0; i < 100 && (counts.torn === 0 || counts.churned === 0); i++) counts = await round(1);
  assert.ok(counts.reads >= 2 * READERS * runs, `${counts.reads} reads`);
  assert.ok(counts.torn > 0, "no torn row was in memory");
  assert.ok(counts.churned > 0, "no row was read");
  return counts;
}

test("sockets that share a slot of the ring never show each other's VIP or a torn one", async (t) => {
  assert.equal((await runUntilRace(t, "race_recent", RUNS)).mixed, 0);
});

test("the source of a datagram is the socket's own VIP or none while rows are reused for other sockets", async (t) => {
  assert.equal((await runUntilRace(t, "race_reverse", 3_000)).mixed, 0);
});

test("a row that is given to other flows, and changed late, never shows a flow what is another's", async (t) => {
  const flows = loadTestObject(t, "flow_race_test", { [MAP_NAMES.conntrack]: 1 }, { flowSets: 1n });
  assert.equal((await runUntilRace(t, "race_flows", 20_000, flows)).mixed, 0);
});
