/** Policies of a real Kubernetes API to POLICY records at an agent. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual, promisify } from "node:util";
import {
  CILIUM_CIDR_GROUPS,
  CILIUM_CLUSTERWIDE_NETWORK_POLICIES,
  CILIUM_NETWORK_POLICIES,
  CONFIG_MAPS,
  CUSTOM_RESOURCE_DEFINITIONS,
  ENDPOINT_SLICES,
  EVENTS,
  hasStatus,
  type KubeClient,
  type KubeConfigMap,
  type KubeObject,
  MESH_IDENTITIES,
  NAMESPACES,
  NETWORK_POLICIES,
  NODES,
  PODS,
  type Resource,
  SERVICE_ACCOUNTS,
  SERVICES,
} from "@isthmus/kube";
import { type KubeServer, kubeBinary, startKubeServer } from "@isthmus/kube/testing";
import {
  parseCiliumClusterwideNetworkPolicy,
  parseCiliumNetworkPolicy,
  parseNetworkPolicy,
  podIdentityLabels,
} from "@isthmus/policy";
import { Endpoint, Policy, type PolicyService } from "@isthmus/proto";
import { until } from "@isthmus/testing";
import { parse } from "yaml";
import { createMeshTls, type MeshTls } from "./testing/mesh-tls.js";
import { installSettings, kubeClient, type RunningApiserver, startApiserver } from "./testing/run-apiserver.js";
import { connectAgent, type TestAgent, type TestAgentOptions } from "./testing/test-agent.js";

let kube: KubeServer;
let client: KubeClient;
let tls: MeshTls;
let apiserver: RunningApiserver;
const namespace = "shop";
const CRDS = fileURLToPath(new URL("../../../deploy/cilium-crds/", import.meta.url));

before(async () => {
  kube = await startKubeServer();
  client = kubeClient(kube.kubeconfig);
  tls = await createMeshTls();
  await installSettings(client);
  await client.create(NAMESPACES, { metadata: { name: namespace } });
  for (const { plural } of [CILIUM_NETWORK_POLICIES, CILIUM_CLUSTERWIDE_NETWORK_POLICIES, CILIUM_CIDR_GROUPS]) {
    await client.create(
      CUSTOM_RESOURCE_DEFINITIONS,
      parse(readFileSync(`${CRDS}${plural}.yaml`, "utf8")) as KubeObject,
    );
  }
  apiserver = await startApiserver(kube, tls);
});

after(async () => {
  await apiserver?.stop();
  client?.transport.close();
  tls?.remove();
  await kube?.stop();
});

async function agentOf(node: string, options: Partial<TestAgentOptions> = {}): Promise<TestAgent> {
  const agent = connectAgent({ port: apiserver.port, node, tls: await tls.node(node), ...options });
  await until(`agent ${node} is in sync`, () => agent.source(0).inSync);
  return agent;
}

const apply = (name: string, spec: unknown) =>
  client.apply(NETWORK_POLICIES, { metadata: { namespace, name }, spec } as KubeObject, { manager: "t", force: true });

function policy(agent: TestAgent, name: string, key = `networkpolicies/shop/${name}`): Policy | undefined {
  const value = agent.value(0, `policies/${key}`);
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

const RULE = {
  endpointSelector: { matchLabels: { app: "web" } },
  ingress: [
    { fromEndpoints: [{ matchLabels: { app: "client" } }], toPorts: [{ ports: [{ port: "80", protocol: "TCP" }] }] },
  ],
};

/** Retried while the API does not serve the resource yet. */
async function applyCustom(resource: Resource, object: object): Promise<void> {
  const served = () =>
    client.apply(resource, object as KubeObject, { manager: "t", force: true }).then(
      () => true,
      (thrown: unknown) => !hasStatus(thrown, 404) && Promise.reject(thrown),
    );
  await until(`${resource.plural} are served`, served);
}

