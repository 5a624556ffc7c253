import assert from "node:assert/strict";
import { test } from "node:test";
import { AgentPresence, AgentReport, PeerState, PublishState, RefusalReason, StatusResponse } from "@isthmus/proto";
import { peerStates, publishStates } from "@isthmus/records";
import { findingsText } from "../output/findings.js";
import { json } from "../output/json.js";
import { golden } from "../testing/golden.js";
import { assess, isSettled } from "./assess.js";
import type { ClusterView } from "./collect.js";
import { hopsTable } from "./render.js";

const STORE = Buffer.from("00112233445566778899aabbccddeeff", "hex");

const publishing = (publishState: PublishState) => ({ publishState, state: publishStates.name(publishState) });
const following = (peerState: PeerState) => ({ peerState, state: peerStates.name(peerState) });

/** A healthy cluster, east (1) or west (2), with the other one as its peer. */
function view(cluster: "east" | "west", change: (report: StatusResponse) => void = () => undefined): ClusterView {
  const [id, peer] = cluster === "east" ? [1, { name: "west", id: 2 }] : [2, { name: "east", id: 1 }];
  const agent = (node: string) => ({
    node,
    connected: true,
    version: "0.1.0",
    presence: AgentPresence.AGENT_PRESENCE_CONNECTED,
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
    publisher: {
      ...publishing(PublishState.PUBLISH_STATE_LIVE),
      seq: 40n,
      revision: 812n,
      pending: 0,
      beatAgeMs: 1400,
      storeId: STORE,
    },
    sources: [
      {
        ...{ cluster: peer.name, clusterId: peer.id, ...following(PeerState.PEER_STATE_IN_SYNC) },
        ...{ storeId: STORE, revision: 812n, beatAgeMs: 2100 },
      },
    ],
    agents: [agent(`${cluster}-1`), agent(`${cluster}-2`)],
    nodes: { known: true, linux: 2, windows: 0, virtual: 0 },
  });
  change(report);
  return { context: cluster, cluster, id, peers: [peer], report };
}

const text = (views: readonly ClusterView[]) => {
  const found = assess(views);
  return `${hopsTable(found.hops)}\n${findingsText(found.findings, { color: false })}`;
};

test("two healthy clusters have no finding", () => {
  const found = assess([view("east"), view("west")]);
  assert.equal(found.ok, true);
  golden("status-ok", text([view("east"), view("west")]));
  golden("status-ok-json", json(found));
});

test("a mesh-config that is not in force is a finding with a fix, although all hops are in sync", () => {
  const configProblem = 'Cannot use mesh-config: "pod-cidrs" is "junk"';
  const { ok, findings } = assess([{ ...view("east"), configProblem }, view("west")]);
  assert.equal(ok, false);
  assert.deepEqual(findings, [
    {
      ...{ group: "clusters", status: "fail", subject: "east", message: configProblem },
      fix: "kubectl --context east -n mesh-system edit configmap mesh-config",
    },
  ]);
});

test("stale beats, agents behind and pending records are findings although everything is connected", () => {
  const east = view("east", (report) => {
    if (report.publisher !== undefined)
      Object.assign(report.publisher, {
        ...publishing(PublishState.PUBLISH_STATE_CONNECTING),
        ...{ message: "no endpoint answers", beatAgeMs: 42_000 },
      });
  });
  const west = view("west", (report) => {
    const stale = following(PeerState.PEER_STATE_STALE);
    Object.assign(report.sources[0] ?? {}, { ...stale, revision: 790n, beatAgeMs: 42_500 });
    Object.assign(report.agents[0] ?? {}, {
      connected: false,
      presence: AgentPresence.AGENT_PRESENCE_DISCONNECTED,
      silentMs: 754_000,
    });
    Object.assign(report.agents[1]?.sources[1] ?? {}, { inSync: true, lagMs: 7200, appliedRevision: 780n });
  });
  const { ok, findings } = assess([east, west]);
  assert.equal(ok, false);
  // The current context may be that of another cluster.
  for (const { fix = "" } of findings) assert.doesNotMatch(fix, /kubectl (?!--context )/);
  golden("status-stale", text([east, west]));
});

