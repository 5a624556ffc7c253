/** The figures of nodes as `mesh status --verbose` shows them: tables, JSON, findings, and nodes that report none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AgentPresence, AgentReport, NodeFigures, StatusResponse } from "@isthmus/proto";
import { findingsText } from "../output/findings.js";
import { json } from "../output/json.js";
import { shortCount } from "../output/units.js";
import { golden } from "../testing/golden.js";
import { assess } from "./assess.js";
import type { ClusterView } from "./collect.js";
import { figuresText } from "./figures-text.js";

type Counts = Readonly<Record<string, readonly [total: number, lastMinute: number]>>;

/** What a quiet node in mode packets counts. */
const COUNTS: Counts = {
  ...{ deliver: [8_123_456, 120_000], forward: [4_000_000, 60_123], to_stack: [12, 0] },
  ...{ flow_new: [812, 10], flow_picked_up: [3, 0], flow_full: [0, 0], flow_evicted: [0, 0] },
  ...{ event_limited: [0, 0], event_lost: [0, 0] },
};
const DROPS: Counts = { spoofed_source: [0, 0], malformed: [0, 0] };

function packets(counts: Counts = {}, drops: Counts = {}, flows = 12): NodeFigures {
  const counters = (of: Counts, isDrop: boolean) =>
    Object.entries(of).map(([name, [total, lastMinute]]) => ({
      ...{ name, isDrop, total: BigInt(total), lastMinute: BigInt(lastMinute) },
    }));
  return NodeFigures.fromPartial({
    datapathMode: "packets",
    maps: [
      { map: "mesh_backends_v1", used: 4, capacity: 262_144 },
      { map: "mesh_endpoints_v1", used: 110, capacity: 4095 },
      { map: "mesh_pod_ranges_v1", used: 12, capacity: 65_536 },
      { map: "mesh_conntrack_v2", used: flows, capacity: 524_288 },
    ],
    counters: [...counters({ ...COUNTS, ...counts }, false), ...counters({ ...DROPS, ...drops }, true)],
  });
}

const agentOf = (node: string, more: Partial<AgentReport>) =>
  AgentReport.fromPartial({
    ...{ node, connected: true, presence: AgentPresence.AGENT_PRESENCE_CONNECTED },
    sources: [{ clusterId: 1, inSync: true }],
    ...more,
  });

/** As it arrives from the wire. */
function viewOf(agents: readonly AgentReport[]): ClusterView {
  const sent = StatusResponse.fromPartial({
    ...{ cluster: "east", clusterId: 1, version: "0.1.0", leader: true, agents: [...agents] },
    nodes: { known: true, linux: agents.length },
  });
  const report = StatusResponse.decode(StatusResponse.encode(sent).finish());
  return { context: "east", cluster: "east", id: 1, peers: [], report };
}

const look = (agents: readonly AgentReport[]) => assess([viewOf(agents)], { figures: true });

const text = (agents: readonly AgentReport[]) => {
  const { nodes = [], findings } = look(agents);
  return `${figuresText(nodes)}\n${findingsText(findings, { color: false })}`;
};

const FLOODED = packets(
  { flow_new: [90_123_456, 1_250_000], flow_evicted: [400_000, 31_000], flow_full: [7, 7], event_lost: [55, 1] },
  { spoofed_source: [12, 3], malformed: [40, 0] },
  519_045,
);

test("nodes are shown with the worst first, and what is wrong is a finding with what to do", () => {
  const agents = [
    agentOf("e1", { figures: packets() }),
    agentOf("e2", { figures: FLOODED }),
    agentOf("e3", { figures: { ...packets({}, { no_backend: [9, 0] }), datapathMode: "sockets", maps: [] } }),
    agentOf("e4", { figuresProblem: "the agent does not know this query: it is of an older version" }),
    agentOf("e5", { connected: false, figuresProblem: "its agent is not connected to this server" }),
  ];
  golden("status-figures", text(agents));
  const { nodes } = look(agents.slice(1, 4));
  golden("status-figures-json", json({ nodes }));
});

test("without --verbose there are no figures and no findings about them", () => {
  const found = assess([viewOf([agentOf("e1", { figures: undefined })])]);
  assert.deepEqual([found.nodes, found.findings], [undefined, []]);
});

