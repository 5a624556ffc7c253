/** The command against the admin API of a cluster: what it prints and returns, and what it says when it cannot. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PODS } from "@isthmus/kube";
import { parseAddress } from "@isthmus/model";
import {
  Affinity,
  BackendExclusion,
  type ExplainServiceRequest,
  ExplainServiceResponse,
  FrontendRowState,
  MonitorState,
  PeerState,
  RefusalReason,
} from "@isthmus/proto";
import { json } from "../output/json.js";
import { golden } from "../testing/golden.js";
import { kubectl, type Member, startTestCluster, writeContexts } from "../testing/member.js";
import { runForTest } from "../testing/memory-io.js";
import { explainJson } from "./explain-json.js";
import { explainText } from "./explain-render.js";

type Answer = Parameters<typeof ExplainServiceResponse.fromPartial>[0];

const ip = (text: string) => Buffer.from(parseAddress(text));
const backend = (cluster: string, address: string, more: object = {}) => ({
  ...{ cluster, address: ip(address), port: 8080, protocol: 6, node: `${cluster}-w1`, ready: true },
  ...more,
});
const slot = (index: number, address: string, cluster: number, more: object = {}) => ({
  ...{ index, generation: 1, slots: 1, address: ip(address), port: 8080, protocol: 6, cluster, rankName: "up" },
  ...more,
});
const pod = (name: string) => ({ namespace: "shop", pod: name });
const DOWN = { rank: 3, rankName: "down", clusterState: 0b100 << 16 };

const SERVICE = {
  ...{ service: "shop/web", addresses: [ip("10.96.0.7")], ports: [{ name: "http", port: 80, protocol: 6 }] },
  ...{ global: true, shared: true, affinity: Affinity.AFFINITY_LOCAL },
  annotations: [
    { key: "service.cilium.io/affinity", value: "sideways" },
    { key: "service.cilium.io/global", value: "true" },
  ],
  notes: ['Annotation "service.cilium.io/affinity": "sideways" is unknown; the last good value "local" stays in force'],
};
const CLUSTERS = [
  { cluster: "east", clusterId: 1, peerState: PeerState.PEER_STATE_IN_SYNC, exported: true, shared: true },
  {
    ...{ cluster: "west", clusterId: 2, peerState: PeerState.PEER_STATE_STALE, exported: true, shared: true },
    message: 'The publisher of cluster "west" has been silent for 40 s',
    refused: [
      { refusalReason: RefusalReason.REFUSAL_REASON_ADDRESS_OUTSIDE_CIDR, count: 2, example: "slices/shop/web/web-9" },
    ],
  },
  { cluster: "north", clusterId: 3, peerState: PeerState.PEER_STATE_CONNECTING },
];
const FRONTEND = { address: ip("10.96.0.7"), port: 80, protocol: 6, portName: "http" };
const TIERS = [
  { clusters: ["east"], slots: 2 },
  { clusters: ["west"], slots: 1 },
];
const NOT_READY = {
  exclusion: BackendExclusion.BACKEND_EXCLUSION_NOT_READY,
  reason: "Its EndpointSlice says that it is not ready",
};
const NORTH = { cluster: "north", keptOut: "No global Service with a ClusterIP there: make it" };

const WITHOUT_POD: Answer = {
  ...{ service: SERVICE, clusters: CLUSTERS },
  frontends: [
    {
      ...{ ...FRONTEND, tiers: TIERS, leftOut: [NORTH], backendsLeftOut: 3 },
      backends: [
        backend("east", "10.1.0.1", { ...pod("web-1"), tier: 1, slots: 1 }),
        backend("east", "10.1.0.2", { ...pod("web-2"), tier: 1, slots: 1 }),
        backend("west", "10.2.0.1", {
          ...{ tier: 2, slots: 1, exclusion: BackendExclusion.BACKEND_EXCLUSION_OTHER_TIER },
          reason: 'In reserve: tier 1 ("east") has backends that are up',
        }),
        backend("east", "10.1.0.3", { ...NOT_READY, ready: false }),
      ],
    },
  ],
};

const FROM_POD: Answer = {
  ...{ service: SERVICE, clusters: CLUSTERS.slice(0, 2), applied: true },
  pod: { ...pod("client"), node: "w1", addresses: [ip("10.1.9.9")], identity: 1_048_900 },
  node: { node: "w1", state: MonitorState.MONITOR_STATE_HEARD },
  frontends: [
    {
      ...{ ...FRONTEND, tiers: TIERS },
      backends: [
        backend("west", "10.2.0.1", { ...pod("web-x"), tier: 2, slots: 1, rows: slot(3, "10.2.0.1", 2) }),
        backend("east", "10.1.0.1", {
          ...{ ...pod("web-1"), tier: 1, slots: 1, rows: slot(1, "10.1.0.1", 1, { ...DOWN, generation: 4 }) },
          ...{
            exclusion: BackendExclusion.BACKEND_EXCLUSION_RANK,
            reason: "The maps say that node 7 is down, by reporter 2",
          },
        }),
        backend("east", "10.1.0.2", {
          ...{ tier: 1, slots: 1, exclusion: BackendExclusion.BACKEND_EXCLUSION_NOT_IN_MAPS },
          reason: "Map mesh_backends_v1 is full",
        }),
        backend("east", "10.1.0.3", { ...NOT_READY, ready: false, serving: true }),
      ],
      rows: {
        ...{ state: FrontendRowState.FRONTEND_ROW_STATE_SERVICE, service: 12, generation: 3, plannedFor: "shop/web" },
        ...{ activeTier: 2, problems: ["Map mesh_backends_v1 is full"] },
        tiers: [
          { line: 40, slots: 1, tries: 0, cluster: 1, stale: 1, backends: [slot(1, "10.1.0.1", 1)] },
          { line: 41, slots: 1, tries: 0, cluster: 2, backends: [slot(3, "10.2.0.1", 2)] },
        ],
      },
      differences: [
        "slots of tier 1: 1 in the maps, 2 by the records",
        "slots of 10.1.0.2:8080 in tier 1: 0 in the maps, 1 by the records",
      ],
    },
  ],
};

const UNKNOWN: Answer = {
  ...FROM_POD,
  applied: false,
  frontends: [
    {
      ...{ ...FRONTEND, tiers: TIERS.slice(0, 1), problem: "Cannot serve frontend" },
      rows: { state: FrontendRowState.FRONTEND_ROW_STATE_UNKNOWN },
      differences: ["no row for this address of the Service ranges: connects fail at once"],
    },
  ],
  frontendsLeftOut: 2,
};

const whole = (answer: Answer) => ExplainServiceResponse.fromPartial(answer);

test("the text has every backend with its use, tier, slots, maps and reason, and what the maps hold", () => {
  golden("service-explain", explainText(whole(WITHOUT_POD), "east"));
  golden("service-explain-from", explainText(whole(FROM_POD), "east"));
  golden("service-explain-unknown", explainText(whole(UNKNOWN), "an arn:eks/east"));
  const left = { ...SERVICE, left: true, otherProxy: "p" };
  const noRows = { ...FRONTEND, rows: { state: FrontendRowState.FRONTEND_ROW_STATE_OTHER_PROXY } };
  golden("service-explain-left", explainText(whole({ ...FROM_POD, service: left, frontends: [noRows] }), "east"));
  golden(
    "service-explain-headless",
    explainText(whole({ service: { ...SERVICE, addresses: [] }, clusters: CLUSTERS }), "east"),
  );
});

test("JSON has the same content", () => {
  golden("service-explain-json", json(explainJson(whole(FROM_POD), "east")));
});

const folder = mkdtempSync(join(tmpdir(), "isthmus-explain-"));
let east: Member;
let env: { readonly KUBECONFIG: string };
before(async () => {
  east = await startTestCluster("east", 1);
  env = { KUBECONFIG: writeContexts([east], folder) };
});
after(async () => {
  await east?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs the command against this answer; returns what was asked, too. */
