/** Explaining a Service: over the admin API with an agent, and what each difference of the maps is called. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { formatAddress, parseAddress, serviceName } from "@isthmus/model";
import {
  AdminClient,
  Affinity,
  BackendExclusion,
  Endpoint,
  ExplainedService,
  ExplainServiceRequest,
  type ExplainServiceResponse,
  Family,
  FrontendRowState,
  MonitorState,
  NodeFrontends,
  PeerState,
  Service,
  ServiceConfig,
  Slice,
  SourceReport,
  StatusResponse,
} from "@isthmus/proto";
import {
  ENDPOINT_KIND,
  endpointKey,
  type HashedRecord,
  SERVICE_CONFIG_KIND,
  SERVICE_KIND,
  SLICE_KIND,
  serviceConfigKey,
  serviceKey,
  sliceKey,
} from "@isthmus/records";
import { createFakeSource, createFakeSources, type FakeSource } from "../../testing/fake-source.js";
import type { AdminServerModules } from "./admin-server.js";
import { LIMIT, startQueryRig, waitFor } from "./testing/query-rig.js";

const WEB = serviceName("shop", "web");
const [READY, NOT_READY] = [3, 0];
const { FRONTEND_ROW_STATE_SERVICE: SERVICE, FRONTEND_ROW_STATE_UNKNOWN: UNKNOWN } = FrontendRowState;
const ip = (text: string) => Buffer.from(parseAddress(text));

interface ClusterSpec {
  readonly config?: Partial<ServiceConfig>;
  readonly shared?: boolean;
  /** Address to conditions. */
  readonly backends: Readonly<Record<string, number>>;
  /** Pod to address. */
  readonly pods?: Readonly<Record<string, string>>;
}

/** Service web, which has port http 80, in one cluster. */
function cluster(id: number, name: string, { config, shared = true, backends, pods = {} }: ClusterSpec): FakeSource {
  const source = createFakeSource(id, name);
  const ports = [{ name: "http", protocol: 6, port: 80 }];
  const upserts: HashedRecord[] = [
    SERVICE_KIND.record(
      serviceKey(WEB),
      Service.fromPartial({ shared, ports, frontends: [ip("10.96.0.7")], uid: "u" }),
    ),
    SLICE_KIND.record(
      sliceKey(WEB, "web-1"),
      Slice.fromPartial({
        family: Family.FAMILY_IPV4,
        ports: [{ name: "http", protocol: 6, port: 8080 }],
        backends: Object.entries(backends).map(([address, conditions]) => ({
          ...{ address: ip(address), conditions, node: `${name}-w1` },
        })),
      }),
    ),
    ...Object.entries(pods).map(([pod, address]) =>
      ENDPOINT_KIND.record(
        endpointKey(parseAddress(address)),
        Endpoint.fromPartial({ address: ip(address), namespace: "shop", pod, node: "w1", podUid: pod, identity: 7 }),
      ),
    ),
  ];
  if (config !== undefined)
    upserts.push(SERVICE_CONFIG_KIND.record(serviceConfigKey(WEB), ServiceConfig.fromPartial(config)));
  source.index.apply({ upserts, deletes: [], position: source.change({}), observedMicros: 1 });
  return source;
}

const LOCAL = { global: true, affinity: Affinity.AFFINITY_LOCAL };
const east = (config: Partial<ServiceConfig> = LOCAL) =>
  cluster(0, "east", {
    config,
    backends: { "10.1.0.1": READY, "10.1.0.2": NOT_READY },
    pods: { "web-1": "10.1.0.1", client: "10.1.9.9" },
  });
const west = (spec: Partial<ClusterSpec> = {}) =>
  cluster(2, "west", { backends: { "10.2.0.1": READY }, pods: { "web-x": "10.2.0.1", stranger: "10.2.9.9" }, ...spec });