test("of many nodes ten are shown, and a trouble that many have is one finding about the worst", () => {
  const agents = Array.from({ length: 1000 }, (_, i) =>
    agentOf(`n${i}`, { figures: packets(i % 2 === 0 ? {} : { flow_evicted: [i, i] }, {}, i % 2 === 0 ? 500_000 : 1) }),
  );
  const { nodes = [], findings } = look(agents);
  const lines = figuresText(nodes).split("\n");
  assert.equal(lines.filter((line) => line.startsWith("east ")).length, 20);
  assert.equal(lines.filter((line) => line === "… and 990 nodes more; -o json has all").length, 2);
  assert.deepEqual(
    findings.map(({ subject, message }) => `${subject}: ${message}`),
    [
      "east n0: mesh_conntrack_v2 holds 500000 of 524288 entries, and 499 other nodes are at 90 % or more",
      "east n999: 999 flows evicted while in use in the last minute, and on 499 other nodes: there were more flows than their table has room for",
    ],
  );
});

test("a full map of policies is a finding with the size that gives it room", () => {
  const maps = [
    { map: "mesh_ipcache_v1", used: 262_144, capacity: 262_144 },
    { map: "mesh_policy_peers_v1", used: 260_000, capacity: 262_144 },
  ];
  const { findings } = look([agentOf("e1", { figures: NodeFigures.fromPartial({ datapathMode: "packets", maps }) })]);
  assert.deepEqual(
    findings.map(({ fix = "" }) => /--map-sizes \S+/.exec(fix)?.[0]),
    ["--map-sizes addresses=524288", "--map-sizes peers=524288"],
  );
});

test("an apiserver of an older version gives no figures: they are not reported, and not 0", () => {
  const { nodes = [], findings } = look([agentOf("e1", {}), agentOf("e2", {})]);
  assert.deepEqual(
    nodes.map(({ figures }) => figures),
    [null, null],
  );
  assert.match(figuresText(nodes), /^east +e1 +not reported$/m);
  assert.doesNotMatch(figuresText(nodes), /^east .*\d$/m);
  assert.deepEqual(findings, [
    {
      ...{ group: "figures", status: "unknown", subject: "east e1 and 1 more" },
      message: "figures not reported: its clustermesh-apiserver (0.1.0) is older than this command",
    },
  ]);
});

test("a figure that an agent does not know is not reported, and one that this version does not know is in JSON", () => {
  const figures = NodeFigures.fromPartial({
    ...{ datapathMode: "packets", maps: [{ map: "mesh_conntrack_v9", used: 1, capacity: 2 }] },
    counters: [{ name: "flow_new", total: 5n }, { name: "flow_offloaded", total: 7n }, { name: "__proto__" }],
  });
  const { nodes = [] } = look([agentOf("e1", { figures })]);
  const [flows = "", packetsLine = ""] = figuresText(nodes).match(/^east .*$/gm) ?? [];
  const missing = "not reported";
  assert.deepEqual(flows.split(/ {2,}/), ["east", "e1", "1/2 50%", missing, missing, "5", missing, missing, missing]);
  assert.deepEqual(packetsLine.split(/ {2,}/), ["east", "e1", ...Array.from({ length: 6 }, () => missing)]);
  const shown = JSON.parse(json({ nodes })) as { nodes: readonly { figures: { counters: object; pods: unknown } }[] };
  const [node] = shown.nodes;
  assert.deepEqual(Object.keys(node?.figures.counters ?? {}), ["flow_new", "flow_offloaded", "__proto__"]);
  assert.equal(node?.figures.pods, null);
});

test("counts are short, and never longer than what was counted", () => {
  const counts: readonly (readonly [bigint, string])[] = [
    [0n, "0"],
    [99_999n, "99999"],
    [100_000n, "100k"],
    [999_999n, "999k"],
    [1_000_000n, "1.00M"],
    [12_345_678n, "12.3M"],
    [2n ** 64n - 1n, "18.4E"],
  ];
  for (const [count, short] of counts) assert.equal(shortCount(count), short);
});
