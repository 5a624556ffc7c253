/** The apiserver under its own ServiceAccount, with what deploy/base permits and nothing more. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import {
  ADMIN_AUDIENCE,
  CONFIG_MAPS,
  EVENTS,
  type KubeClient,
  type KubeConfigMap,
  type KubeNode,
  type KubeObject,
  type KubePod,
  type KubeService,
  MESH_CLUSTERS,
  MESH_IDENTITIES,
  type MeshCluster,
  type MeshIdentity,
  NETWORK_POLICIES,
  NODES,
  PODS,
  requestToken,
  SERVICE_ACCOUNTS,
  SERVICES,
} from "@isthmus/kube";
import { type KubeServer, kubeBinary, startKubeServer } from "@isthmus/kube/testing";
import { formatAddress, parseAddress } from "@isthmus/model";
import { createLogger } from "@isthmus/observe";
import {
  AdminClient,
  type DiffPoliciesResponse,
  Endpoint,
  type ListPoliciesResponse,
  Node,
  PolicyDirection,
  type Report,
  type StatusResponse,
} from "@isthmus/proto";
import { freePort, until } from "@isthmus/testing";
import { createMeshTls, type MeshTls } from "./testing/mesh-tls.js";
import { installSettings, kubeClient, type RunningApiserver, startApiserver } from "./testing/run-apiserver.js";
import { connectAgent, type TestAgentOptions } from "./testing/test-agent.js";

const BASE = fileURLToPath(new URL("../../../deploy/base", import.meta.url));
const namespace = "default";

let kube: KubeServer;
let admin: KubeClient;
let tls: MeshTls;
let apiserver: RunningApiserver;
let own: string;
let metricsAddress: string;
const lines: string[] = [];

before(async () => {
  kube = await startKubeServer();
  admin = kubeClient(kube.kubeconfig);
  const kubectl = (...args: string[]) =>
    promisify(execFile)(kubeBinary("kubectl"), ["--kubeconfig", kube.kubeconfig, ...args]);
  await kubectl("apply", "-k", BASE);
  await kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s");
  await installSettings(admin);
  const tokenFile = join(kube.folder, "own-token");
  writeFileSync(tokenFile, (await requestToken(admin, "mesh-system", "clustermesh-apiserver", 3600)).token);
  tls = await createMeshTls();
  own = kube.writeKubeconfig("own", { tokenFile });
  metricsAddress = `127.0.0.1:${await freePort()}`;
  apiserver = await start();
});

function start(): Promise<RunningApiserver> {
  const log = createLogger({ app: "test", level: "warn", destination: { write: (line) => void lines.push(line) } });
  return startApiserver({ kubeconfig: own }, tls, { log, metricsAddress });
}

after(async () => {
  await apiserver?.stop();
  admin?.transport.close();
  tls?.remove();
  await kube?.stop();
});

async function annotate(annotations: Record<string, string>): Promise<void> {
  const object = { metadata: { namespace, name: "cart", annotations }, spec: { ports: [{ port: 80 }] } } as KubeObject;
  await admin.apply(SERVICES, object, { manager: "user", force: true });
}

test("writing the MeshCluster, Events and conditions of Services, and the saved last good values is permitted", async () => {
  const cluster = () => admin.get<MeshCluster>(MESH_CLUSTERS, "east");
  await until("a status", async () => (await cluster())?.status?.storeRequest !== undefined);
  await annotate({ "service.cilium.io/global": "true" });
  await annotate({ "service.cilium.io/global": "yes", "mesh.isthmus.io/failover": "west" });
  const conditions = async () =>
    (await admin.get<KubeService>(SERVICES, "cart", { namespace }))?.status?.conditions ?? [];
  await until("a condition", async () => (await conditions()).length === 1);
  const [condition] = await conditions();
  assert.deepEqual(
    [condition?.type, condition?.status, condition?.reason],
    ["mesh.isthmus.io/AnnotationsAccepted", "False", "InvalidAnnotation"],
  );
  assert.match(condition?.message ?? "", /"yes".*; Annotation "mesh.isthmus.io\/failover" has no effect/);
  const reasons = async () =>
    (await admin.list<KubeObject & { readonly reason?: string }>(EVENTS, { namespace })).map(({ reason }) => reason);
  await until("an Event", async () => (await reasons()).includes("InvalidAnnotation"));
  await until("and one of what has no effect", async () => (await reasons()).includes("NotServedAsWritten"));
  const kept = () => admin.get<KubeConfigMap>(CONFIG_MAPS, "mesh-last-good", { namespace: "mesh-system" });
  await until("the last good value is kept", async () => Object.keys((await kept())?.data ?? {}).length === 1);
  await annotate({ "service.cilium.io/global": "true" });
  await until("healed", async () => (await conditions()).length === 0);
  await until("and nothing needs to be kept", async () => Object.keys((await kept())?.data ?? {}).length === 0);
  assert.deepEqual(
    lines.filter((line) => line.includes("Forbidden")),
    [],
  );
});

/** As the CLI asks. */
async function ask<Answer>(
  call: (cli: AdminClient, metadata: Metadata, done: (error: ServiceError | null, answer: Answer) => void) => void,
): Promise<Answer> {
  const { token } = await requestToken(admin, "mesh-system", "mesh-cli", 600, [ADMIN_AUDIENCE]);
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  const cli = new AdminClient(`127.0.0.1:${apiserver.adminPort}`, credentials.createSsl(Buffer.from(tls.ca)));
  return new Promise((resolve, reject) => {
    call(cli, metadata, (error, answer) => {
      cli.close();
      if (error === null) resolve(answer);
      else reject(error);
    });
  });
}

