import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { MESH_CLUSTERS, MESH_PEERS, type MeshCluster, type MeshPeer } from "@isthmus/kube";
import { createStore, provisionStore, type Store } from "@isthmus/kvstore";
import { type EtcdServer, startEtcd } from "@isthmus/kvstore/testing";
import {
  CheckStoreResponse,
  ClusterClaim,
  type DiffPoliciesRequest,
  DiffPoliciesResponse,
  ListIdentitiesResponse,
  ListPoliciesResponse,
  ListServicesResponse,
  PolicyAction,
} from "@isthmus/proto";
import { type Member, startTestCluster, writeContexts } from "../testing/member.js";
import { type Ran, runForTest } from "../testing/memory-io.js";
import { writeStoreFile } from "../testing/store-file.js";

const folder = mkdtempSync(join(tmpdir(), "isthmus-connect-"));
let storeFile: string;
let etcd: EtcdServer;
let owner: Store;
let [east, west]: Member[] = [];
let kubeconfig: string;

before(async () => {
  [etcd, east, west] = await Promise.all([
    startEtcd({ tls: true }),
    startTestCluster("east", 1),
    startTestCluster("west", 2),
  ]);
  const root = await etcd.options("root");
  owner = createStore(root);
  await provisionStore(owner);
  storeFile = await writeStoreFile(folder, etcd);
  kubeconfig = writeContexts(members(), folder);
  for (const { answers } of members())
    answers.checkStore = CheckStoreResponse.fromPartial({
      endpoints: root.endpoints.map((endpoint) => ({ endpoint, reachable: true })),
    });
});

