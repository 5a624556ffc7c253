/** Which nodes are heard, over several servers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MonitoredNode, MonitorState } from "@isthmus/proto";
import { createHeardNodes } from "./heard-nodes.js";

const node = (name: string, state: MonitorState, message = "") =>
  MonitoredNode.fromPartial({ node: name, state, message });
const { MONITOR_STATE_HEARD: HEARD, MONITOR_STATE_NOT_CONNECTED: AWAY } = MonitorState;

test("a node is heard when any server hears it; what changes is said once", () => {
  const nodes = createHeardNodes();
  nodes.report("a", [node("w1", HEARD), node("w2", AWAY), node("w3", MonitorState.MONITOR_STATE_NO_QUERIES)]);
  nodes.report("b", [node("w1", AWAY), node("w2", HEARD), node("w3", AWAY)]);
  assert.deepEqual(nodes.changes(), [
    "Hearing 2 nodes of 3: w1, w2",
    "Not heard: w3: its agent has no stream for queries: it is of an older version, or connects just now",
  ]);
  assert.deepEqual(nodes.changes(), []);
  nodes.lost("b");
  assert.deepEqual(nodes.changes(), ["Not heard any more: w2: its agent is not connected; see mesh status"]);
  nodes.report("a", [
    node("w1", HEARD),
    node("w2", HEARD),
    node("w4", MonitorState.MONITOR_STATE_UNAVAILABLE, "no packets"),
  ]);
  assert.deepEqual(nodes.changes(), ["Hearing w2 from now on", "Not heard: w4: no packets"]);
  nodes.lost("a");
  assert.deepEqual(nodes.changes(), [
    "Not heard any more: w1: no server knows it now",
    "Not heard any more: w2: no server knows it now",
  ]);
});

test("without a node that is heard the first sentence says so", () => {
  const nodes = createHeardNodes();
  nodes.report("a", [node("w1", AWAY)]);
  assert.deepEqual(nodes.changes(), [
    "No node is heard yet",
    "Not heard: w1: its agent is not connected; see mesh status",
  ]);
});