async function explain(answer: Answer, ...args: readonly string[]) {
  const asked: ExplainServiceRequest[] = [];
  east.answers.explain = (request) => {
    asked.push(request);
    return whole(answer);
  };
  const ran = await runForTest(["service", "explain", ...args], env);
  return { ...ran, asked: asked[0] };
}

test("it asks for the Service, a port, and a pod; 0 when backends can be used, else 1", async () => {
  const all = await explain(WITHOUT_POD, "shop/web");
  assert.deepEqual([all.code, all.err], [0, ""]);
  assert.deepEqual(all.asked, { namespace: "shop", name: "web", port: "", fromNamespace: "", fromPod: "" });
  assert.match(all.out, /Without --from/);
  const one = await explain(FROM_POD, "shop/web:http", "--from", "east/shop/client", "-o", "json");
  assert.deepEqual([one.code, one.err], [0, ""]);
  assert.deepEqual(one.asked, {
    namespace: "shop",
    name: "web",
    port: "http",
    fromNamespace: "shop",
    fromPod: "client",
  });
  assert.equal((JSON.parse(one.out) as { usable: boolean }).usable, true);
  assert.deepEqual([(await explain(UNKNOWN, "shop/web", "--from", "shop/client")).code], [1]);
});

test("maps that cannot be read are said on stderr, with what to do, and are a finding", async () => {
  const node = (state: MonitorState, message = "") => ({ node: "w1", state, message });
  const [first] = FROM_POD.frontends ?? [];
  const { rows: _, ...frontend } = first ?? {};
  for (const [state, why] of [
    [MonitorState.MONITOR_STATE_NO_QUERIES, /older version, which answers no queries: upgrade it/],
    [MonitorState.MONITOR_STATE_NOT_CONNECTED, /not connected to a server that answers; see mesh status/],
    [MonitorState.MONITOR_STATE_UNKNOWN, /no such Linux node/],
  ] as const) {
    const answer = { ...FROM_POD, node: node(state), frontends: [frontend] };
    const ran = await explain(answer, "shop/web", "--from", "shop/client");
    assert.equal(ran.code, 1);
    assert.match(ran.err, why);
    assert.match(ran.out, /its maps could not be read/);
  }
});

