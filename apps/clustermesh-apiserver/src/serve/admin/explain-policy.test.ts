/** One direction of a flow explained: by records, by the answer of the pod's agent, and over the admin API. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { parseAddress, systemClock } from "@isthmus/model";
import { allow } from "@isthmus/node-policy/testing";
import {
  AdminClient,
  ExplainPolicyRequest,
  type ExplainPolicyResponse,
  Kind,
  MonitorState,
  PolicyDirection,
  PolicyEntries,
  type Position,
  type QueryMessage,
  Service,
} from "@isthmus/proto";
import { hashRecord } from "@isthmus/records";
import { makePolicy } from "@isthmus/testing";
import type { StreamSource } from "../../ports/stream-source.js";
import { createAgentQueries } from "../agents/agent-queries.js";
import { explainPolicy } from "./explain-policy.js";
import { CLIENT, EAST, makePod, policySources, positionOf, WEB, WEST_CLIENT } from "./testing/policy-sources.js";
import { LIMIT, startQueryRig, waitFor } from "./testing/query-rig.js";

const EGRESS = PolicyDirection.POLICY_DIRECTION_EGRESS;
const INGRESS = PolicyDirection.POLICY_DIRECTION_INGRESS;

type Flow = Partial<Omit<ExplainPolicyRequest, "other">> & { readonly other?: string };
const request = ({ other, ...flow }: Flow) =>
  ExplainPolicyRequest.fromPartial({
    ...{ namespace: "shop", pod: "web", direction: INGRESS, protocol: 6, port: 80, ...flow },
    other: other === undefined ? Buffer.alloc(0) : Buffer.from(parseAddress(other)),
  });

/** `applied`: revision of each source that nodes have applied, by its id. */
function setUp({
  sources = policySources(),
  applied = { 0: 100, 2: 100 },
  reported = () => undefined,
}: {
  sources?: readonly StreamSource[];
  applied?: Readonly<Record<number, number>>;
  reported?: Parameters<typeof explainPolicy>[1]["reported"];
} = {}) {
  const queries = createAgentQueries();
  const asked: QueryMessage[] = [];
  /** The node's agent, which gives this answer to every query. */
  function agent(node: string, answer: Parameters<typeof PolicyEntries.fromPartial>[0] | { readonly problem: string }) {
    const opened = queries.open(node, {
      write(message) {
        asked.push(message);
        if (message.message?.$case !== "query") return;
        const part =
          "problem" in answer
            ? { problem: answer.problem, part: undefined }
            : { problem: "", part: { $case: "policy" as const, value: PolicyEntries.fromPartial(answer) } };
        setImmediate(() => opened.answer({ id: message.id, last: true, ...part }));
      },
      end: () => undefined,
    });
  }
  const explain = (flow: Flow): Promise<ExplainPolicyResponse> =>
    explainPolicy(request(flow), {
      ...{ sources: { all: sources }, local: EAST, queries, reported, clock: systemClock },
      nodes: () => [
        { node: "w1", connected: true },
        { node: "w2", connected: false },
      ],
      applied(_, id): Position | undefined {
        const revision = applied[id];
        return revision === undefined ? undefined : positionOf(id, revision);
      },
    });
  return { explain, agent, asked, sources };
}

const POLICY = { kind: "NetworkPolicy", namespace: "shop", name: "web" };

test("a pod is named with its address, node and labels", async () => {
  const { pod, ...others } = await setUp().explain({ pod: "client", direction: 0 });
  assert.deepEqual([pod?.address, pod?.node], [Buffer.from(parseAddress("10.1.2.6")), "w2"]);
  assert.equal(pod?.identity?.number, CLIENT);
  assert.ok(pod?.identity?.labels.some(({ key, value }) => key === "app" && value === "client"));
  assert.deepEqual(
    [others.cluster, others.other, others.policies, others.node, others.maps],
    ["east", undefined, undefined, undefined, undefined],
  );
});