test("policies of Cilium's kinds have records, with and without a namespace, and fields that no schema knows reach the parser", async (t) => {
  const agent = await agentOf("n1");
  t.after(() => agent.close());
  await applyCustom(CILIUM_NETWORK_POLICIES, { metadata: { namespace, name: "web" }, spec: RULE });
  await applyCustom(CILIUM_CLUSTERWIDE_NETWORK_POLICIES, { metadata: { name: "all" }, specs: [RULE, RULE] });
  const web = () => policy(agent, "web", "ciliumnetworkpolicies/shop/web");
  const all = () => policy(agent, "all", "ciliumclusterwidenetworkpolicies/-/all");
  await until("both records", () => web() !== undefined && all() !== undefined);
  const object = (of: Policy | undefined): unknown => JSON.parse(of?.object.toString() ?? "");
  assert.ok(parseCiliumNetworkPolicy(object(web()), { cluster: "east" }).ok);
  const parsed = parseCiliumClusterwideNetworkPolicy(object(all()), { cluster: "east" });
  assert.ok(parsed.ok);
  assert.deepEqual([parsed.policy.specs.length, all()?.namespace], [2, ""]);

  const [ingress] = RULE.ingress;
  const layer7 = { ...ingress, toPorts: [{ ports: [{ port: "80" }], rules: { http: [{ method: "GET" }] } }] };
  await applyCustom(CILIUM_NETWORK_POLICIES, {
    metadata: { namespace, name: "web" },
    spec: { ...RULE, ingress: [layer7] },
  });
  const notes = async () =>
    (await client.list<KubeObject & { readonly note?: string }>(EVENTS, { namespace })).map(({ note }) => note ?? "");
  await until("the Event", async () =>
    (await notes()).some((note) =>
      /Field "spec\.ingress\[0\]\.toPorts\[0\]\.rules" is not supported.*Generation 1/.test(note),
    ),
  );
  assert.equal(Number(web()?.generation), 1);
  const columns = async () =>
    (await promisify(execFile)(kubeBinary("kubectl"), ["--kubeconfig", kube.kubeconfig, "-n", namespace, "get", "cnp"]))
      .stdout;
  await until("the conditions are in kubectl's columns", async () =>
    /^NAME +ACCEPTED +ENFORCED +AGE\nweb +False +(False|Unknown) /.test(await columns()),
  );

  await client.create(NODES, { metadata: { name: "n1" } });
  const enforcing = await agentOf("n1", { capabilities: ["source-states", "policies"] });
  t.after(() => enforcing.close());
  enforcing.ack(0);
  await until("it is enforced on the node", async () => /^web +False +True /m.test(await columns()), 20_000);

  await client.delete(CILIUM_CLUSTERWIDE_NETWORK_POLICIES, "all");
  await until(
    "the record is gone",
    () => policy(enforcing, "all", "ciliumclusterwidenetworkpolicies/-/all") === undefined,
  );
  assert.deepEqual([enforcing.source(0).broken, enforcing.source(0).marks.bad], [undefined, 0]);
});

test("a record has the CiliumCIDRGroups that its policy names, and the cluster's default scope", async (t) => {
  const agent = await agentOf("n1");
  t.after(() => agent.close());
  const spec = { endpointSelector: {}, egress: [{ toCIDRSet: [{ cidrGroupRef: "partners" }] }] };
  await applyCustom(CILIUM_CIDR_GROUPS, { metadata: { name: "partners" }, spec: { externalCIDRs: ["192.0.2.0/24"] } });
  await applyCustom(CILIUM_NETWORK_POLICIES, { metadata: { namespace, name: "out" }, spec });
  const out = () => policy(agent, "out", "ciliumnetworkpolicies/shop/out");
  await until("the record", () => out() !== undefined);
  assert.deepEqual(out()?.cidrGroups, [{ name: "partners", cidrs: ["192.0.2.0/24"] }]);
  assert.equal(out()?.meshScope, false);
  await installSettings(client, { "policy-default-scope": "mesh" });
  await until("the scope", () => out()?.meshScope === true);
});