test("Events of policies, and the last accepted one that stays in force, are written too", async () => {
  const apply = (label: string) =>
    admin.apply(
      NETWORK_POLICIES,
      { metadata: { namespace, name: "web" }, spec: { podSelector: { matchLabels: { [label]: "a" } } } } as KubeObject,
      { manager: "user", force: true },
    );
  const events = () => admin.list<KubeObject & { readonly note?: string }>(EVENTS, { namespace });
  const says = async (what: RegExp) => (await events()).some(({ note }) => what.test(note ?? ""));
  await apply("io.cilium.k8s.policy.cluster");
  await until("the Event", () => says(/^Generation 1 is not accepted.*Nothing of it is in force$/));
  await apply("app");
  const metrics = async () => (await fetch(`http://${metricsAddress}/metrics`)).text();
  await until("it is accepted", async () => /kind="policies"\} 1$/m.test(await metrics()));
  await apply("io.cilium.k8s.policy.cluster");
  await until("another Event", () => says(/^Generation 3 is not accepted.*Generation 2 stays in force$/));
  const kept = () => admin.get<KubeConfigMap>(CONFIG_MAPS, "mesh-last-good-policies", { namespace: "mesh-system" });
  await until("it is saved", async () => Object.keys((await kept())?.data ?? {}).length === 1);
  const { policies } = await ask<ListPoliciesResponse>(
    (cli, ...how) => void cli.listPolicies({ namespace: "" }, ...how),
  );
  const [listed] = policies;
  assert.deepEqual([listed?.name, listed?.generation, listed?.inForce, listed?.findings.length], ["web", 3n, 2n, 1]);
  const status = await ask<StatusResponse>((cli, ...how) => void cli.status({ figures: false }, ...how));
  assert.equal(status.policiesNotAccepted, 1);
  assert.deepEqual(
    lines.filter((line) => line.includes("Forbidden")),
    [],
  );
});

