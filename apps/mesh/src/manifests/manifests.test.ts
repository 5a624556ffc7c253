import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  createKubeClient,
  createTransport,
  type KubeClient,
  type KubeObject,
  loadKubeAccess,
  MESH_CLUSTERS,
  MESH_IDENTITIES,
  MESH_PEERS,
  type Resource,
  type Transport,
} from "@isthmus/kube";
import { type KubeServer, startKubeServer } from "@isthmus/kube/testing";
import { DEPLOY_BASE, kubectl } from "../testing/member.js";

const DEPLOY = join(DEPLOY_BASE, "..");
const CIDRS = { podCIDRs: ["10.11.0.0/16"], serviceCIDRs: ["10.96.0.0/16"] };

let server: KubeServer;
let transport: Transport;
let client: KubeClient;

before(async () => {
  server = await startKubeServer();
  transport = createTransport(loadKubeAccess({ kubeconfig: server.kubeconfig }));
  client = createKubeClient(transport);
  await kubectl(server.kubeconfig, "apply", "-k", DEPLOY_BASE);
  await kubectl(server.kubeconfig, "wait", "--for=condition=Established", "crd", "--all", "--timeout=30s");
});

after(async () => {
  transport?.close();
  await server?.stop();
});

test("base, kinds of policies, workloads and kind overlay pass a server-side dry run", async () => {
  for (const folder of ["base", "cilium-crds", "workloads", "kind"]) {
    const said = await kubectl(server.kubeconfig, "apply", "--dry-run=server", "-k", join(DEPLOY, folder));
    assert.match(said, /server dry run/);
    assert.doesNotMatch(said, /Warning/);
  }
});

/** The fields of a workload that the test below reads. */
interface Workload extends KubeObject {
  readonly spec?: {
    readonly replicas?: number;
    readonly strategy?: { readonly rollingUpdate?: { readonly maxSurge: number; readonly maxUnavailable: number } };
    readonly template?: {
      readonly spec: Readonly<Record<"containers" | "initContainers", readonly Container[] | undefined>> & {
        readonly terminationGracePeriodSeconds?: number;
      };
    };
  };
}
interface Container {
  readonly name: string;
  readonly args?: readonly string[];
  readonly securityContext?: { readonly privileged?: boolean; readonly runAsUser?: number };
  readonly volumeMounts?: readonly { readonly mountPropagation?: string }[];
}

test("the apiserver has one replica that blocks no drain, and containers that need root request it, since the image's user is not root", async () => {
  const args = ["apply", "--dry-run=client", "-o", "json", "-k", join(DEPLOY, "workloads")];
  const { items } = JSON.parse(await kubectl(server.kubeconfig, ...args)) as { items: readonly Workload[] };
  const apiserver = items.find(({ kind }) => kind === "Deployment");
  assert.equal(apiserver?.spec?.replicas, 1);
  // The new pod starts beside the old one where there is another node; on one node, the old one is deleted first.
  assert.deepEqual(apiserver?.spec?.strategy?.rollingUpdate, { maxSurge: 1, maxUnavailable: 1 });
  assert.deepEqual(items.map(({ kind }) => kind).sort(), ["DaemonSet", "Deployment"], "no PodDisruptionBudget");
  const spec = apiserver?.spec?.template?.spec;
  const delay = spec?.containers?.[0]?.args?.find((arg) => arg.startsWith("--shutdown-delay-seconds="));
  assert.ok(Number(delay?.split("=")[1]) >= 5, `${delay}`);
  assert.ok(Number(spec?.terminationGracePeriodSeconds) >= Number(delay?.split("=")[1]) + 15, "time to stop after it");
  const containers = items.flatMap(({ spec }) => [
    ...(spec?.template?.spec.initContainers ?? []),
    ...(spec?.template?.spec.containers ?? []),
  ]);
  const rootless = ({ securityContext }: Container) =>
    securityContext?.privileged === true && securityContext.runAsUser !== 0;
  assert.deepEqual(containers.filter(rootless), []);
});

test("applying base again changes nothing", async () => {
  const said = await kubectl(server.kubeconfig, "apply", "-k", DEPLOY_BASE);
  assert.ok(
    said
      .trim()
      .split("\n")
      .every((line) => line.endsWith("unchanged")),
    said,
  );
});