async function setUp(t: TestContext, sources: readonly FakeSource[], modules: Partial<AdminServerModules> = {}) {
  const rig = await startQueryRig(t, { sources: createFakeSources(...sources), ...modules });
  const client = new AdminClient(`127.0.0.1:${rig.adminPort}`, credentials.createSsl(Buffer.from(rig.tls.ca)), {
    "grpc.ssl_target_name_override": "clustermesh-apiserver.mesh-system.svc",
  });
  t.after(() => client.close());
  const explain = (request: Parameters<typeof ExplainServiceRequest.fromPartial>[0] = {}) =>
    new Promise<ExplainServiceResponse>((resolve, reject) => {
      const whole = ExplainServiceRequest.fromPartial({ namespace: "shop", name: "web", ...request });
      client.explainService(whole, new Metadata(), (error: ServiceError | null, answer) =>
        error === null ? resolve(answer) : reject(error),
      );
    });
  return {
    ...rig,
    explain,
    /** The same from pod client, whose agent answers with these rows. */
    async explainFrom(rows: NonNullable<Parameters<typeof NodeFrontends.fromPartial>[0]["frontends"]>) {
      const agent = await rig.agent("w1");
      await waitFor("the stream", () => rig.queries.has("w1"));
      const answer = explain({ fromNamespace: "shop", fromPod: "client" });
      await waitFor("the query", () => agent.received.length > 0);
      const value = NodeFrontends.fromPartial({ frontends: rows });
      agent.answer({ last: true, part: { $case: "frontends", value } });
      const explained = await answer;
      agent.close();
      await waitFor("no stream", () => !rig.queries.has("w1"));
      return { ...explained, asked: agent.received[0]?.message };
    },
  };
}

/** Cause of each backend by its address, 0 where it is in use. */
const causes = ({ frontends }: ExplainServiceResponse) =>
  Object.fromEntries((frontends[0]?.backends ?? []).map((each) => [formatAddress(each.address), each.exclusion]));

const {
  BACKEND_EXCLUSION_UNSPECIFIED: IN_USE,
  BACKEND_EXCLUSION_NOT_READY,
  BACKEND_EXCLUSION_OTHER_TIER,
} = BackendExclusion;
const { BACKEND_EXCLUSION_NOT_SHARED, BACKEND_EXCLUSION_NOT_IN_MAPS, BACKEND_EXCLUSION_RANK } = BackendExclusion;
const { BACKEND_EXCLUSION_OTHER_SERVICE } = BackendExclusion;

/** Rows of a node that has what `east()` and `west()` plan. */
const slot = (index: number, address: string, clusterId: number, more: object = {}) => ({
  ...{ index, generation: 1, slots: 1, address: ip(address), port: 8080, protocol: 6, cluster: clusterId },
  ...{ rankName: "up", ...more },
});
const rowsOf = (first: object = {}, second: object = {}, more: object = {}) => ({
  ...{ state: SERVICE, service: 4, generation: 2, plannedFor: WEB, activeTier: 1 },
  tiers: [
    { line: 0, slots: 1, tries: 0, cluster: 1, backends: [slot(1, "10.1.0.1", 1)], ...first },
    { line: 1, slots: 1, tries: 0, cluster: 2, backends: [slot(2, "10.2.0.1", 2)], ...second },
  ],
  ...more,
});

test(
  "without a pod it is the merge of the cluster: each backend of every cluster, its pod, tier and slots",
  LIMIT,
  async (t) => {
    const report = SourceReport.fromPartial({ cluster: "west", clusterId: 2, message: "silent for 20 s" });
    const later = SourceReport.fromPartial({
      cluster: "north",
      clusterId: 3,
      peerState: PeerState.PEER_STATE_CONNECTING,
    });
    const { explain, access } = await setUp(t, [east(), west()], {
      status: () => StatusResponse.fromPartial({ sources: [report, later] }),
      explain: {
        service: () => ExplainedService.fromPartial({ service: WEB, annotations: [{ key: "a", value: "b" }] }),
      },
    });
    const answer = await explain();
    assert.deepEqual(access.asked, ["read"]);
    assert.deepEqual([answer.pod, answer.node, answer.frontendsLeftOut], [undefined, undefined, 0]);
    const { service } = answer;
    assert.deepEqual([service?.global, service?.affinity, service?.annotations.length], [true, LOCAL.affinity, 1]);
    assert.deepEqual(
      answer.clusters.map((each) => [each.cluster, each.clusterId, each.peerState, each.exported, each.message]),
      [
        ["east", 1, PeerState.PEER_STATE_IN_SYNC, true, ""],
        ["west", 2, PeerState.PEER_STATE_IN_SYNC, true, "silent for 20 s"],
        ["north", 3, PeerState.PEER_STATE_CONNECTING, false, ""],
      ],
    );
    assert.deepEqual(causes(answer), {
      "10.1.0.1": IN_USE,
      "10.2.0.1": BACKEND_EXCLUSION_OTHER_TIER,
      "10.1.0.2": BACKEND_EXCLUSION_NOT_READY,
    });
    const [frontend] = answer.frontends;
    assert.deepEqual(
      frontend?.backends.map(({ cluster, pod, node, tier, slots, rows }) => [cluster, pod, node, tier, slots, rows]),
      [
        ["east", "web-1", "east-w1", 1, 1, undefined],
        ["west", "web-x", "west-w1", 2, 1, undefined],
        ["east", "", "east-w1", 0, 0, undefined],
      ],
    );
    assert.match(frontend?.backends[1]?.reason ?? "", /tier 1 \("east"\) has backends/);
    assert.deepEqual(frontend?.tiers, [
      { clusters: ["east"], slots: 1 },
      { clusters: ["west"], slots: 1 },
    ]);
    assert.equal((await explain({ port: "http" })).frontends.length, 1);
    assert.equal((await explain({ port: "81" })).frontends.length, 0);
  },
);