/** Patches the status of a Service with the apiserver's token; returns why that is refused, "" when it is permitted. */
async function patchStatus(name: string, patch: object): Promise<string> {
  const client = kubeClient(own);
  const path = `/api/v1/namespaces/${namespace}/services/${name}/status`;
  const request = { method: "PATCH", path, body: patch, contentType: "application/merge-patch+json" } as const;
  try {
    await client.transport.json(request);
    return "";
  } catch (thrown) {
    return String(thrown);
  } finally {
    client.transport.close();
  }
}

test("a stolen token can write the mesh's conditions on a Service, and nothing else of its status or metadata", async () => {
  const spec = { type: "LoadBalancer", ports: [{ port: 80 }] };
  await admin.create(SERVICES, { metadata: { namespace, name: "lb" }, spec } as unknown as KubeObject);
  const condition = (type: string) => ({
    status: {
      conditions: [{ type, status: "False", reason: "R", message: "", lastTransitionTime: "2026-01-01T00:00:00Z" }],
    },
  });
  const refused = /may only write conditions mesh\.isthmus\.io/;
  let host = 0;
  const ingress = () => ({ status: { loadBalancer: { ingress: [{ ip: `203.0.113.${++host}` }] } } });
  await until("the policy is in force", async () => refused.test(await patchStatus("lb", ingress())), 60_000);
  for (const patch of [
    { status: { loadBalancer: { ingress: [{ hostname: "attacker.example" }] } } },
    { metadata: { annotations: { "service.cilium.io/global": "true" } } },
    { metadata: { labels: { a: "b" } } },
    { metadata: { finalizers: ["a.example/b"] } },
    condition("example.com/Ready"),
  ])
    assert.match(await patchStatus("lb", patch), refused, JSON.stringify(patch));
  assert.equal(await patchStatus("lb", condition("mesh.isthmus.io/PortsMatched")), "");
});

async function makeNode(): Promise<void> {
  const spec = { podCIDR: "10.11.1.0/24", podCIDRs: ["10.11.1.0/24"] };
  const object = { metadata: { name: "n1" }, spec } as KubeObject;
  await admin.apply(NODES, object, { manager: "test", force: true });
}

/** Patches a Node with the apiserver's token; returns why that is refused, "" when it is permitted. */
async function patchNode(subresource: "" | "/status", patch: object): Promise<string> {
  const client = kubeClient(own);
  const path = `/api/v1/nodes/n1${subresource}`;
  const request = { method: "PATCH", path, body: patch, contentType: "application/merge-patch+json" } as const;
  try {
    await client.transport.json(request);
    return "";
  } catch (thrown) {
    return String(thrown);
  } finally {
    client.transport.close();
  }
}

test("a node's health address is written to its Node and is in its record, also after a restart of the apiserver", async (t) => {
  await makeNode();
  const annotation = async () =>
    (await admin.get<KubeNode>(NODES, "n1"))?.metadata.annotations?.["mesh.isthmus.io/health-address"];
  async function agentOf(node: string, options: Partial<TestAgentOptions> = {}) {
    const agent = connectAgent({ port: apiserver.port, node, tls: await tls.node(node), ...options });
    t.after(() => agent.close());
    await until(`agent of ${node} is in sync`, () => agent.source(0).inSync);
    const health = () => {
      const bytes = Node.decode(agent.value(0, "nodes/n1") ?? new Uint8Array()).health;
      return bytes.length === 0 ? "none" : formatAddress(bytes);
    };
    const report = (address: string) =>
      agent.send({ $case: "nodeReport", value: { health: Buffer.from(parseAddress(address)) } });
    return { health, report, close: () => agent.close() };
  }
  const [one, two] = [await agentOf("n1"), await agentOf("n2")];
  await until("the Node is known", () => two.health() === "none");
  one.report("10.11.2.254");
  one.report("10.11.1.254");
  await until("the record has it", () => two.health() === "10.11.1.254");
  assert.equal(await annotation(), "10.11.1.254");
  one.close();

  await apiserver.stop();
  apiserver = await start();
  const later = await agentOf("n2");
  await until("the record has it again", () => later.health() === "10.11.1.254");

  await agentOf("n1", { capabilities: ["source-states"] });
  await until("an agent of the version before has none", () => later.health() === "none");
  assert.equal(await annotation(), undefined);
  assert.deepEqual(
    lines.filter((line) => line.includes("Forbidden")),
    [],
  );
});