test("what there is not has an error of its own", async () => {
  await kubectl(east.server.kubeconfig, "create", "namespace", "shop");
  await kubectl(east.server.kubeconfig, "create", "serviceaccount", "default", "--namespace", "shop");
  const clusters = CLUSTERS.map((each) => ({ ...each, exported: each.cluster === "west" }));
  const noService = await explain({ clusters }, "shop/web");
  assert.match(noService.err, /context "east" has no such Service; cluster "west" exports one/);
  assert.match(
    (await explain({}, "shop/web")).err,
    /has no such Service; see: kubectl --context east -n shop get services/,
  );
  const noPort = await explain({ service: SERVICE }, "shop/web:dns");
  assert.match(noPort.err, /Cannot explain port "dns" of Service "shop\/web".* it has 80\/TCP \(http\)/);
  const elsewhere = await explain({ service: SERVICE, podClusters: ["west"] }, "shop/web", "--from", "shop/client");
  assert.match(elsewhere.err, /has no such pod, cluster "west" has: name the context of that cluster/);
  const none = await explain({ service: SERVICE }, "shop/web", "--from", "shop/client");
  assert.match(none.err, /context "east" has no such pod; see: kubectl --context east -n shop get pods/);
  const spec = { containers: [{ name: "c", image: "none" }], automountServiceAccountToken: false };
  for (const [name, more] of [
    ["host", { hostNetwork: true }],
    ["new", {}],
  ] as const)
    await east.client.create(PODS, { metadata: { namespace: "shop", name }, spec: { ...spec, ...more } });
  assert.match((await explain({ service: SERVICE }, "shop/web", "--from", "shop/host")).err, /on the node's network/);
  assert.match((await explain({ service: SERVICE }, "shop/web", "--from", "shop/new")).err, /knows no address of it/);
  for (const ran of [noService, noPort, elsewhere, none]) assert.deepEqual([ran.code, ran.out], [1, ""]);
});

test("a command line that cannot be meant is refused", async () => {
  for (const [args, why] of [
    [[], /name|which Service/],
    [["web"], /write NAMESPACE\/SERVICE/],
    [["shop/web/x"], /write NAMESPACE\/SERVICE/],
    [["shop/web:"], /neither the number nor the name of a port/],
    [["Shop/web"], /cannot be the name of a namespace/],
    [["shop/web", "shop/api"], /name one Service/],
    [["shop/web", "--from", "client"], /write NAMESPACE\/POD or CONTEXT\/NAMESPACE\/POD/],
    [["shop/web", "--from", "/shop/client"], /its context is empty/],
    [["shop/web", "--from", "west/shop/client", "--context", "east"], /name two clusters/],
  ] as const) {
    const ran = await explain(WITHOUT_POD, ...args);
    assert.deepEqual([ran.code, ran.asked], [2, undefined], args.join(" "));
    assert.match(ran.err, why);
  }
});