test("an unreachable apiserver, a missing MeshPeer, and no agent are findings", () => {
  const silent: ClusterView = {
    context: "east",
    cluster: "east",
    id: 1,
    peers: [{ name: "west", id: 2 }],
    problem: {
      message: 'Cannot ask the admin API of cluster "east": no server answers: 10.0.0.1:7444 (connection refused)',
      fix: "see: kubectl --context east -n mesh-system get pods",
    },
  };
  const lonely = {
    ...view("west", (report) => {
      report.agents = [];
    }),
    peers: [],
  };
  golden("status-broken", text([silent, lonely]));
});

const unheard = (node: string, presence: AgentPresence, silentMs: number) =>
  AgentReport.fromPartial({ node, presence, silentMs });

test("a Linux node without an agent is a failure that names it; Windows and virtual nodes are counted separately", () => {
  const east = view("east", (report) => {
    report.agents = [
      ...report.agents.slice(0, 1),
      unheard("east-2", AgentPresence.AGENT_PRESENCE_NEVER_SEEN, 3_720_000),
    ];
    report.nodes = { known: true, linux: 2, windows: 3, virtual: 1 };
  });
  const found = assess([east, view("west")]);
  assert.equal(found.ok, false);
  assert.deepEqual(found.clusters[0]?.nodes, { linux: 2, windows: 3, virtual: 1 });
  golden("status-no-agent", text([east, view("west")]));
});

test("a missing agent is a warning while the apiserver or the node is new, and --wait continues", () => {
  const east = view("east", (report) => {
    report.agents = [...report.agents.slice(0, 1), unheard("east-2", AgentPresence.AGENT_PRESENCE_AWAITED, 4000)];
  });
  const found = assess([east, view("west")]);
  assert.deepEqual([found.ok, isSettled(found)], [true, false]);
  assert.equal(isSettled(assess([view("east"), view("west")])), true);
  golden("status-awaited", text([east, view("west")]));
});

test("an apiserver that has not read its Nodes is a failure; one of an older version is a warning", () => {
  const nodes = { known: false, linux: 0, windows: 0, virtual: 0 };
  assert.equal(assess([view("east", (report) => Object.assign(report, { nodes })), view("west")]).ok, false);
  const older = assess([view("east", (report) => Object.assign(report, { nodes: undefined })), view("west")]);
  assert.equal(older.ok, true);
  assert.match(
    older.findings.map(({ message }) => message).join(),
    /unknown whether every node has an agent: its apiserver \(0\.1\.0\) is older/,
  );
});

test("a cluster with only Windows and virtual nodes has no agent to wait for", () => {
  const east = view("east", (report) => {
    Object.assign(report, { agents: [], nodes: { known: true, linux: 0, windows: 1, virtual: 1 } });
  });
  assert.equal(assess([east, view("west")]).ok, true);
});