test("a stolen token can write the health address of a Node, and nothing else of it", async () => {
  const annotate = (name: string) => ({ metadata: { annotations: { [name]: "10.11.1.9" } } });
  const refused = /may only write the annotation mesh\.isthmus\.io\/health-address/;
  await makeNode();
  let beat = 0;
  const heartbeat = () => ({ status: { nodeInfo: { bootID: `${++beat}` } } });
  await until("the policy is in force", async () => refused.test(await patchNode("/status", heartbeat())), 60_000);
  for (const patch of [
    { status: { addresses: [{ type: "InternalIP", address: "203.0.113.9" }] } },
    { status: { conditions: [{ type: "Ready", status: "False" }] } },
    { status: { capacity: { "example.com/gpu": "8" } } },
    { metadata: { labels: { "node-role.kubernetes.io/control-plane": "" } } },
    { metadata: { finalizers: ["a.example/b"] } },
    annotate("volumes.kubernetes.io/controller-managed-attach-detach"),
    { metadata: { annotations: { "mesh.isthmus.io/health-address": "10.11.1.9", other: "x" } } },
  ])
    assert.match(await patchNode("/status", patch), refused, JSON.stringify(patch));
  for (const patch of [{ spec: { unschedulable: true } }, annotate("mesh.isthmus.io/health-address")])
    assert.match(await patchNode("", patch), /Forbidden|forbidden/, JSON.stringify(patch));
  assert.equal(await patchNode("/status", annotate("mesh.isthmus.io/health-address")), "");
});

/** Creates a pod on node n1, as a controller and the scheduler would. */
async function makePod(name: string, labels: Record<string, string>): Promise<KubePod> {
  await admin.apply(SERVICE_ACCOUNTS, { metadata: { namespace, name: "default" } }, { manager: "test" });
  const spec = { nodeName: "n1", containers: [{ name: "c", image: "i" }], automountServiceAccountToken: false };
  return admin.create<KubePod>(PODS, { metadata: { namespace, name, labels }, spec } as unknown as KubePod);
}

/** At once, as its node would after the pod has ended. */
async function deletePod(name: string): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
  await admin.transport.json({ method: "DELETE", path, query: { gracePeriodSeconds: "0" } });
}

test("pods with the same labels get one MeshIdentity, and agents its record", async (t) => {
  await makeNode();
  for (const name of ["web-1", "web-2"]) await makePod(name, { app: "web", "pod-template-hash": name });
  const identities = async () =>
    (await admin.list<MeshIdentity>(MESH_IDENTITIES)).filter(({ spec }) => spec.labels["app"] === "web");
  await until("an identity", async () => (await identities()).length > 0);
  const agent = connectAgent({ port: apiserver.port, node: "n2", tls: await tls.node("n2") });
  t.after(() => agent.close());
  const [identity] = await identities();
  const name = identity?.metadata.name ?? "";
  await until("the record", () => agent.value(0, `identities/${name}`) !== undefined);
  assert.equal((await identities()).length, 1);
  assert.deepEqual(identity?.spec.labels, {
    app: "web",
    "io.kubernetes.pod.namespace": namespace,
    "io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name": namespace,
    "io.cilium.k8s.policy.serviceaccount": "default",
    "io.cilium.k8s.policy.cluster": "east",
  });
  const cluster = await admin.get<MeshCluster>(MESH_CLUSTERS, "east");
  assert.equal((1 << 20) + (cluster?.status?.identityCursor ?? 0) >= Number(name), true);
  await until("the condition", async () => {
    const { status } = (await admin.get<MeshCluster>(MESH_CLUSTERS, "east")) ?? {};
    return status?.conditions?.some(({ type, status }) => type === "IdentitiesAllocated" && status === "True") === true;
  });
  for (const pod of ["web-1", "web-2"]) await deletePod(pod);
  await until("it is released", async () => (await identities())[0]?.spec.releasedAt !== undefined, 60_000);
});

