import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { frontendOf, selectable } from "@isthmus/agent/testing";
import {
  createRecordSource,
  makeConfig,
  makeNode,
  makeNodeConfig,
  makeService,
  makeSlice,
  type RecordSource,
  until,
} from "@isthmus/testing";
import { type AgentNode, type AgentProcess, createAgentNode } from "./agent-process.js";
import { type StreamServer, startStreamServer } from "./stream-server.js";

const VIP = "10.96.0.10";

interface Rig {
  readonly own: RecordSource;
  readonly west: RecordSource;
  readonly node: AgentNode;
  readonly server: StreamServer;
}

/** A node with a stream server that has one global Service; no agent yet. */
async function makeRig(t: TestContext): Promise<Rig> {
  const own = createRecordSource({ clusterId: 0 });
  own.change([
    makeService("shop/cart", { ip: VIP }),
    makeConfig("shop/cart"),
    makeSlice("shop/cart", { ready: ["10.11.0.1", "10.11.0.2"], node: "n1" }),
    makeNode("n1", "127.0.0.1", "10.11.0.0/24"),
    makeNode("n2", "127.0.0.2", "10.11.1.0/24"),
    makeNodeConfig("n1", "10.11.0.0/24"),
  ]);
  const west = createRecordSource({ clusterId: 2 });
  west.change([makeService("shop/cart"), makeSlice("shop/cart", { ready: ["10.12.0.1"] })]);
  const node = await createAgentNode(t, "n1");
  const sources = [
    { name: "east", source: own },
    { name: "west", source: west },
  ];
  const server = await startStreamServer({ netns: node.netns, node: "n1", tlsDir: node.tlsDir, sources });
  t.after(() => server.close());
  return { own, west, node, server };
}

const ALL = ["1:10.11.0.1", "1:10.11.0.2", "2:10.12.0.1"];

function backends(node: AgentNode, ip = VIP): Promise<readonly string[] | undefined> {
  return node.look(async (maps) => (await selectable(maps, frontendOf(ip)))?.map(({ backend }) => backend).sort());
}

/** True when both sources are acknowledged at their position. */
function caughtUp({ server, own, west }: Rig): boolean {
  const last = new Map(server.acks.flatMap(({ applied }) => applied.map((each) => [each.clusterId, each.position])));
  return last.get(0)?.versions[0] === own.position.versions[0] && last.get(2)?.revision === west.position.revision;
}

async function started(rig: Rig): Promise<AgentProcess> {
  const before = rig.server.hellos.length;
  const agent = rig.node.start();
  await until("the agent follows", () => rig.server.hellos.length > before && caughtUp(rig));
  return agent;
}

test("the agent writes maps and CNI from the stream; they stay after it is stopped, and after a start without a server", async (t) => {
  const rig = await makeRig(t);
  const { node, server } = rig;
  const agent = await started(rig);
  await until("CNI configuration", () => node.configured);
  assert.match(node.metrics(), /mesh_source_in_sync\{cluster_id="2"\} 1/);
  await until("snapshots", () => existsSync(join(node.stateDir, "source-2.snap")));
  assert.equal(await agent.kill("SIGTERM"), 0);
  assert.deepEqual(await backends(node), ALL);
  server.stop();
  const alone = node.start();
  await until("started alone", () => alone.log.some((line) => line.includes('"Started"')));
  assert.equal(await alone.kill(), null);
  assert.deepEqual(await backends(node), ALL);
});

test("a second agent on the node is refused in one sentence", async (t) => {
  const rig = await makeRig(t);
  await started(rig);
  const second = rig.node.start();
  assert.equal(await second.ended, 1);
  assert.match(second.log.join("\n"), /another agent on this node has them; stop it first/);
});

test("an agent that is killed repeatedly while everything changes reaches the state of the sources", async (t) => {
  const rig = await makeRig(t);
  const { own, west, node, server } = rig;
  const names = Array.from({ length: 200 }, (_, i) => `load/s${i}`);
  own.change(names.map((name, i) => makeService(name, { ip: `10.97.0.${i}` })));
  own.change(names.map((name, i) => makeSlice(name, { ready: [`10.11.2.${i}`] })));
  for (const delayMs of [5, 40, 120, 300]) {
    const agent = await started(rig);
    for (let round = 0; round < 30; round++) {
      server.send(own.change(names.map((name, i) => makeSlice(name, { ready: [`10.11.${3 + (round % 7)}.${i}`] }))));
      server.send(west.change([makeSlice("shop/cart", { ready: [`10.12.0.${round + 1}`] })]));
    }
    await new Promise((resolve) => setTimeout(resolve, delayMs)); // a random point in the agent's work
    await agent.kill();
    assert.ok(((await backends(node)) ?? []).every((backend) => backend !== "stale"));
  }
  const agent = await started(rig);
  assert.match(node.metrics(), /mesh_objects_failed 0/);
  await agent.kill("SIGTERM");
  assert.deepEqual(await backends(node), ["1:10.11.0.1", "1:10.11.0.2", "2:10.12.0.30"]);
  const last = `1:10.11.${3 + (29 % 7)}`;
  for (const i of [0, 99, 199]) assert.deepEqual(await backends(node, `10.97.0.${i}`), [`${last}.${i}`]);
});