test("a record has the Services that its policy means, and follows them", async (t) => {
  const agent = await agentOf("n1");
  t.after(() => agent.close());
  const egress = [{ toServices: [{ k8sService: { serviceName: "billing", namespace } }] }];
  const metadata = { namespace, name: "billing" };
  await applyCustom(CILIUM_NETWORK_POLICIES, { metadata, spec: { endpointSelector: {}, egress } });
  const services = () => policy(agent, "billing", "ciliumnetworkpolicies/shop/billing")?.services;
  const becomes = (what: string, ...wanted: readonly PolicyService[]) =>
    until(what, () => isDeepStrictEqual(services(), wanted));
  await becomes("a Service that does not exist");
  const manager = { manager: "t", force: true };
  await client.apply(SERVICES, { metadata, spec: { ports: [{ port: 443 }] } } as KubeObject, manager);
  const names = { namespace, name: "billing", labels: [] };
  await becomes("a Service without a selector", { ...names, selector: [], addresses: [] });
  const slice = (...addresses: readonly string[]) => ({
    metadata: { namespace, name: "billing-1", labels: { "kubernetes.io/service-name": "billing" } },
    ...{ addressType: "IPv4", ports: [{ port: 443 }], endpoints: addresses.map((one) => ({ addresses: [one] })) },
  });
  await client.apply(ENDPOINT_SLICES, slice("192.0.2.7") as KubeObject, manager);
  await becomes("an EndpointSlice", { ...names, selector: [], addresses: ["192.0.2.7"] });
  await client.apply(ENDPOINT_SLICES, slice("192.0.2.8", "192.0.2.7") as KubeObject, manager);
  await becomes("another endpoint", { ...names, selector: [], addresses: ["192.0.2.7", "192.0.2.8"] });
  await client.mergePatch(SERVICES, "billing", { spec: { selector: { app: "billing" } } }, { namespace });
  await becomes("a selector", { ...names, selector: [{ key: "app", value: "billing" }], addresses: [] });
  await client.delete(SERVICES, "billing", { namespace });
  await becomes("the Service is deleted");
});

test("a pod is in audit mode by its Namespace and by mesh-config, and one that may not be gets an Event", async (t) => {
  const agent = await agentOf("n1");
  t.after(() => agent.close());
  const annotations = (mode: string | null) => ({
    metadata: { annotations: { "mesh.isthmus.io/policy-audit-mode": mode } },
  });
  await client.apply(SERVICE_ACCOUNTS, { metadata: { namespace, name: "default" } }, { manager: "t" });
  const metadata = { namespace, name: "web", ...annotations("true").metadata };
  const spec = { nodeName: "n1", containers: [{ name: "web", image: "web" }], automountServiceAccountToken: false };
  await client.create(PODS, { metadata, spec } as KubeObject);
  const status = { phase: "Running", podIP: "10.11.1.5", podIPs: [{ ip: "10.11.1.5" }] };
  await client.mergePatch(PODS, "web", { status }, { namespace, subresource: "status" });
  // The number of its labels is given by hand: this cluster has no MeshCluster.
  const facts = { cluster: "east", namespace, serviceAccount: "default", podLabels: new Map<string, string>() };
  const namespaceLabels = new Map([["kubernetes.io/metadata.name", namespace]]);
  const labels = Object.fromEntries(podIdentityLabels({ ...facts, namespaceLabels }));
  const isAudited = () => {
    const value = agent.value(0, "endpoints/10.11.1.5");
    return value === undefined ? undefined : Endpoint.decode(value).audited;
  };
  const becomes = (audited: boolean, why: string) => until(why, () => isAudited() === audited);
  const events = async () =>
    (await client.list<KubeObject & { readonly reason?: string; readonly note?: string }>(EVENTS, { namespace }))
      .filter(({ reason }) => reason === "AuditModeNotAllowed")
      .map(({ note }) => note ?? "");
  await client.create(MESH_IDENTITIES, { metadata: { name: `${(1 << 20) + 300}` }, spec: { labels } } as KubeObject);
  await becomes(false, "the record");
  await until("an Event", async () => (await events()).length === 1);
  assert.match((await events())[0] ?? "", /its Namespace does not allow it; annotate that with .*"per-pod"/);
  await client.mergePatch(NAMESPACES, namespace, annotations("per-pod"));
  await becomes(true, "its Namespace lets it");
  assert.match((await apiserver.get("/metrics")).body, /^mesh_audited_pods 1$/m);
  await installSettings(client, { "policy-audit-mode": "never" });
  await becomes(false, "the cluster lets nobody");
  await installSettings(client, { "policy-audit-mode": "true" });
  await client.mergePatch(NAMESPACES, namespace, annotations(null));
  await becomes(true, "all pods of the cluster are");
  await client.mergePatch(PODS, "web", annotations("false"), { namespace });
  await becomes(false, "the pod is not");
});