test("the reason of an excluded cluster is that of the merge, for each of its backends", LIMIT, async (t) => {
  const { explain } = await setUp(t, [east(), west({ shared: false })]);
  const answer = await explain();
  assert.equal(causes(answer)["10.2.0.1"], BACKEND_EXCLUSION_NOT_SHARED);
  assert.deepEqual(answer.frontends[0]?.leftOut[0]?.keptOut, answer.frontends[0]?.backends.at(-1)?.reason);
});

test(
  "a pod's node is asked for the frontends, which agree with the plan; that needs the right to monitor",
  LIMIT,
  async (t) => {
    const { explainFrom, explain, access } = await setUp(t, [east(), west()], {
      explain: { appliedOn: () => ({ nodes: 1, on: () => 1 }) },
    });
    const answer = await explainFrom([rowsOf()]);
    assert.deepEqual(access.asked, ["read", "monitor"]);
    const frontends = [{ address: ip("10.96.0.7"), port: 80, protocol: 6 }];
    assert.deepEqual(answer.asked, {
      $case: "query",
      value: { credit: 1, query: { $case: "frontends", value: { frontends } } },
    });
    assert.deepEqual([answer.node?.state, answer.applied], [MonitorState.MONITOR_STATE_HEARD, true]);
    assert.deepEqual([answer.pod?.node, answer.pod?.addresses.map(formatAddress)], ["w1", ["10.1.9.9"]]);
    assert.deepEqual(answer.frontends[0]?.differences, []);
    assert.deepEqual(causes(answer)["10.2.0.1"], BACKEND_EXCLUSION_OTHER_TIER);
    assert.equal(answer.frontends[0]?.backends[0]?.rows?.index, 1);
    access.refuse = status.PERMISSION_DENIED;
    await assert.rejects(explain(), { code: status.PERMISSION_DENIED });
  },
);

test("what the maps hold otherwise decides, and is named as a difference", LIMIT, async (t) => {
  const { explainFrom } = await setUp(t, [east(), west()]);
  const down = { rank: 3, rankName: "down", clusterState: 0b100 << 16 };
  const cases: readonly (readonly [ReturnType<typeof rowsOf>, readonly number[], RegExp, RegExp])[] = [
    [
      rowsOf({ slots: 2, stale: 1, backends: [] }, {}, { activeTier: 2 }),
      [BACKEND_EXCLUSION_NOT_IN_MAPS, IN_USE],
      /slots of tier 1: 2 in the maps, 1 by the records.*tier 1 whose backend is gone: 1 in.*slots of 10.1.0.1:8080 in tier 1: 0 in/,
      /not applied the latest records/,
    ],
    [
      rowsOf({ backends: [] }, {}, { activeTier: 2, problems: ["Map is full"] }),
      [BACKEND_EXCLUSION_NOT_IN_MAPS, IN_USE],
      /^slots of 10.1.0.1:8080 in tier 1: 0 in the maps, 1 by the records$/,
      /^Map is full$/,
    ],
    [
      rowsOf(
        { backends: [slot(1, "10.1.0.1", 1, { rank: 2, rankName: "suspect", ownRank: 2 })] },
        {},
        { activeTier: 2 },
      ),
      [BACKEND_EXCLUSION_RANK, IN_USE],
      /^$/,
      /^Its row says that it is suspect$/,
    ],
    [
      rowsOf({ backends: [slot(1, "10.1.0.1", 1, down)] }, { tries: 3 }, { activeTier: 2, rescueAfterMs: 300 }),
      [BACKEND_EXCLUSION_RANK, IN_USE],
      /rescue-after: 300ms in the maps, auto by the records; further probes in tier 2: 3 in the maps, 0 by/,
      /cluster 1 is down, by reporter 2$/,
    ],
    [
      rowsOf({}, {}, { plannedFor: "shop/other" }),
      [BACKEND_EXCLUSION_OTHER_SERVICE, BACKEND_EXCLUSION_OTHER_SERVICE],
      /^$/,
      /of Service "shop\/other" on the node/,
    ],
    [
      { ...rowsOf(), state: UNKNOWN, tiers: [], activeTier: 0 },
      [BACKEND_EXCLUSION_NOT_IN_MAPS, BACKEND_EXCLUSION_NOT_IN_MAPS],
      /no row for this address of the Service ranges/,
      /not applied/,
    ],
  ];
  for (const [rows, [first, second], differences, reason] of cases) {
    const answer = await explainFrom([rows]);
    const by = causes(answer);
    assert.deepEqual([by["10.1.0.1"], by["10.2.0.1"]], [first, second], differences.source);
    assert.match(answer.frontends[0]?.differences.join("; ") ?? "", differences);
    const backend = answer.frontends[0]?.backends.find(({ address }) => formatAddress(address) === "10.1.0.1");
    assert.match(backend?.reason ?? "", reason);
    assert.equal(by["10.1.0.2"], BACKEND_EXCLUSION_NOT_READY);
  }
});

