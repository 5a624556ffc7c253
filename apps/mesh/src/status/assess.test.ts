import assert from "node:assert/strict";
import { test } from "node:test";
import { StatusResponse } from "@isthmus/proto";
import { findingsText } from "../output/findings.js";
import { json } from "../output/json.js";
import { golden } from "../testing/golden.js";
import { assess } from "./assess.js";
import type { ClusterView } from "./collect.js";
import { hopsTable } from "./render.js";

const STORE = Buffer.from("00112233445566778899aabbccddeeff", "hex");

/** A cluster in good order, its peer the other one of east (1) and west (2). */
function view(cluster: "east" | "west", change: (report: StatusResponse) => void = () => undefined): ClusterView {
  const [id, peer] = cluster === "east" ? [1, { name: "west", id: 2 }] : [2, { name: "east", id: 1 }];
  const agent = (node: string) => ({
    node,
    connected: true,
    version: "0.1.0",
    sources: [
      { clusterId: id, appliedRevision: 0n, inSync: true, lagMs: 0, lastPropagationMs: 4 },
      { clusterId: peer.id, appliedRevision: 812n, inSync: true, lagMs: 0, lastPropagationMs: 31 },
    ],
    maps: [],
  });
  const report = StatusResponse.fromPartial({
    cluster,
    clusterId: id,
    instance: `${cluster}-a`,
    version: "0.1.0",
    leader: true,
    kubeAgeMs: 900,
    publisher: { state: "Live", seq: 40n, revision: 812n, pending: 0, beatAgeMs: 1400, storeId: STORE },
    sources: [
      { cluster: peer.name, clusterId: peer.id, state: "InSync", storeId: STORE, revision: 812n, beatAgeMs: 2100 },
    ],
    agents: [agent(`${cluster}-1`), agent(`${cluster}-2`)],
  });
  change(report);
  return { context: cluster, cluster, id, peers: [peer], report };
}

const text = (views: readonly ClusterView[]) => {
  const found = assess(views);
  return `${hopsTable(found.hops)}\n${findingsText(found.findings, { color: false })}`;
};

test("two clusters in good order", () => {
  const found = assess([view("east"), view("west")]);
  assert.equal(found.ok, true);
  golden("status-ok", text([view("east"), view("west")]));
  golden("status-ok-json", json(found));
});

test("connected is not enough: stale beats, agents behind and pending records are findings", () => {
  const east = view("east", (report) => {
    if (report.publisher !== undefined)
      Object.assign(report.publisher, { state: "Connecting", message: "no endpoint answers", beatAgeMs: 42_000 });
  });
  const west = view("west", (report) => {
    Object.assign(report.sources[0] ?? {}, { state: "Stale", revision: 790n, beatAgeMs: 42_500 });
    Object.assign(report.agents[0] ?? {}, { connected: false });
    Object.assign(report.agents[1]?.sources[1] ?? {}, { inSync: true, lagMs: 7200, appliedRevision: 780n });
  });
  assert.equal(assess([east, west]).ok, false);
  golden("status-stale", text([east, west]));
});

test("an apiserver that cannot be asked, a missing peer object, and no agent are findings", () => {
  const silent: ClusterView = {
    context: "east",
    cluster: "east",
    id: 1,
    peers: [{ name: "west", id: 2 }],
    problem: 'Cannot ask the admin API of cluster "east": no server answers: 10.0.0.1:7444 (connection refused)',
  };
  const lonely = {
    ...view("west", (report) => {
      report.agents = [];
    }),
    peers: [],
  };
  golden("status-broken", text([silent, lonely]));
});

test("refused records, clocks and full maps are warnings: seen, and no failure", () => {
  const west = view("west", (report) => {
    Object.assign(report.sources[0] ?? {}, {
      skewMs: -4300,
      refused: [
        {
          reason: "address-outside-cidr",
          count: 2,
          example: "slices/shop/cart/cart-a: 10.99.0.1 is outside 10.11.0.0/16",
        },
      ],
    });
    Object.assign(report.agents[0] ?? {}, { maps: [{ map: "mesh_backends_v1", used: 3900, capacity: 4096 }] });
  });
  assert.equal(assess([view("east"), west]).ok, true);
  golden("status-warnings", text([view("east"), west]));
});

test("positions in different stores are not compared", () => {
  const west = view("west", (report) => Object.assign(report.sources[0] ?? {}, { storeId: Buffer.alloc(16, 7) }));
  const read = assess([view("east"), west]).hops.find(({ to, hop }) => to === "west" && hop === "read");
  assert.equal(read?.lag, "cannot tell");
});

test("a single cluster without peers is in good order when its agents are", () => {
  const alone = {
    ...view("east", (report) => {
      report.sources = [];
      report.publisher = undefined;
    }),
    peers: [],
  };
  const found = assess([alone]);
  assert.equal(found.ok, true);
  assert.deepEqual(
    found.hops.map(({ from, to, hop }) => `${from} ${to} ${hop}`),
    ["east east apply"],
  );
});

test("what nodes say of themselves is a warning, each sentence once", () => {
  const east = view("east", ({ agents }) => {
    for (const agent of agents) agent.conditions = [{ type: "PodSourcesChecked", message: "rp_filter is 2" }];
  });
  const { ok, findings } = assess([east, view("west")]);
  assert.equal(ok, true);
  assert.deepEqual(
    findings.map(({ status, subject, message }) => `${status} ${subject}: ${message}`),
    ["warning east east-1 and 1 more: rp_filter is 2"],
  );
});