async function refused(resource: Resource, name: string, spec: unknown, sentence: RegExp): Promise<void> {
  const object = { metadata: { name }, spec } as KubeObject;
  await assert.rejects(client.create(resource, object), (error: Error) => {
    assert.match(error.message, sentence);
    return true;
  });
}

test("the API server refuses invalid MeshClusters with a message", async () => {
  const good = { id: 1, ...CIDRS };
  await refused(MESH_CLUSTERS, "ea.st", good, /a DNS label of at most 32 characters/);
  await refused(MESH_CLUSTERS, "e".repeat(33), good, /a DNS label of at most 32 characters/);
  await refused(MESH_CLUSTERS, "east", { ...good, id: 0 }, /spec\.id/);
  await refused(MESH_CLUSTERS, "east", { ...good, id: 4095 }, /spec\.id/);
  await refused(MESH_CLUSTERS, "east", CIDRS, /spec\.id: Required/);
  await refused(MESH_CLUSTERS, "east", { ...good, podCIDRs: ["10.11.0.1/16"] }, /a CIDR without host bits/);
  await refused(MESH_CLUSTERS, "east", { ...good, podCIDRs: [] }, /podCIDRs/);
  await refused(MESH_CLUSTERS, "east", { ...good, serviceCIDRs: ["services"] }, /a CIDR without host bits/);
  const store = { endpoints: ["http://10.0.0.1:2379"], ca: "-----BEGIN CERTIFICATE-----", certificate: "none" };
  await refused(MESH_CLUSTERS, "east", { ...good, store }, /the store speaks TLS only/);
  await refused(MESH_CLUSTERS, "east", { ...good, store }, /spec\.store\.certificate/);
  await refused(MESH_CLUSTERS, "east", { ...good, store: {} }, /spec\.store\.endpoints: Required/);
});

test("invalid MeshPeers and identities are refused", async () => {
  await refused(MESH_PEERS, "west", { id: 2, ...CIDRS, uid: "" }, /spec\.uid/);
  await refused(MESH_PEERS, "west", { id: 2, ...CIDRS }, /spec\.uid: Required/);
  await refused(
    MESH_PEERS,
    "west",
    { id: 2, ...CIDRS, podCIDRs: ["fd00::1/48"], uid: "u" },
    /a CIDR without host bits/,
  );
  await refused(MESH_IDENTITIES, "cart", { labels: {} }, /the name is the number/);
  await refused(MESH_IDENTITIES, "4294967296", { labels: {} }, /the name is the number/);
});

test("immutable fields cannot be changed; others can", async () => {
  await client.create(MESH_CLUSTERS, { metadata: { name: "east" }, spec: { id: 1, ...CIDRS } } as KubeObject);
  await assert.rejects(client.mergePatch(MESH_CLUSTERS, "east", { spec: { id: 2 } }), /cannot be changed/);
  await client.mergePatch(MESH_CLUSTERS, "east", { spec: { podCIDRs: ["10.11.0.0/16", "fd00:11::/48"] } });
  await client.create(MESH_IDENTITIES, {
    metadata: { name: "1048832" },
    spec: { labels: { app: "cart" } },
  } as KubeObject);
  await assert.rejects(
    client.mergePatch(MESH_IDENTITIES, "1048832", { spec: { labels: { app: "pay" } } }),
    /the same labels/,
  );
  await client.mergePatch(MESH_IDENTITIES, "1048832", { spec: { releasedAt: "2026-01-01T00:00:00Z" } });
});

test("conditions are a list with key type: writers of different types do not overwrite each other", async () => {
  const condition = (type: string) => ({
    metadata: { name: "east" },
    status: {
      conditions: [{ type, status: "True", reason: "Test", message: "", lastTransitionTime: "2026-01-01T00:00:00Z" }],
    },
  });
  for (const type of ["Ready", "Published"])
    await client.apply(MESH_CLUSTERS, condition(type) as KubeObject, {
      manager: `test-${type}`,
      subresource: "status",
    });
  const shown = await kubectl(server.kubeconfig, "get", "meshcluster", "east");
  assert.match(shown, /^NAME +ID +READY +STORE +PUBLISHED +AGE\neast +1 +True +True/m);
});