test("what a change of policies would flip is answered, and nothing is changed by it", async () => {
  await makeNode();
  await makePod("diffed", { app: "diffed" });
  const status = { phase: "Running", podIP: "10.11.1.77", podIPs: [{ ip: "10.11.1.77" }] };
  await admin.mergePatch(PODS, "diffed", { status }, { namespace, subresource: "status" });
  const policy = (podSelector: object) => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { namespace, name: "diffed" },
    spec: { podSelector },
  });
  const diff = (podSelector: object) => {
    const objects = [gzipSync(JSON.stringify(policy(podSelector)))];
    return ask<DiffPoliciesResponse>((cli, ...how) => void cli.diffPolicies({ objects, deleted: [] }, ...how));
  };
  const selector = { matchLabels: { app: "diffed" } };
  await until("the pod is known", async () => (await diff(selector)).policies[0]?.pods === 1);
  const { flips, denied, allowed } = await diff(selector);
  assert.deepEqual(
    flips.map(({ direction, allowed, subjects, ports }) => [direction, allowed, subjects?.pods, ports.length]),
    [[PolicyDirection.POLICY_DIRECTION_INGRESS, false, [`east/${namespace}/diffed`], 1]],
  );
  assert.ok((denied?.ingressPairs ?? 0n) > 1n);
  assert.deepEqual(allowed, { ingressPairs: 0n, egressPairs: 0n, moreFlips: 0 });
  const refused = await diff({ matchLabels: { "io.kubernetes.pod.namespace": "shop" } });
  assert.match(refused.policies[0]?.findings[0] ?? "", /^Field "spec\.podSelector\.matchLabels.* is no label of pods/);
  assert.equal(await admin.get(NETWORK_POLICIES, "diffed", { namespace }), undefined);
  await deletePod("diffed");
});

test("the address that a node's agent reports is in the pod's record before its status has one, and stays over a restart", async (t) => {
  await makeNode();
  const pod = await makePod("early", { app: "early" });
  const uid = pod.metadata.uid ?? "";
  const annotation = async () =>
    (await admin.get<KubePod>(PODS, "early", { namespace }))?.metadata.annotations?.["mesh.isthmus.io/pod-ips"];
  async function agentOf(node: string) {
    const agent = connectAgent({ port: apiserver.port, node, tls: await tls.node(node) });
    t.after(() => agent.close());
    await until(`agent of ${node} is in sync`, () => agent.source(0).inSync);
    const report = (up: boolean, address: string, changes: Partial<Report> = {}) =>
      agent.send({
        $case: "report",
        value: {
          ...{ up, namespace, pod: "early", podUid: uid, address: Buffer.from(parseAddress(address)), hostPorts: [] },
          ...changes,
        },
      });
    const podAt = (address: string) =>
      Endpoint.decode(agent.value(0, `endpoints/${address}`) ?? new Uint8Array()).pod || "none";
    return { report, podAt, close: () => agent.close() };
  }
  const [one, two] = [await agentOf("n1"), await agentOf("n2")];
  one.report(true, "10.11.2.7");
  one.report(true, "10.11.1.7", { podUid: "another" });
  two.report(true, "10.11.1.8");
  const metrics = async () => (await fetch(`http://${metricsAddress}/metrics`)).text();
  for (const reason of ["outside-pod-range", "other-node"])
    await until(`${reason} is counted`, async () =>
      new RegExp(`^mesh_pod_reports_refused_total\\{reason="${reason}"\\} 1$`, "m").test(await metrics()),
    );
  assert.equal(await annotation(), undefined);
  one.report(true, "10.11.1.7");
  await until("the record has it", () => two.podAt("10.11.1.7") === "early");
  assert.equal(await annotation(), `10.11.1.7@${uid}`);
  one.close();

  await apiserver.stop();
  apiserver = await start();
  const [again, later] = [await agentOf("n1"), await agentOf("n2")];
  await until("the record has it again", () => later.podAt("10.11.1.7") === "early");
  again.report(false, "10.11.1.7");
  await until("a pod without a sandbox has no address", () => later.podAt("10.11.1.7") === "none");
  assert.equal(await annotation(), undefined);
  assert.deepEqual(
    lines.filter((line) => line.includes("Forbidden")),
    [],
  );
  await deletePod("early");
});