test("an unknown pod is none, and the name of a Service is told", async () => {
  const sources = policySources();
  const record = hashRecord(Kind.KIND_SERVICE, "services/shop/cart", Service.encode(Service.create()).finish());
  sources[0].index.apply({ upserts: [record], deletes: [], position: positionOf(0, 101), observedMicros: 0 });
  const { explain } = setUp({ sources });
  assert.deepEqual(
    await Promise.all(
      ["nobody", "cart"].map(async (name) => {
        const { pod, isService } = await explain({ pod: name, direction: 0 });
        return [pod, isService];
      }),
    ),
    [
      [undefined, false],
      [undefined, true],
    ],
  );
});

test("a flow that a rule allows: rule, policies, identities, and the entries of the node's maps", async () => {
  const node = setUp();
  node.agent("w1", { endpoint: 3, set: 7, allowed: true, rules: [{ policy: POLICY, path: "spec.\u001bingress[0]" }] });
  const { other, policies, maps, node: heard, unapplied } = await node.explain({ other: "10.1.2.6" });
  assert.deepEqual([other?.cluster, other?.namespace, other?.pod], ["east", "shop", "client"]);
  assert.equal(other?.identity?.number, CLIENT);
  assert.deepEqual(
    { ...policies, rule: (policies?.rule ?? 0) > 0 },
    {
      ...{ allowed: true, audited: false, rule: true, rules: [{ policy: POLICY, path: "spec.ingress[0]" }] },
      ...{ selecting: [{ policy: POLICY, isolates: true }], moreSelecting: 0 },
    },
  );
  assert.deepEqual([heard?.state, maps?.set, unapplied], [MonitorState.MONITOR_STATE_HEARD, 7, []]);
  assert.ok(!maps?.rules[0]?.path.includes("\u001b"), "printable");
  const [asked] = node.asked;
  assert.ok(asked?.message?.$case === "query" && asked.message.value.query?.$case === "policy");
  assert.deepEqual(asked.message.value.query.value, {
    ...{ pod: Buffer.from(parseAddress("10.1.1.5")), other: Buffer.from(parseAddress("10.1.2.6")) },
    ...{ direction: INGRESS, protocol: 6, port: 80 },
  });
});

test("what no rule allows, a pod that no policy selects, and ends that are no pods of this cluster", async () => {
  const { explain } = setUp();
  const said = async (flow: Flow) => {
    const { other, policies } = await explain(flow);
    const labels = other?.identity?.labels.map(({ key, value }) => (value === "" ? key : `${key}=${value}`)) ?? [];
    const named = labels.filter((label) => /^(app=|reserved:)/.test(label)).join();
    return [policies?.allowed, policies?.rules.length, policies?.selecting.length, named, other?.identity?.prefix];
  };
  assert.deepEqual(await said({ other: "10.2.1.7" }), [false, 0, 1, "app=client", ""]);
  assert.deepEqual(await said({ other: "203.0.113.9" }), [true, 1, 1, "reserved:world", "203.0.113.0/24"]);
  assert.deepEqual(await said({ other: "198.51.100.1" }), [false, 0, 1, "reserved:world", ""]);
  assert.deepEqual(await said({ other: "192.0.2.1" }), [true, 0, 1, "reserved:host", ""], "its own node");
  assert.deepEqual(await said({ other: "192.0.2.2" }), [false, 0, 1, "reserved:remote-node", ""]);
  assert.deepEqual(await said({ direction: EGRESS, other: "10.2.1.7" }), [true, 0, 1, "app=client", ""]);
  assert.deepEqual(await said({ direction: EGRESS, other: "224.0.0.1" }), [true, 0, 1, "reserved:host", ""]);
  assert.deepEqual(await said({ pod: "client", other: "10.1.1.5" }), [true, 0, 0, "app=web", ""]);
});

test("of a pod in audit mode it is said, with what its policies deny", async () => {
  const sources = policySources();
  const record = makePod("web", "10.1.1.5", WEB, { node: "w1", audited: true });
  sources[0].index.apply({ upserts: [record], deletes: [], position: positionOf(0, 101), observedMicros: 0 });
  const { policies } = await setUp({ sources }).explain({ other: "10.2.1.7" });
  assert.deepEqual([policies?.allowed, policies?.audited], [false, true]);
});