after(async () => {
  owner?.close();
  await Promise.all([etcd?.close(), east?.stop(), west?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

function members(): [Member, Member] {
  assert.ok(east !== undefined && west !== undefined);
  return [east, west];
}

function mesh(...argv: string[]): Promise<Ran> {
  return runForTest(argv, { KUBECONFIG: kubeconfig, MESH_STORE: storeFile });
}

const meshCluster = async (member: Member) => {
  const found = await member.client.get<MeshCluster>(MESH_CLUSTERS, member.name);
  assert.ok(found !== undefined);
  return found;
};

test("status --wait ends at once when no cluster has a MeshPeer", async () => {
  const ran = await mesh("status", "--wait");
  assert.equal(ran.code, 1);
  assert.match(ran.err, /Nothing to wait for: no cluster has a MeshPeer\. Run: mesh connect east west\n$/);
});

test("a dry run prints what it would write, also as manifests, and writes nothing", async () => {
  const table = await mesh("connect", "east", "west", "--dry-run");
  assert.equal(table.code, 0, table.err);
  assert.match(table.out, /^east +MeshPeer\/west +would create$/m);
  const yaml = await mesh("connect", "east", "west", "--dry-run", "-o", "yaml");
  assert.match(
    yaml.out,
    /# context: west\napiVersion: mesh\.isthmus\.io\/v1alpha1\nkind: MeshPeer\nmetadata:\n {2}name: east/,
  );
  assert.doesNotMatch(yaml.out, /PRIVATE KEY/);
  for (const member of members()) assert.equal((await meshCluster(member)).spec.store, undefined);
});

test("a failure of the preflight is named, and nothing is written", async () => {
  await owner.txn(
    [],
    [{ type: "put", key: "/mesh/v1/ids/2", value: ClusterClaim.encode({ name: "old", uid: "u" }).finish() }],
  );
  const ran = await mesh("connect", "east", "west");
  assert.equal(ran.code, 1);
  assert.equal(ran.out, "");
  assert.match(ran.err, /id 2 is claimed in the store by cluster "old"/);
  assert.match(ran.err, /Nothing was written: 1 finding must be resolved first/);
  assert.equal((await meshCluster(members()[0])).spec.store, undefined);
  await owner.txn([], [{ type: "delete", key: "/mesh/v1/ids/2" }]);
});

test("a failure of the second phase reports the steps that were done, and the next run continues", async () => {
  const [first, second] = members();
  const wrong = {
    spec: {
      store: {
        endpoints: ["https://other:1"],
        ca: "-----BEGIN CERTIFICATE-----",
        certificate: "-----BEGIN CERTIFICATE-----",
      },
    },
  };
  // Another field manager owns west's spec.store, so server-side apply without force fails.
  await second.client.apply(MESH_CLUSTERS, { metadata: { name: "west" }, ...wrong } as never, { manager: "gitops" });
  const ran = await mesh("connect", "east", "west", "-o", "json");
  assert.equal(ran.code, 1);
  const { error, changes } = JSON.parse(ran.out) as { error: { code: string }; changes: readonly object[] };
  assert.deepEqual([error.code, changes.length], ["KUBE_STATUS", 3]);
  assert.match(ran.err, /409 Conflict/);
  assert.match(ran.err, /Stopped after 3 changes; nothing is lost, run the same command again to continue/);
  assert.ok((await meshCluster(first)).spec.store !== undefined);
  await second.client.mergePatch(MESH_CLUSTERS, "west", { spec: { store: null } });
});

test("connect makes users, certificates and peers; each certificate opens its own prefix and no other", async () => {
  const ran = await mesh("connect", "east", "west", "-o", "json");
  assert.equal(ran.code, 0, ran.err);
  assert.equal((JSON.parse(ran.out) as { connected: boolean }).connected, true);
  for (const [member, other, id] of [
    [...members(), 2] as const,
    [...members().reverse(), 1] as unknown as [Member, Member, number],
  ]) {
    const peer = await member.client.get<MeshPeer>(MESH_PEERS, other.name);
    assert.deepEqual(peer?.spec, {
      id,
      uid: `uid-${other.name}`,
      podCIDRs: [`10.${10 + id}.0.0/16`],
      serviceCIDRs: [`10.${95 + id}.0.0/16`],
    });
    const { store } = (await meshCluster(member)).spec;
    assert.ok(store !== undefined);
    const own = createStore({ ...store, key: member.storeKey });
    const put = (key: string) => own.txn([], [{ type: "put", key, value: Buffer.from("x") }]);
    assert.equal((await put(`/mesh/v1/c/${member.name}/test`)).committed, true);
    await assert.rejects(put(`/mesh/v1/c/${other.name}/test`), { code: "STORE_DENIED" });
    await assert.rejects(put(`/mesh/v1/ids/${id}`), { code: "STORE_DENIED" });
    own.close();
  }
  assert.deepEqual(JSON.parse(readFileSync(join(folder, "users.json"), "utf8")), {
    users: [
      { name: "east", id: 1 },
      { name: "west", id: 2 },
    ],
  });
});

test("running it again changes nothing and reports that", async () => {
  const versions = () =>
    Promise.all(members().map(async (member) => (await meshCluster(member)).metadata.resourceVersion));
  const were = await versions();
  const ran = await mesh("connect", "west", "east");
  assert.equal(ran.code, 0, ran.err);
  assert.match(ran.err, /Nothing to change: these clusters are connected already/);
  assert.doesNotMatch(ran.out, /created|updated/);
  assert.deepEqual(await versions(), were);
});

test("a new certificate request is signed; nothing else is written", async () => {
  const [first] = members();
  const { createKey, createRequest } = await import("@isthmus/pki");
  const storeRequest = await createRequest({ key: await createKey(), cn: "east" });
  await first.client.mergePatch(MESH_CLUSTERS, "east", { status: { storeRequest } }, { subresource: "status" });
  const ran = await mesh("connect", "east", "west");
  assert.equal(ran.code, 0, ran.err);
  const updated = ran.out.split("\n").filter((line) => line.includes("updated"));
  assert.equal(updated.length, 1);
  assert.match(String(updated[0]), /MeshCluster\/east spec\.store/);
});

test("running it again restores the users of a wiped store", async () => {
  await etcd.wipe(provisionStore);
  const ran = await mesh("connect", "east", "west");
  assert.equal(ran.code, 0, ran.err);
  assert.equal(ran.out.match(/created/g)?.length, 2);
});

test("a full store is a failure before anything is written", async () => {
  const { maintenance } = owner.transport;
  const { member_id } = (await maintenance.status()).header;
  await maintenance.alarm({ action: "Activate", memberID: member_id, alarm: "Nospace" });
  const ran = await mesh("connect", "east", "west");
  assert.equal(ran.code, 1);
  assert.match(ran.err, /the store is full and refuses writes \(alarm NOSPACE\)/);
  await maintenance.alarm({ action: "Deactivate", memberID: member_id, alarm: "Nospace" });
});

test("a store without authentication is a failure", async () => {
  await etcd.wipe();
  const ran = await mesh("connect", "east", "west");
  assert.equal(ran.code, 1);
  assert.match(ran.err, /authentication is off/);
  await etcd.wipe(provisionStore);
});

test("the CLI calls the admin API with a token of mesh-cli and prints its answers", async () => {
  const [first] = members();
  const listed = await mesh("service", "list");
  assert.equal(listed.code, 0, listed.err);
  assert.match(listed.out, /^SERVICE +FRONTEND/);
  first.answers.services = ListServicesResponse.fromPartial({
    frontends: [{ service: "a/b", address: Buffer.alloc(16), port: 1, protocol: 6, status: "Error: no ready backend" }],
  });
  const empty = await mesh("service", "list", "--context", "east");
  assert.equal(empty.code, 0, "a Service without endpoints is no failure of the mesh");
  assert.match(empty.out, /Error: no ready backend/);
  first.answers.services = ListServicesResponse.fromPartial({
    frontends: [{ service: "a/b", address: Buffer.alloc(16), port: 1, protocol: 6, status: "Error: no room" }],
  });
  assert.equal((await mesh("service", "list", "--context", "east", "-o", "json")).code, 1);
});

test("policies are listed with exit code 1 when one is not accepted, and an empty namespace is reported as such", async () => {
  const [first] = members();
  const none = await mesh("policy", "list", "-n", "default");
  assert.deepEqual([none.code, none.err], [0, 'No policy in namespace "default" of context "east"\n']);
  const policy = { kind: "NetworkPolicy", namespace: "a", name: "b", generation: 1n, inForce: 1n, nodes: 2 };
  first.answers.policies = ListPoliciesResponse.fromPartial({ policies: [policy] });
  const listed = await mesh("policy", "list");
  assert.equal(listed.code, 0, listed.err);
  assert.match(listed.out, /NetworkPolicy +a\/b +yes +0\/2 nodes/);
  assert.equal(listed.err, "");
  first.answers.policies = ListPoliciesResponse.fromPartial({ policies: [policy], auditedPods: 2 });
  const audited = await mesh("policy", "list");
  assert.match(audited.err, /^2 pods of the cluster are in audit mode: /);
  first.answers.policies = ListPoliciesResponse.fromPartial({ policies: [{ ...policy, findings: ["Field x"] }] });
  assert.equal((await mesh("policy", "list", "-o", "json")).code, 1);
  first.answers.policies = ListPoliciesResponse.fromPartial({});
  const nope = await mesh("policy", "list", "-n", "nope");
  assert.equal(nope.code, 1);
  assert.match(nope.err, /Cannot list policies of namespace "nope"/);
});

test("a change of policies is compared: exit code 0 without a difference, 1 with one, 2 for what is not accepted and for errors", async () => {
  const [first] = members();
  const requests: DiffPoliciesRequest[] = [];
  const answers = (answer: Parameters<typeof DiffPoliciesResponse.fromPartial>[0]) => {
    first.answers.diffPolicies = (request) => {
      requests.push(request);
      return DiffPoliciesResponse.fromPartial(answer);
    };
  };
  const file = join(folder, "web.yaml");
  writeFileSync(
    file,
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web}\nspec: {podSelector: {}}\n",
  );
  const policy = { kind: "NetworkPolicy", namespace: "default", name: "web" };
  answers({ policies: [{ policy, action: PolicyAction.POLICY_ACTION_CREATE }] });
  const none = await mesh("policy", "diff", "-f", file, "--delete", "ccnp/wall");
  assert.deepEqual([none.code, none.err], [0, ""]);
  assert.match(none.out, /^NetworkPolicy default\/web would be created; it selects no pod\n\nNo difference/);
  const [request] = requests;
  const [object] = request?.objects ?? [];
  assert.deepEqual(JSON.parse(gunzipSync(object ?? "").toString()), {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "web", namespace: "default" },
    spec: { podSelector: {} },
  });
  assert.deepEqual(request?.deleted, [{ kind: "CiliumClusterwideNetworkPolicy", namespace: "", name: "wall" }]);

  answers({ policies: [{ policy, action: PolicyAction.POLICY_ACTION_CREATE, pods: 1 }], denied: { ingressPairs: 3n } });
  const some = await mesh("policy", "diff", "-f", file, "-o", "json");
  assert.equal(some.code, 1);
  assert.equal((JSON.parse(some.out) as { denied: { ingressPairs: number } }).denied.ingressPairs, 3);

  answers({ policies: [{ policy, action: PolicyAction.POLICY_ACTION_CREATE, findings: ["Field x"] }] });
  const refused = await mesh("policy", "diff", "-f", file);
  assert.deepEqual(
    [refused.code, refused.out, refused.err],
    [
      2,
      "NetworkPolicy default/web would not be accepted: Field x\n",
      "Nothing was compared: 1 change would not be accepted\n",
    ],
  );
  first.answers.diffPolicies = () => {
    throw new Error("no answer");
  };
  const failed = await mesh("policy", "diff", "-f", file);
  assert.equal(failed.code, 2);
  assert.match(failed.err, /Cannot ask the admin API of cluster "east"/);
  const elsewhere = await mesh("policy", "diff", "-f", file, "--context", "nowhere");
  assert.equal(elsewhere.code, 2);
});

test("identities are listed, and those that are left out are counted", async () => {
  const [first] = members();
  const none = await mesh("identity", "list");
  assert.deepEqual([none.code, none.err], [0, 'No identity in context "east"\n']);
  const labels = [{ key: "app", value: "web" }];
  const identity = { number: 1048832, cluster: "east", labels, pods: 2, example: "shop/web-1" };
  first.answers.identities = ListIdentitiesResponse.fromPartial({ identities: [identity], leftOut: 7 });
  const listed = await mesh("identity", "list");
  assert.deepEqual([listed.code, listed.err], [0, "7 more are not shown: choose a namespace with -n\n"]);
  assert.match(listed.out, /1048832 +east +- +- +app=web +2 \(web-1\)/);
  const inJson = JSON.parse((await mesh("identity", "list", "-o", "json")).out) as { identities: { number: number }[] };
  assert.equal(inJson.identities[0]?.number, 1048832);
});

test("a namespace without Services is reported as such; one that does not exist is an error", async () => {
  members()[0].answers.services = ListServicesResponse.fromPartial({});
  const none = await mesh("service", "list", "-n", "default");
  assert.equal(none.code, 0, none.err);
  assert.equal(none.err, 'No frontend in namespace "default" of context "east"\n');
  const nope = await mesh("service", "list", "-n", "nope");
  assert.deepEqual([nope.code, nope.out], [1, ""]);
  assert.match(
    nope.err,
    /Cannot list services of namespace "nope": context "east" has no such namespace; see: kubectl/,
  );
});

test("with -o json an error is JSON on stdout, and a sentence on stderr", async () => {
  for (const [argv, code, pattern] of [
    [
      ["status", "--context", "nowhere", "-o", "json"],
      "USAGE",
      /Cannot find context "nowhere": the kubeconfig has east, west/,
    ],
    [["service", "list", "--context", "none", "--output=json"], "USAGE", /Cannot find context "none"/],
    [["status", "-o", "json", "--bogus"], "USAGE", /Unknown option "--bogus"/],
  ] as const) {
    const ran = await mesh(...argv);
    const { schemaVersion, error } = JSON.parse(ran.out) as {
      schemaVersion: number;
      error: { code: string; message: string };
    };
    assert.deepEqual([ran.code, schemaVersion, error.code], [2, 1, code]);
    assert.match(error.message, pattern);
    assert.equal(ran.err, `${error.message}\n`);
  }
});

/** A kubeconfig with more contexts than those of the members. */
function kubeconfigWith(name: string, change: (content: Contexts) => void): string {
  const content = JSON.parse(readFileSync(kubeconfig, "utf8")) as Contexts;
  change(content);
  const file = join(folder, `${name}.kubeconfig`);
  writeFileSync(file, JSON.stringify(content));
  return file;
}

interface Contexts {
  readonly clusters: { name: string; cluster: { server: string } }[];
  readonly contexts: { name: string; context: { cluster: string; user: string } }[];
  readonly users: { name: string; user: object }[];
}

test("two contexts of one cluster count as one cluster", async () => {
  const file = kubeconfigWith("twice", ({ contexts }) =>
    contexts.push({ name: "east2", context: { cluster: "east", user: "admin" } }),
  );
  const ran = await mesh("status", "--kubeconfig", file);
  assert.doesNotMatch(ran.err, /"east" has no MeshPeer "east"|east2/);
  assert.equal(ran.out.match(/^east +store +publish/gm)?.length, 1);
});

test("an unreachable context that is no member is a warning; named on the command line it is a failure", async () => {
  const file = kubeconfigWith("dead", ({ clusters, contexts }) => {
    clusters.push({ name: "old", cluster: { server: "https://127.0.0.1:1" } });
    contexts.push({ name: "old", context: { cluster: "old", user: "admin" } });
  });
  const ran = await mesh("status", "--kubeconfig", file);
  assert.match(ran.err, /warning +old: Cannot GET .*ECONNREFUSED.*; it is ignored/);
  assert.doesNotMatch(ran.out, /^old /m);
  const named = await mesh("status", "--kubeconfig", file, "--context", "east,west,old");
  assert.match(named.err, /fail +old: Cannot GET/);
});

test("the fix for a cluster that cannot be queried depends on the cause", async () => {
  const file = kubeconfigWith("rights", ({ contexts, users }) => {
    users.push({ name: "nobody", user: { token: "nobody-token" } }, { name: "gone", user: { token: "old" } });
    contexts.push({ name: "east-gone", context: { cluster: "east", user: "gone" } });
    contexts.push({ name: "east-nobody", context: { cluster: "east", user: "nobody" } });
  });
  const at = (context: string) => mesh("status", "--kubeconfig", file, "--context", context);
  assert.match(
    (await at("east-gone")).err,
    /401 .*\n.*log in to that cluster again, then: kubectl --context east-gone/,
  );
  // A context whose user was deleted, as kubectl leaves it.
  const left = kubeconfigWith("left", (config) => {
    config.contexts.push({ name: "old", context: { cluster: "east", user: "deleted" } });
  });
  const beside = await mesh("status", "--kubeconfig", left);
  assert.match(
    beside.err,
    /warning +old: Cannot use .*: context "old" names a cluster or a user that it does not define/,
  );
  assert.notEqual(beside.out, "");
  assert.match((await at("east-nobody")).err, /403 .*\n.*bind ClusterRole mesh-operator/);
  assert.match(
    (await mesh("connect", "east-gone", "west", "--kubeconfig", file)).err,
    /401 .*\n.*log in to that cluster again, then: kubectl --context east-gone/,
  );
  const dead = kubeconfigWith("down", ({ clusters }) => {
    for (const { cluster } of clusters) cluster.server = "https://127.0.0.1:1";
  });
  const ran = await mesh("status", "--kubeconfig", dead);
  assert.match(ran.err, /check that its API server runs .*: kubectl --context east get --raw \/version/);
  assert.doesNotMatch(ran.err, /get pods/);
});

test("status shows what is missing with exit code 1, and with 3 when --wait timed out", async () => {
  const once = await mesh("status");
  assert.equal(once.code, 1);
  assert.match(once.err, /its apiserver does not know this peer yet/);
  const waited = await mesh("status", "--wait", "--timeout", "2s");
  assert.equal(waited.code, 3);
  assert.match(waited.err, /Not in sync within 2s/);
});

test("an unreachable context is a finding with a fix", async () => {
  const broken = JSON.parse(readFileSync(kubeconfig, "utf8")) as {
    clusters: { name: string; cluster: { server: string } }[];
  };
  for (const { name, cluster } of broken.clusters) if (name === "west") cluster.server = "https://127.0.0.1:1";
  const file = join(folder, "broken.kubeconfig");
  writeFileSync(file, JSON.stringify(broken));
  const ran = await mesh("connect", "east", "west", "--kubeconfig", file);
  assert.equal(ran.code, 1);
  assert.match(ran.err, /fail +west: Cannot GET "\/version" at "https:\/\/127\.0\.0\.1:1"/);
  assert.match(ran.err, /to do: check that its API server runs .*: kubectl --context west get --raw \/version/);
});