/** Patches a Pod with the apiserver's token or the operator's; returns why that is refused, "" when it is permitted. */
async function patchPod(config: string, name: string, subresource: "" | "/status", patch: object): Promise<string> {
  const client = kubeClient(config);
  const path = `/api/v1/namespaces/${namespace}/pods/${name}${subresource}`;
  const request = { method: "PATCH", path, body: patch, contentType: "application/merge-patch+json" } as const;
  try {
    await client.transport.json(request);
    return "";
  } catch (thrown) {
    return String(thrown);
  } finally {
    client.transport.close();
  }
}

test("a stolen token can write the address of a Pod and nothing else of it, and nobody else can write that", async () => {
  await makeNode();
  await makePod("victim", { app: "victim" });
  const annotate = (value: string | null, name = "mesh.isthmus.io/pod-ips") => ({
    metadata: { annotations: { [name]: value } },
  });
  const refused = /may only write the annotation mesh\.isthmus\.io\/pod-ips/;
  let beat = 0;
  const message = () => ({ status: { message: `${++beat}` } });
  const isInForce = async () => refused.test(await patchPod(own, "victim", "/status", message()));
  await until("the policy is in force", isInForce, 60_000);
  for (const patch of [
    { status: { phase: "Succeeded" } },
    { status: { podIPs: [{ ip: "10.11.1.9" }], podIP: "10.11.1.9" } },
    { metadata: { labels: { app: "admin" } } },
    { metadata: { finalizers: ["a.example/b"] } },
    annotate("x", "other"),
    { metadata: { annotations: { "mesh.isthmus.io/pod-ips": "10.11.1.9@u", other: "x" } } },
  ])
    assert.match(await patchPod(own, "victim", "/status", patch), refused, JSON.stringify(patch));
  assert.match(await patchPod(own, "victim", "", annotate("10.11.1.9@u")), /[Ff]orbidden/);
  assert.equal(await patchPod(own, "victim", "/status", annotate("10.11.1.9@u")), "");
  const ofAnother = { metadata: { uid: "of-another", annotations: { "mesh.isthmus.io/pod-ips": "10.11.1.7@u" } } };
  assert.match(
    await patchPod(own, "victim", "/status", ofAnother),
    /answers 422 .*metadata\.uid/,
    "the pod before it had the name",
  );
  const othersRefused = /written by clustermesh-apiserver alone/;
  for (const subresource of ["", "/status"] as const)
    assert.match(await patchPod(kube.kubeconfig, "victim", subresource, annotate("10.11.1.8@u")), othersRefused);
  assert.equal(await patchPod(kube.kubeconfig, "victim", "", { metadata: { labels: { app: "other" } } }), "");
  assert.equal(await patchPod(kube.kubeconfig, "victim", "", annotate(null)), "");
  await deletePod("victim");
});

test("metrics are served on --metrics-address", async () => {
  const response = await fetch(`http://${metricsAddress}/metrics`);
  assert.match(await response.text(), /^mesh_stream_agents 0$/m);
  assert.equal((await fetch(`http://${metricsAddress}/readyz`)).status, 404);
});