test(
  "what is no answer to the query, and an agent that refuses or is not there, leave the view of the records",
  LIMIT,
  async (t) => {
    const { explainFrom, explain, agent, queries } = await setUp(t, [east(), west()]);
    const from = { fromNamespace: "shop", fromPod: "client" };
    const none = await explain(from);
    assert.equal(none.node?.state, MonitorState.MONITOR_STATE_NO_QUERIES);
    assert.deepEqual(causes(none)["10.1.0.1"], IN_USE);
    const bad = slot(1, "10.1.0.1", 1, { address: Buffer.alloc(4) });
    for (const rows of [[], [rowsOf(), rowsOf()], [rowsOf({ backends: [bad] })], [rowsOf({}, {}, { activeTier: 3 })]]) {
      const { node, frontends } = await explainFrom(rows);
      assert.equal(node?.state, MonitorState.MONITOR_STATE_UNAVAILABLE);
      assert.match(node?.message ?? "", /does not answer what was asked/);
      assert.equal(frontends[0]?.rows, undefined);
    }
    const old = await agent("w1");
    await waitFor("the stream", () => queries.has("w1"));
    const answer = explain(from);
    await waitFor("the query", () => old.received.length > 0);
    old.answer({ last: true, problem: "the agent does not know this query\u001b[2J" });
    const { node } = await answer;
    assert.equal(node?.state, MonitorState.MONITOR_STATE_UNAVAILABLE);
    assert.equal(node?.message, "the agent does not know this query\\u{1b}[2J");
  },
);

test("an unknown Service, a pod of another cluster, and names that nothing can have", LIMIT, async (t) => {
  const { explain } = await setUp(t, [east(), west()]);
  const none = await explain({ name: "api" });
  assert.deepEqual([none.service, none.frontends], [undefined, []]);
  const stranger = await explain({ fromNamespace: "shop", fromPod: "stranger" });
  assert.deepEqual([stranger.pod, stranger.podClusters, stranger.frontends], [undefined, ["west"], []]);
  assert.notEqual(stranger.service, undefined);
  for (const bad of [{ name: "" }, { fromPod: "client" }, { name: "x".repeat(300) }])
    await assert.rejects(explain(bad), { code: status.INVALID_ARGUMENT });
});

test("a Service that is left to another proxy has frontends without backends", LIMIT, async (t) => {
  const source = createFakeSource(0, "east");
  source.change({ "services/shop/other": "" });
  const ports = [{ name: "http", protocol: 6, port: 80 }];
  const { explain } = await setUp(t, [source], {
    explain: {
      service: (service) =>
        ExplainedService.fromPartial({ service, addresses: [ip("10.96.0.9")], ports, left: true, otherProxy: "p" }),
    },
  });
  const { frontends, service } = await explain();
  assert.deepEqual([service?.otherProxy, frontends.map(({ port, backends }) => [port, backends])], ["p", [[80, []]]]);
});

test("an answer has 1,000 backends at most, and counts the others", LIMIT, async (t) => {
  const backends = Object.fromEntries(Array.from({ length: 1200 }, (_, i) => [`10.1.${i >> 8}.${i & 255}`, READY]));
  const { explain } = await setUp(t, [cluster(0, "east", { config: LOCAL, backends })]);
  const [frontend] = (await explain()).frontends;
  assert.deepEqual([frontend?.backends.length, frontend?.backendsLeftOut], [1000, 200]);
});