test("a pod of a cluster that is cut off is as this cluster knows it", async () => {
  const [east, west] = policySources();
  const known = await setUp({ sources: [east, west] }).explain({ other: "10.2.1.99" });
  assert.deepEqual([known.other?.identity?.number, known.other?.pod], [(2 << 20) | 3, ""]);
  const unknown = await setUp({ sources: [east] }).explain({ other: "10.2.1.7" });
  assert.equal(unknown.other?.identity?.number, 2);
  assert.equal((await setUp().explain({ other: "10.2.1.7" })).other?.identity?.number, WEST_CLIENT);
});

test("a ClusterIP is told from an address of the world", async () => {
  const sources = policySources();
  const service = Service.fromPartial({ frontends: [Buffer.from(parseAddress("10.96.0.7"))] });
  const record = hashRecord(Kind.KIND_SERVICE, "services/shop/cart", Service.encode(service).finish());
  sources[0].index.apply({ upserts: [record], deletes: [], position: positionOf(0, 101), observedMicros: 0 });
  const { explain } = setUp({ sources });
  assert.equal((await explain({ other: "10.96.0.7" })).other?.service, "shop/cart");
  assert.equal((await explain({ other: "10.96.0.8" })).other?.service, "");
});

test("a named port of the other end is that of all pods of its identity", async () => {
  const sources = policySources();
  const http = (port: number) => [{ name: "http", protocol: 6, port }];
  const object = {
    ...{ apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { namespace: "shop", name: "out" } },
    spec: {
      podSelector: { matchLabels: { app: "client" } },
      policyTypes: ["Egress"],
      egress: [{ to: [{ podSelector: {} }], ports: [{ port: "http" }] }],
    },
  };
  sources[0].index.apply({
    upserts: [
      makePod("web", "10.1.1.5", WEB, { node: "w1", ports: http(80) }),
      makePod("web-2", "10.1.2.9", WEB, { node: "w2", ports: http(8080) }),
      makePolicy("shop/out", object),
    ],
    ...{ deletes: [], position: positionOf(0, 101), observedMicros: 0 },
  });
  const { explain } = setUp({ sources });
  const ports = await Promise.all(
    [80, 8080, 8081].map(async (port) => {
      const { policies } = await explain({ pod: "client", direction: EGRESS, other: "10.1.1.5", port });
      return [policies?.allowed, policies?.rules[0]?.policy?.name];
    }),
  );
  assert.deepEqual(ports, [
    [true, "out"],
    [true, "out"],
    [false, undefined],
  ]);
});

test("why there is no answer of the node", async () => {
  const states = async (flow: Flow, node = setUp()) => {
    const { node: is, maps } = await node.explain(flow);
    return [is?.node, is?.state, is?.message, maps];
  };
  const NO = undefined;
  assert.deepEqual(await states({ other: "10.1.2.6" }), ["w1", MonitorState.MONITOR_STATE_NO_QUERIES, "", NO]);
  assert.deepEqual(await states({ pod: "client", other: "10.1.1.5" }), [
    "w2",
    MonitorState.MONITOR_STATE_NOT_CONNECTED,
    "",
    NO,
  ]);
  const older = setUp();
  older.agent("w1", { problem: "the agent does not know this query: it is of an older version" });
  const [, state, message] = await states({ other: "10.1.2.6" }, older);
  assert.equal(state, MonitorState.MONITOR_STATE_UNAVAILABLE);
  assert.match(String(message), /older version/);
});

