/** NetworkPolicies of a real Kubernetes API to POLICY records at an agent. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  CONFIG_MAPS,
  EVENTS,
  type KubeClient,
  type KubeConfigMap,
  type KubeObject,
  NAMESPACES,
  NETWORK_POLICIES,
} from "@isthmus/kube";
import { type KubeServer, startKubeServer } from "@isthmus/kube/testing";
import { parseNetworkPolicy } from "@isthmus/policy";
import { Policy } from "@isthmus/proto";
import { until } from "@isthmus/testing";
import { createMeshTls, type MeshTls } from "./testing/mesh-tls.js";
import { installSettings, kubeClient, type RunningApiserver, startApiserver } from "./testing/run-apiserver.js";
import { connectAgent, type TestAgent } from "./testing/test-agent.js";

let kube: KubeServer;
let client: KubeClient;
let tls: MeshTls;
let apiserver: RunningApiserver;
const namespace = "shop";

before(async () => {
  kube = await startKubeServer();
  client = kubeClient(kube.kubeconfig);
  tls = await createMeshTls();
  await installSettings(client);
  await client.create(NAMESPACES, { metadata: { name: namespace } });
  apiserver = await startApiserver(kube, tls);
});

after(async () => {
  await apiserver?.stop();
  client?.transport.close();
  tls?.remove();
  await kube?.stop();
});

async function agentOf(node: string): Promise<TestAgent> {
  const agent = connectAgent({ port: apiserver.port, node, tls: await tls.node(node) });
  await until(`agent ${node} is in sync`, () => agent.source(0).inSync);
  return agent;
}

const apply = (name: string, spec: unknown) =>
  client.apply(NETWORK_POLICIES, { metadata: { namespace, name }, spec } as KubeObject, { manager: "t", force: true });

function policy(agent: TestAgent, name: string): Policy | undefined {
  const value = agent.value(0, `policies/networkpolicies/shop/${name}`);
  return value === undefined ? undefined : Policy.decode(value);
}

const generation = (agent: TestAgent, name: string) => Number(policy(agent, name)?.generation ?? 0);
const select = (label: string) => ({ podSelector: { matchLabels: { [label]: "a" } }, policyTypes: ["Ingress"] });

test("what is not accepted leaves the last accepted generation in force, also after a restart, and an Event says why", async (t) => {
  const agent = await agentOf("n1");
  t.after(() => agent.close());
  await apply("web", select("app"));
  await until("the record", () => generation(agent, "web") === 1);
  const first = policy(agent, "web");
  await apply("web", select("io.kubernetes.pod.namespace"));
  const notes = async () =>
    (await client.list<KubeObject & { readonly reason?: string; readonly note?: string }>(EVENTS, { namespace }))
      .filter(({ reason }) => reason === "PolicyNotAccepted")
      .map(({ note }) => note ?? "");
  await until("the Event", async () => (await notes()).length === 1);
  assert.match((await notes())[0] ?? "", /^Generation 2 is not accepted: Field "spec\.podSelector.*Generation 1 stays/);
  assert.match((await apiserver.get("/metrics")).body, /^mesh_policies_not_accepted 1$/m);
  const kept = async () =>
    Object.keys(
      (await client.get<KubeConfigMap>(CONFIG_MAPS, "mesh-last-good-policies", { namespace: "mesh-system" }))?.data ??
        {},
    );
  await until("it is saved", async () => (await kept()).length === 1);

  await apiserver.stop();
  apiserver = await startApiserver(kube, tls);
  const later = await agentOf("n2");
  t.after(() => later.close());
  assert.deepEqual(policy(later, "web"), first);
  await apply("web", select("role"));
  await until("the next accepted generation", () => generation(later, "web") === 3);
  await until("nothing is saved any more", async () => (await kept()).length === 0);
  await client.delete(NETWORK_POLICIES, "web", { namespace });
  await until("the record is gone", () => policy(later, "web") === undefined);
  assert.deepEqual([later.source(0).broken, later.source(0).marks.bad], [undefined, 0]);
});

test("a policy of almost 10,000 peers passes whole, in a change and in a first sync", async (t) => {
  const peers = 9_900;
  const from = Array.from({ length: peers }, (_, i) => ({ ipBlock: { cidr: `10.${i >> 8}.${i & 255}.0/24` } }));
  const agent = await agentOf("n1");
  t.after(() => agent.close());
  await apply("large", { podSelector: {}, ingress: [{ from }] });
  await until("the change", () => generation(agent, "large") === 1);
  const later = await agentOf("n2");
  t.after(() => later.close());
  for (const each of [agent, later]) {
    const parsed = parseNetworkPolicy(JSON.parse(policy(each, "large")?.object.toString() ?? ""), { cluster: "east" });
    assert.ok(parsed.ok);
    assert.equal(parsed.policy.specs[0]?.rules[0]?.peers.length, peers);
  }
});
