import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type FakeBehaviour, FakeWorld } from "../drive/testing/fake-world.js";
import { makeReport, type Report } from "../judge/report.js";
import { FAULT_NAMES, type FaultName } from "../judge/runs.js";
import { DENIED } from "../judge/testing/made-traffic.js";
import { driveFaults } from "./faults.js";

async function run(ways: FakeBehaviour, names: readonly FaultName[] = FAULT_NAMES): Promise<Report> {
  const world = new FakeWorld(ways);
  const { runs, problem } = await driveFaults(world, names);
  await world.until(world.now() + 2000);
  const traffic = { rate: 100, samples: world.samples, stalls: [] };
  return makeReport({ runs, problem, traffic, denied: DENIED, moves: [], begun: 0, startedAt: "" });
}

function failed(report: Report): readonly string[] {
  return report.faults.filter((fault) => !fault.passed).map((fault) => fault.name);
}

function broken(report: Report): readonly string[] {
  return report.faults.flatMap((fault) => fault.checks.filter((c) => !c.passed).map((c) => `${fault.name}: ${c.text}`));
}

describe("driving the faults", () => {
  test("a working mesh passes all faults, in order", async () => {
    const report = await run({});
    assert.deepEqual(broken(report), []);
    assert.equal(report.problem, null);
    assert.deepEqual(
      report.faults.map((fault) => fault.name),
      [...FAULT_NAMES],
    );
    assert.equal(report.passed, true);
    assert.ok(report.seconds.length < 320, `took ${report.seconds.length} s`);
  });

  test("each fault also runs alone", async () => {
    for (const name of FAULT_NAMES) assert.deepEqual(broken(await run({}, [name])), []);
  });

  test("a suspended agent fails the demo", async () => {
    const report = await run({ mapLagMs: Number.POSITIVE_INFINITY });
    assert.equal(report.passed, false);
    for (const name of ["scale-down", "etcd", "wipe"]) assert.ok(failed(report).includes(name), name);
  });

  test("a slow agent fails the faults with a time limit", async () => {
    assert.deepEqual(failed(await run({ mapLagMs: 1100 }, ["scale-down", "etcd"])), ["scale-down", "etcd"]);
  });

  test("a server that exits at once loses requests, and they are counted", async () => {
    const report = await run({ lingerMs: 100, movesNothing: true }, ["scale-down"]);
    assert.deepEqual(broken(report)[0], "scale-down: nothing lost");
    assert.ok((report.faults[0]?.lost.refused ?? 0) > 5);
  });

  test("connects that are not moved from killed servers fail", async () => {
    const report = await run({ movesNothing: true }, ["kill"]);
    assert.ok(broken(report).includes("kill: no connect lost; of those established before, 5 or fewer"));
  });

  test("connects that are not moved from what is dark fail", async () => {
    for (const name of ["node-dark", "dark"] as const) {
      assert.deepEqual(broken(await run({ movesNothing: true }, [name])), [
        `${name}: no connect lost; of those established before, 5 or fewer`,
      ]);
    }
  });

  test("a node that has all pods cannot be the one that goes dark", async () => {
    const report = await run({ oneNode: true }, ["node-dark"]);
    assert.match(report.problem ?? "", /^node-dark: Cannot go on: the pods of "west" are not on several nodes/);
  });

  test("a cluster that is taken away when its control plane is lost fails", async () => {
    assert.deepEqual(broken(await run({ failsOver: true }, ["control-lost"])), [
      "control-lost: west serves all throughout",
    ]);
  });

  test("what a fault put in force is undone when it fails, and when it does not", async () => {
    const world = new FakeWorld();
    await driveFaults(world, ["agent"]);
    assert.equal(world.restored, 1);
    world.waitForReady = async () => {
      throw new Error("interrupted");
    };
    assert.equal((await driveFaults(world, ["hang"])).problem, "hang: interrupted");
    assert.equal(world.restored, 2);
  });

  test("a part whose loss stops traffic fails its fault", async () => {
    assert.deepEqual(failed(await run({ fatal: "node-agent" }, ["agent"])), ["agent"]);
    assert.deepEqual(failed(await run({ fatal: "mesh-etcd" }, ["etcd", "wipe"])), ["etcd", "wipe"]);
    assert.deepEqual(failed(await run({ fatal: "clustermesh-apiserver" }, ["apiserver"])), ["apiserver"]);
  });

  test("a fault that was not injected does not pass", async () => {
    assert.deepEqual(broken(await run({ agentStaysDead: true }, ["agent"])), ["agent: proof: new pid"]);
    assert.deepEqual(broken(await run({ holdsNothing: true }, ["apiserver"])), [
      "apiserver: proof: port refused 9 s or more",
    ]);
    assert.deepEqual(broken(await run({ storeIdStays: true }, ["wipe"])), ["wipe: proof: store id changed"]);
    for (const name of ["node-dark", "dark"] as const)
      assert.deepEqual(broken(await run({ holdsNothing: true }, [name])), [`${name}: proof: silent from then on`]);
    assert.deepEqual(broken(await run({ holdsNothing: true }, ["hang"]))[0], "hang: proof: all NotReady together");
    assert.deepEqual(broken(await run({ holdsNothing: true }, ["control-lost"])), [
      "control-lost: proof: port refused 9 s or more",
      "control-lost: proof: west's API server is down",
    ]);
  });

  test("a failing rig ends the demo with a reason", async () => {
    const world = new FakeWorld();
    world.scale = async () => {
      throw new Error("the API is away");
    };
    const { runs, problem } = await driveFaults(world, FAULT_NAMES);
    assert.deepEqual(runs, []);
    assert.equal(problem, "scale-down: the API is away");
  });
});