test("refused records, clock skew and full maps are warnings, not failures", () => {
  const west = view("west", (report) => {
    Object.assign(report.sources[0] ?? {}, {
      skewMs: -4300,
      refused: [
        {
          ...{ reason: "address-outside-cidr", refusalReason: RefusalReason.REFUSAL_REASON_ADDRESS_OUTSIDE_CIDR },
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

test("a single cluster without peers is healthy when its agents are", () => {
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

test("conditions of nodes are warnings, each message once", () => {
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

test("each bad agent has one line: a disconnected one, or one that is behind, with the clusters that it is behind", () => {
  const west = view("west", (report) => {
    const [first] = report.agents;
    report.agents = [1, 2, 3].map((i) => ({
      ...AgentReport.fromPartial(first ?? {}),
      ...{ node: `west-${i}`, connected: i !== 1, version: "0.1.0", maps: [] },
      sources: [2, 1].map((clusterId) => ({
        ...{ clusterId, appliedRevision: 1n, inSync: i === 3, lagMs: 0, lastPropagationMs: 0 },
      })),
    }));
  });
  const { findings } = assess([view("east"), west]);
  assert.deepEqual(
    findings.map(({ group, status, subject, message }) => `${group} ${status} ${subject}: ${message}`),
    ["agents fail west west-1: not connected", "agents fail west west-2: not in sync with west, east"],
  );
});

test("in JSON a lag is a number, or null when unknown", () => {
  const silent: ClusterView = { context: "east", cluster: "east", id: 1, peers: [{ name: "west", id: 2 }] };
  const lags = assess([silent, view("west", (report) => Object.assign(report.sources[0] ?? {}, { revision: 790n }))]);
  const known = assess([
    view("east"),
    view("west", (report) => Object.assign(report.sources[0] ?? {}, { revision: 790n })),
  ]);
  const lagOf = ({ hops }: typeof lags, hop: string, to: string) => {
    const found = JSON.parse(json({ hops: hops.filter((each) => each.hop === hop && each.to === to) })) as {
      hops: Record<string, unknown>[];
    };
    const { lagRecords, lagRevisions, lagMs } = found.hops[0] ?? {};
    return lagRecords ?? lagRevisions ?? lagMs ?? null;
  };
  assert.equal(lagOf(known, "read", "west"), 22);
  assert.equal(lagOf(known, "publish", "store"), 0);
  assert.equal(lagOf(known, "apply", "west"), 0);
  assert.equal(lagOf(lags, "read", "east"), null);
  assert.equal(lagOf(lags, "read", "west"), null);
});

test("policies that are not accepted are a warning with the command that names the field", () => {
  const found = (count: number) =>
    assess([view("east", (report) => Object.assign(report, { policiesNotAccepted: count })), view("west")]);
  assert.deepEqual(found(0).findings, []);
  assert.equal(found(1).ok, true);
  assert.deepEqual(found(1).findings, [
    {
      group: "policies",
      status: "warning",
      subject: "east",
      message: "1 policy is not accepted; what was accepted before stays in force",
      fix: "mesh policy list --context east names the field and what to do",
    },
  ]);
  assert.match(found(2).findings[0]?.message ?? "", /^2 policies are not accepted/);
});

test("pods in policy audit mode are a warning with their number", () => {
  const found = (auditedPods: number) =>
    assess([view("east", (report) => Object.assign(report, { auditedPods })), view("west")]);
  assert.deepEqual(found(0).findings, []);
  assert.equal(found(1).ok, true);
  assert.deepEqual(found(1).findings, [
    {
      group: "policies",
      status: "warning",
      subject: "east",
      message: "policies are not enforced for 1 pod in audit mode; what they do not allow passes, and is reported",
      fix:
        "mesh monitor --drops --context east shows what would be denied; the annotation " +
        "mesh.isthmus.io/policy-audit-mode, or policy-audit-mode in mesh-config, ends it",
    },
  ]);
  assert.match(found(2).findings[0]?.message ?? "", /^policies are not enforced for 2 pods in audit mode/);
});

test("label filters that differ are a warning, and the mesh is in sync; one that is not known is none", () => {
  const found = (...digests: (string | undefined)[]) => {
    const views = (["east", "west"] as const).map((cluster, i) => ({
      ...view(cluster),
      labelFilter: { cluster, digest: digests[i], version: `0.${i + 1}.0` },
    }));
    const { ok, findings } = assess(views);
    return { ok, lines: findings.map(({ status, subject, message }) => `${status} ${subject}: ${message}`) };
  };
  const different =
    "warning east, west: their label filters differ (east: aa of version 0.1.0, west: bb of version 0.2.0): a policy may select pods with the same labels in one of them only";
  assert.deepEqual(found("aa", "bb"), { ok: true, lines: [different] });
  for (const digests of [
    ["aa", "aa"],
    ["aa", undefined],
  ])
    assert.deepEqual(found(...digests), { ok: true, lines: [] });
});

test("a certificate is a warning 30 days before it expires and a failure in its last week, with the fix", () => {
  const nowMs = Date.UTC(2026, 10, 1);
  const at = (days: number) => BigInt(nowMs / 1000 + days * 86_400 + 60);
  const east = view("east", (report) => {
    report.certificates = [
      { name: "server", notAfter: at(29) },
      { name: "ca", notAfter: at(400) },
      { name: "store", notAfter: at(6) },
      { name: "store-ca", notAfter: at(-3) },
    ];
  });
  const found = assess([east, view("west")], { nowMs });
  assert.equal(found.ok, false);
  golden("status-certificates", findingsText(found.findings, { color: false }));
  const only = view("east", (report) => {
    report.certificates = [{ name: "server", notAfter: at(7) }];
  });
  assert.equal(assess([only, view("west")], { nowMs }).ok, true);
});
