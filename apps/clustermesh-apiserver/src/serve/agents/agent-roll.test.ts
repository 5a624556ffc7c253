import assert from "node:assert/strict";
import { test } from "node:test";
import { AgentPresence } from "@isthmus/proto";
import { createFakeClock } from "@isthmus/testing";
import { type NodePlatform, nodeFacts } from "../../cluster/nodes/node-facts.js";
import { createNodeFeed } from "../../cluster/nodes/node-feed.js";
import { createAgentRegistry } from "./agent-registry.js";
import { listAgents } from "./agent-roll.js";

const MINUTE = 60_000;
const HELLO = { version: "0", capabilities: [] };

function cluster() {
  const clock = createFakeClock();
  const feed = createNodeFeed(clock, []);
  const nodes = feed.known;
  const agents = createAgentRegistry(clock, (node) => nodes.has(node));
  const item = (name: string, platform: NodePlatform) => {
    const value = { ...nodeFacts({ metadata: { name } }), platform };
    return { key: name, uid: name, version: 1n, value };
  };
  return {
    agents,
    advance: clock.advance,
    add: (name: string, platform: NodePlatform = "linux") => feed.take({ deletes: [], sets: [item(name, platform)] }),
    remove: (name: string) => feed.take({ deletes: [item(name, "linux")], sets: [] }),
    roll: () => listAgents(agents.reports(), nodes, clock.now()),
    said: () =>
      listAgents(agents.reports(), nodes, clock.now()).agents.map(({ node, presence, silentMs }) => [
        node,
        AgentPresence[presence]?.replace("AGENT_PRESENCE_", ""),
        silentMs,
      ]),
  };
}

test("after a restart the agent of a dead node is awaited for half a minute, then reported as missing", async () => {
  const { agents, add, advance, said } = cluster();
  add("n1");
  add("n2");
  agents.connected("n1", HELLO);
  await advance(5000);
  assert.deepEqual(said(), [
    ["n1", "CONNECTED", 0],
    ["n2", "AWAITED", 5000],
  ]);
  await advance(25_000);
  assert.deepEqual(said()[1], ["n2", "NEVER_SEEN", 30_000]);
});

test("a disconnected agent is reported for as long as its Node exists, and no longer", async () => {
  const { agents, add, remove, advance, said } = cluster();
  add("n1");
  add("n2");
  for (const node of ["n1", "n2"]) agents.connected(node, HELLO);
  agents.disconnected("n2");
  for (let minutes = 0; minutes < 60; minutes += 2) {
    await advance(2 * MINUTE);
    agents.connected("n1", HELLO);
  }
  assert.deepEqual(said(), [
    ["n1", "CONNECTED", 0],
    ["n2", "DISCONNECTED", 60 * MINUTE],
  ]);
  remove("n2");
  assert.deepEqual(said(), [["n1", "CONNECTED", 0]]);
});

test("a new Node is awaited from when it is known; a change of the Node does not restart that time", async () => {
  const { add, advance, said } = cluster();
  await advance(MINUTE);
  add("n1");
  await advance(20_000);
  add("n1");
  await advance(15_000);
  assert.deepEqual(said(), [["n1", "NEVER_SEEN", 35_000]]);
});

test("Windows and virtual nodes have no agent: they are counted separately and not reported as missing", async () => {
  const { add, advance, roll } = cluster();
  add("n1");
  add("w1", "windows");
  add("v1", "virtual");
  add("v2", "virtual");
  await advance(MINUTE);
  const { agents, nodes } = roll();
  assert.deepEqual(
    agents.map(({ node }) => node),
    ["n1"],
  );
  assert.deepEqual(nodes, { known: true, linux: 1, windows: 1, virtual: 2 });
});

test("before the Nodes are read, only connected agents are reported and the node counts are marked as unknown", () => {
  const clock = createFakeClock();
  const agents = createAgentRegistry(clock);
  agents.connected("n1", HELLO);
  const { agents: reported, nodes } = listAgents(agents.reports(), undefined, clock.now());
  assert.deepEqual([reported.length, nodes.known], [1, false]);
});