test("what the node has not applied yet is named: records of both ends, policies and nodes", async () => {
  const sources = policySources();
  const policy = allow("later", "web", "ingress", []);
  const other = hashRecord(Kind.KIND_SERVICE, "services/shop/cart", Service.encode(Service.create()).finish());
  sources[0].index.apply({ upserts: [policy, other], deletes: [], position: positionOf(0, 105), observedMicros: 0 });
  const behind = setUp({ sources, applied: { 0: 100 } });
  behind.agent("w1", { endpoint: 1 });
  const { unapplied } = await behind.explain({ other: "10.2.1.7" });
  assert.deepEqual(unapplied, [
    { cluster: "east", appliedRevision: 100n, revision: 105n, keys: [policy.key], more: 0 },
    {
      ...{ cluster: "west", appliedRevision: 0n, revision: 100n, more: 0 },
      keys: [`identities/${WEST_CLIENT}`, "nodes/w1", "endpoints/10.2.1.7"],
    },
  ]);
});

test("policies that the pod's node refuses are named, if it is heard", async () => {
  const refused = new Map([["policies/networkpolicies/shop/web", "no room"]]);
  const reported = (node: string) =>
    node === "w1" ? { position: undefined, inForce: 0, refused, moreRefused: 0 } : undefined;
  const node = setUp({ reported });
  assert.deepEqual((await node.explain({ other: "10.1.2.6" })).refused, []);
  node.agent("w1", { endpoint: 1 });
  assert.deepEqual((await node.explain({ other: "10.1.2.6" })).refused, ["no room"]);
});

test("a request without a flow is refused", async () => {
  const { explain } = setUp();
  for (const flow of [{ pod: "" }, { pod: "a/b" }, { direction: 7 }, {}, { other: "10.1.1.1", protocol: 0 }])
    await assert.rejects(explain(flow), { code: "ADMIN" }, JSON.stringify(flow));
});

test("over the admin API it needs the right of those who read maps", LIMIT, async (t) => {
  const rig = await startQueryRig(t, {
    sources: { all: policySources(), complete: true, onChange: () => () => undefined },
  });
  const agent = await rig.agent("w1");
  await waitFor("the stream", () => rig.queries.has("w1"));
  const client = new AdminClient(`127.0.0.1:${rig.adminPort}`, credentials.createSsl(Buffer.from(rig.tls.ca)));
  t.after(() => client.close());
  const call = () => explainOver(client);
  const answered = call();
  await waitFor("the query", () => agent.received.length > 0);
  agent.answer({ last: true, part: { $case: "policy", value: PolicyEntries.fromPartial({ endpoint: 9 }) } });
  const answer = await answered;
  assert.ok("maps" in answer, String(answer));
  assert.deepEqual([answer.cluster, answer.pod?.identity?.number, answer.maps?.endpoint], ["east", WEB, 9]);
  assert.deepEqual(rig.access.asked, ["monitor"]);
  rig.access.refuse = status.PERMISSION_DENIED;
  const refused = await call();
  assert.ok("code" in refused && refused.code === status.PERMISSION_DENIED);
});

test("so many flows are explained at once, and one more is refused", LIMIT, async (t) => {
  const rig = await startQueryRig(t, {
    sources: { all: policySources(), complete: true, onChange: () => () => undefined },
  });
  const agent = await rig.agent("w1");
  await waitFor("the stream", () => rig.queries.has("w1"));
  const client = new AdminClient(`127.0.0.1:${rig.adminPort}`, credentials.createSsl(Buffer.from(rig.tls.ca)));
  t.after(() => client.close());
  const running = Array.from({ length: 8 }, () => explainOver(client));
  await waitFor("all queries", () => agent.received.length === 8);
  const refused = await explainOver(client);
  assert.ok("code" in refused && refused.code === status.RESOURCE_EXHAUSTED);
  for (const { id } of agent.received) agent.answer({ id, last: true, problem: "busy" });
  for (const answer of await Promise.all(running)) assert.ok("node" in answer && answer.node?.message === "busy");
  agent.close();
});

function explainOver(client: AdminClient): Promise<ExplainPolicyResponse | ServiceError> {
  return new Promise((resolve) => {
    client.explainPolicy(request({ other: "10.1.2.6" }), new Metadata(), (error, answer) => resolve(error ?? answer));
  });
}