test("after a reboot without a server the agent serves from disk; a truncated snapshot is refused and counted, others are used", async (t) => {
  const rig = await makeRig(t);
  const { node, server } = rig;
  const agent = await started(rig);
  await until("snapshots", () =>
    ["source-0.snap", "source-2.snap"].every((name) => existsSync(join(node.stateDir, name))),
  );
  await agent.kill();
  server.stop();
  await node.forgetMaps();
  const path = join(node.stateDir, "source-2.snap");
  await writeFile(path, (await readFile(path)).subarray(0, 60));
  const alone = node.start();
  await until("started", () => alone.log.some((line) => line.includes('"Started"')));
  assert.match(node.metrics(), /mesh_state_files_refused_total\{file="source-2.snap"\} 1/);
  assert.match(alone.log.join("\n"), /Cannot use the snapshot: its checksum differs/);
  await until("served from disk", () => /mesh_map_entries\{map="mesh_frontends_v1"\} 2/.test(node.metrics()));
  const before = server.hellos.length;
  await server.start();
  await until("in sync again", () => server.hellos.length > before && caughtUp(rig));
  await alone.kill("SIGTERM");
  assert.deepEqual(await backends(node), ALL);
  assert.ok((await readdir(node.stateDir)).includes("mesh.json"));
});

test("routes to other nodes are added, moved and removed; other routes stay untouched", async (t) => {
  const rig = await makeRig(t);
  const { own, node, server } = rig;
  node.ip("link", "add", "uplink", "type", "veth", "peer", "name", "wire");
  node.ip("addr", "add", "172.18.0.1/24", "dev", "uplink");
  node.ip("link", "set", "uplink", "up");
  node.ip("link", "set", "wire", "up");
  node.ip("route", "add", "10.50.0.0/16", "via", "172.18.0.9");
  node.ip("route", "add", "10.99.0.0/24", "via", "172.18.0.7", "proto", "77");
  own.change([makeNode("n2", "172.18.0.2", "10.11.1.0/24")]);
  await started(rig);
  const ours = () => node.ip("route", "show", "proto", "77");
  await until("route to n2", () => ours().includes("10.11.1.0/24 via 172.18.0.2"));
  await until("leftover gone", () => !ours().includes("10.99.0.0/24"));
  server.send(own.change([makeNode("n2", "172.18.0.3", "10.11.1.0/24")]));
  await until("moved", () => ours().includes("10.11.1.0/24 via 172.18.0.3"));
  server.send(own.change([], [makeNode("n2", "172.18.0.3", "10.11.1.0/24")]));
  await until("gone", () => ours().trim() === "unreachable 10.11.0.0/24 metric 1000000");
  assert.match(node.ip("route"), /10\.50\.0\.0\/16 via 172\.18\.0\.9/);
});

test("a setting of the node that lets pods forge addresses is sent to the server, on each new stream, until it is strict", async (t) => {
  const rig = await makeRig(t);
  const { node, server } = rig;
  node.setting("net/ipv4/conf/all/rp_filter", "2");
  const agent = await started(rig);
  const said = () => server.acks.at(-1)?.conditions.map(({ type, message }) => `${type}: ${message}`) ?? [];
  const loose = /^PodSourcesChecked: .*set net\.ipv4\.conf\.all\.rp_filter to 0 or 1/;
  await until("reported", () => loose.test(said().join()));
  const before = server.hellos.length;
  server.stop();
  await server.start();
  await until("reported again", () => server.hellos.length > before && loose.test(said().join()));
  node.setting("net/ipv4/conf/all/rp_filter", "1");
  await until("taken back", () => server.acks.length > 0 && said().length === 0);
  assert.doesNotMatch(agent.log.join("\n"), /MaxListenersExceeded/);
  await agent.kill("SIGTERM");
});
