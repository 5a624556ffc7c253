import assert from "node:assert/strict";
import { test } from "node:test";
import { PeerState, type ToAgent } from "@isthmus/proto";
import { createRecordSource, makeService } from "@isthmus/testing";
import { createSyncCore, type SyncCore, type SyncEffect } from "./core.js";

const STORE = Buffer.alloc(16, 5);
/** Announces a cluster. */
function announce(core: SyncCore, clusterId: number, cluster: string): void {
  const value = { clusterId, cluster, status: PeerState.PEER_STATE_IN_SYNC, behind: false, hops: [] };
  core.step({ is: "message", message: { message: { $case: "sourceState", value } } });
}

const floor = { storeId: STORE, revision: 9n, versions: [], added: [] };

function hello(effects: readonly SyncEffect[]) {
  const [first] = effects;
  assert.ok(first?.is === "send" && first.message.message?.$case === "hello");
  return first.message.message.value;
}

test("Hello names every source with a floor, and `have` only for what is in memory", () => {
  const core = createSyncCore({ node: "n1", version: "v", floors: new Map([[2, floor]]) });
  const from = createRecordSource({ clusterId: 3 });
  from.change([makeService("a/a")]);
  announce(core, 3, "north");
  for (const message of from.firstSync()) core.step({ is: "message", message });
  const sent = hello(core.step({ is: "opened" }));
  assert.equal(sent.node, "n1");
  assert.deepEqual(
    sent.sources.map(({ clusterId, floor, have }) => [clusterId, floor?.revision, have?.revision]),
    [
      [2, 9n, undefined],
      [3, from.position.revision, from.position.revision],
    ],
  );
});

test("each source state of a message with several is applied or refused separately", () => {
  const core = createSyncCore({ node: "n1", version: "v", floors: new Map([[2, floor]]), localClusterId: 7 });
  assert.ok(hello(core.step({ is: "opened" })).capabilities.includes("source-states"));
  const state = (clusterId: number, cluster: string, status = PeerState.PEER_STATE_IN_SYNC) => {
    return { clusterId, cluster, status, behind: clusterId === 3, hops: [] };
  };
  const removed = state(2, "", PeerState.PEER_STATE_REMOVED);
  const states = [removed, state(2, "west"), state(3, "north"), state(7, "own"), state(4095, "far"), state(5, "A b")];
  const effects = core.step({ is: "message", message: { message: { $case: "sourceStates", value: { states } } } });
  assert.deepEqual(
    effects.map((effect) => [effect.is, "clusterId" in effect ? effect.clusterId : undefined]),
    [
      ["apply", undefined],
      ["behind", 3],
      ["count", 7],
      ["count", 4095],
      ["count", 5],
    ],
  );
  assert.deepEqual(
    [...core.sources.values()].map(({ clusterId, name, floor }) => [clusterId, name, floor]),
    [
      [2, "west", undefined],
      [3, "north", undefined],
    ],
  );
});

test("a first sync that a stream's end interrupted starts again on the next stream", () => {
  const core = createSyncCore({ node: "n1", version: "v", floors: new Map() });
  const from = createRecordSource({ clusterId: 2 });
  from.change([makeService("a/a"), makeService("a/b")]);
  announce(core, 2, "west");
  core.step({ is: "message", message: from.firstSync(1)[0] as ToAgent });
  core.step({ is: "closed" });
  assert.deepEqual(hello(core.step({ is: "opened" })).sources, []);
  const effects = from.firstSync().flatMap((message) => core.step({ is: "message", message }));
  assert.deepEqual(
    effects.map(({ is }) => is),
    ["apply"],
  );
});

test("a removed peer loses its floor, since its id may be used for another cluster", () => {
  const core = createSyncCore({ node: "n1", version: "v", floors: new Map([[2, floor]]) });
  const value = { clusterId: 2, cluster: "", status: PeerState.PEER_STATE_REMOVED, behind: false, hops: [] };
  const effects = core.step({ is: "message", message: { message: { $case: "sourceState", value } } });
  assert.deepEqual(
    effects.map((effect) => effect.is === "apply" && effect.delta.transition),
    ["removed"],
  );
  assert.deepEqual(hello(core.step({ is: "opened" })).sources, []);
});

test("GoAway ends the stream and passes its retry time on; an empty message changes nothing", () => {
  const core = createSyncCore({ node: "n1", version: "v", floors: new Map() });
  const value = { retryAfterMs: 700, reason: "too many first syncs at once" };
  assert.deepEqual(core.step({ is: "message", message: { message: { $case: "goAway", value } } }), [
    { is: "leave", reason: value.reason, afterMs: 700 },
  ]);
  assert.deepEqual(core.step({ is: "message", message: { message: undefined } }), []);
});

test("`behind` is emitted once when it begins and once when it ends, and is reset by a reconnect", () => {
  const core = createSyncCore({ node: "n1", version: "v", floors: new Map([[2, floor]]) });
  const sendState = (behind: boolean) => {
    const value = { clusterId: 2, cluster: "west", status: PeerState.PEER_STATE_IN_SYNC, behind, hops: [] };
    return core.step({ is: "message", message: { message: { $case: "sourceState", value } } });
  };
  const emitted = [true, true, false, false].map((behind) =>
    sendState(behind).map((each) => each.is === "behind" && each.behind),
  );
  assert.deepEqual(emitted, [[true], [], [false], []]);
  sendState(true);
  assert.equal(core.sources.get(2)?.behind, true);
  core.step({ is: "closed" });
  assert.equal(core.sources.get(2)?.behind, false);
});

test("the stream of a server that speaks another protocol than offered is ended", () => {
  const core = createSyncCore({ node: "n1", version: "v", floors: new Map() });
  const value = { instance: "a", servers: [], protocol: 2, cluster: "east", clusterId: 1 };
  assert.deepEqual(core.step({ is: "message", message: { message: { $case: "welcome", value } } }), [
    { is: "leave", reason: "the server speaks protocol 2, this agent 1" },
  ]);
});

test("a cluster id above the maximum is refused and counted", () => {
  const core = createSyncCore({ node: "n1", version: "v", floors: new Map() });
  const from = createRecordSource({ clusterId: 4095, storeId: STORE });
  const effects = from.firstSync().flatMap((message) => core.step({ is: "message", message }));
  assert.deepEqual(new Set(effects.map((effect) => effect.is === "count" && effect.event)), new Set(["bad-cluster"]));
  assert.equal(core.sources.size, 0);
});
