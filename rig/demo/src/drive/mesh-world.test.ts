import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { RigControls } from "../rigs/rig.js";
import { monoNow } from "../samples/sample.js";
import { fakeCluster } from "../setup/testing/fake-cluster.js";
import { type ClusterAccess, createMeshWorld } from "./mesh-world.js";
import type { ReadyChange } from "./slice-watch.js";

const store = { id: async () => "a", live: async () => true, close: () => undefined };
const maps = { holds: (address: string) => address === "10.1.0.1", moved: () => 7, close: () => undefined };

function world(t: TestContext, history: readonly ReadyChange[] = []) {
  const calls: string[] = [];
  const stop = new AbortController();
  const { access } = fakeCluster("east", (call) => void calls.push(call), []);
  const east: ClusterAccess = { ...access, slices: { ...access.slices, history } };
  const clusters = new Map([["east", east]]);
  const note = (call: string) => async () => void calls.push(call);
  const controls = {
    maps,
    suspendServers: async () => ({ count: 2, end: note("resume") }),
    startFault: async () => ({ end: note("end the fault") }),
    holdDown: note("hold"),
    start: note("start"),
  } as unknown as RigControls;
  const options = {
    clusters,
    controls,
    store,
    lastAnswers: () => [],
    progress: () => undefined,
    signal: stop.signal,
  };
  const created = createMeshWorld(options);
  t.after(() => created.close());
  return { world: created, calls, stop };
}

describe("MeshWorld", () => {
  test("readyWhen returns the first matching change at or after the given time", async (t) => {
    const change = (at: number, ready: number) => ({
      at,
      ready: Array.from({ length: ready }, (_, n) => `10.1.0.${n}`),
    });
    const history = [change(100, 0), change(200, 3), change(300, 1), change(400, 0), change(500, 0)];
    const { world: of } = world(t, history);
    const none = (ready: number) => ready === 0;
    assert.equal(await of.waitForReady("east", none, 100, 0), 100);
    assert.equal(await of.waitForReady("east", none, 101, 0), 400);
    assert.equal(await of.waitForReady("east", (ready) => ready > 3, 0, 0), null);
  });

  test("readyWhen returns a change that happens while it waits", async (t) => {
    const history: ReadyChange[] = [];
    const { world: of } = world(t, history);
    const since = monoNow();
    const seen = of.waitForReady("east", (ready) => ready === 0, since, 60_000);
    history.push({ at: since + 1, ready: [] });
    assert.equal(await seen, since + 1);
  });

  test("after an abort, waiting functions reject with the reason", async (t) => {
    const { world: of, stop } = world(t);
    const waiting = of.waitForReady("east", () => false, 0, 60_000);
    stop.abort(new Error("interrupted"));
    await assert.rejects(waiting, /interrupted/);
  });

  test("what is in force is undone once, also after an abort", async (t) => {
    const { world: of, calls, stop } = world(t);
    assert.equal((await of.suspendServers("east")).count, 2);
    await of.startFault({ kind: "dark", cluster: "west" }, 60_000);
    await of.holdDown("mesh-etcd");
    await of.setAffinity("east", "remote");
    stop.abort(new Error("interrupted"));
    calls.length = 0;
    await of.restore();
    assert.deepEqual(calls.sort(), ["east: patch Service web", "end the fault", "resume", "start"]);
    await of.restore();
    assert.equal(calls.length, 4);
  });

  test("what has ended by itself is not undone", async (t) => {
    const { world: of, calls } = world(t);
    await (await of.suspendServers("east")).end();
    await of.holdDown("mesh-etcd");
    await of.start("mesh-etcd");
    await of.setAffinity("east", "none");
    await of.setAffinity("east", "local");
    calls.length = 0;
    await of.restore();
    assert.deepEqual(calls, []);
  });

  test("replicas are set through the API, backends are read from the maps", async (t) => {
    const { world: of, calls } = world(t);
    await of.scale("east", 0);
    assert.deepEqual(calls, ["east: patch Deployment web"]);
    assert.deepEqual([await of.inMaps("10.1.0.1"), await of.inMaps("10.1.0.9")], [true, false]);
    assert.equal(of.moves.at(0)?.moved, 7);
  });
});