test("each account has the permissions that it needs and no similar ones", async () => {
  const api = "clustermesh-apiserver";
  const yes: readonly Parameters<typeof allowed>[] = [
    [api, "watch", "services", "", "shop", ""],
    [api, "watch", "endpointslices", "discovery.k8s.io", "shop", ""],
    [api, "watch", "networkpolicies", "networking.k8s.io", "shop", ""],
    [api, "watch", "ciliumclusterwidenetworkpolicies", "cilium.io", "", ""],
    [api, "patch", "ciliumnetworkpolicies/status", "cilium.io", "shop", ""],
    [api, "create", "events", "events.k8s.io", "shop", ""],
    [api, "patch", "services/status", "", "shop", ""],
    [api, "create", "meshclusters", "mesh.isthmus.io", "", ""],
    [api, "watch", "pods", "", "shop", ""],
    [api, "patch", "pods/status", "", "shop", ""],
    [api, "watch", "namespaces", "", "", ""],
    [api, "create", "meshidentities", "mesh.isthmus.io", "", ""],
    [api, "delete", "meshidentities", "mesh.isthmus.io", "", ""],
    [api, "get", "secrets", "", "mesh-system", "mesh-store-key"],
    [api, "create", "secrets", "", "mesh-system", ""],
    [api, "watch", "configmaps", "", "mesh-system", "mesh-config"],
    [api, "create", "tokenreviews", "authentication.k8s.io", "", ""],
    [api, "update", "configmaps", "", "mesh-system", "mesh-last-good"],
    [api, "update", "configmaps", "", "mesh-system", "mesh-last-good-policies"],
    [api, "create", "configmaps", "", "mesh-system", ""],
    [api, "update", "leases", "coordination.k8s.io", "mesh-system", api],
    [api, "create", "leases", "coordination.k8s.io", "mesh-system", ""],
    ["mesh-cli", "get", "meshclusters", "mesh.isthmus.io", "", ""],
    ["mesh-cli", "check-store", "meshclusters", "mesh.isthmus.io", "", ""],
  ];
  const no: readonly Parameters<typeof allowed>[] = [
    [api, "get", "secrets", "", "mesh-system", "mesh-apiserver-tls"],
    [api, "list", "secrets", "", "mesh-system", ""],
    [api, "get", "secrets", "", "default", "mesh-store-key"],
    [api, "create", "secrets", "", "default", ""],
    [api, "update", "services", "", "shop", ""],
    [api, "patch", "services", "", "shop", ""],
    [api, "update", "services/status", "", "shop", ""],
    [api, "patch", "pods", "", "shop", ""],
    [api, "delete", "pods", "", "shop", ""],
    [api, "patch", "namespaces", "", "", ""],
    [api, "update", "meshidentities", "mesh.isthmus.io", "", ""],
    [api, "patch", "networkpolicies", "networking.k8s.io", "shop", ""],
    [api, "patch", "ciliumnetworkpolicies", "cilium.io", "shop", ""],
    [api, "get", "configmaps", "", "kube-system", ""],
    [api, "update", "configmaps", "", "mesh-system", "mesh-config"],
    [api, "update", "leases", "coordination.k8s.io", "mesh-system", "another"],
    [api, "update", "leases", "coordination.k8s.io", "kube-system", api],
    [api, "delete", "leases", "coordination.k8s.io", "mesh-system", api],
    [api, "create", "meshpeers", "mesh.isthmus.io", "", ""],
    [api, "delete", "meshclusters", "mesh.isthmus.io", "", ""],
    ["mesh-cli", "update", "meshclusters", "mesh.isthmus.io", "", ""],
    ["mesh-cli", "get", "services", "", "default", ""],
    ["mesh-cli", "get", "secrets", "", "mesh-system", "mesh-store-key"],
  ];
  for (const question of yes) assert.equal(await allowed(...question), true, `may: ${question.join(" ")}`);
  for (const question of no) assert.equal(await allowed(...question), false, `may not: ${question.join(" ")}`);
});

/** `path`: a resource, or `resource/subresource`. */
async function allowed(
  account: string,
  verb: string,
  path: string,
  group: string,
  namespace: string,
  name: string,
): Promise<boolean> {
  const [resource, subresource = ""] = path.split("/");
  const review = await transport.json<{ status?: { allowed?: boolean } }>({
    method: "POST",
    path: "/apis/authorization.k8s.io/v1/subjectaccessreviews",
    body: {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: {
        user: `system:serviceaccount:mesh-system:${account}`,
        groups: ["system:serviceaccounts", "system:serviceaccounts:mesh-system", "system:authenticated"],
        resourceAttributes: { verb, resource, subresource, group, namespace, name },
      },
    },
  });
  return review.status?.allowed === true;
}
