import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { MeshCluster, MeshPeer } from "@isthmus/kube";
import { createKey, createRequest } from "@isthmus/pki";
import { findingsText } from "../output/findings.js";
import { golden } from "../testing/golden.js";
import type { ClusterFacts } from "./facts/cluster-facts.js";
import type { StoreFacts } from "./facts/store-facts.js";
import { preflight } from "./preflight.js";

const ENDPOINT = "https://10.0.0.9:2379";
const requests = new Map<string, string>();

before(async () => {
  for (const cn of ["east", "west", "root"]) requests.set(cn, await createRequest({ key: await createKey(), cn }));
});

interface Changes {
  readonly facts?: Partial<ClusterFacts>;
  readonly spec?: Partial<MeshCluster["spec"]>;
  readonly status?: MeshCluster["status"];
}

function cluster(name: string, id: number, { facts, spec, status }: Changes = {}): ClusterFacts {
  const storeRequest = requests.get(name);
  return {
    context: name,
    kubernetes: "v1.34.4",
    missing: [],
    cluster: {
      metadata: { name },
      spec: { id, podCIDRs: [`10.${10 + id}.0.0/16`], serviceCIDRs: [`10.${95 + id}.0.0/16`], ...spec },
      status: {
        uid: `uid-${name}`,
        version: "0.1.0",
        labelFilterDigest: "0f".repeat(16),
        ...(storeRequest === undefined ? {} : { storeRequest }),
        ...status,
      },
    },
    peers: [],
    store: [{ endpoint: ENDPOINT, reachable: true, message: "", roundTripUs: 900 }],
    ...facts,
  };
}

const STORE: StoreFacts = {
  endpoints: [{ endpoint: ENDPOINT }],
  auth: { enabled: true },
  alarms: [],
  claims: new Map(),
};

const check = (clusters: readonly ClusterFacts[], store: Partial<StoreFacts> = {}) =>
  preflight({ clusters, store: { ...STORE, ...store }, cliVersion: "0.1.0" });
const problems = (...args: Parameters<typeof check>) =>
  check(...args)
    .filter(({ status, subject }) => status !== "ok" && subject !== "limits")
    .map(({ status, subject, message }) => `${status} ${subject}: ${message}`);

test("two compatible clusters have no failure", () => {
  const findings = check([cluster("east", 1), cluster("west", 2)]);
  assert.ok(findings.every(({ status, subject }) => status === "ok" || subject === "limits"));
  golden("connect-preflight-ok", findingsText(findings, { color: false }));
});

test("with everything wrong at once, each finding has a fix or is unknown", () => {
  const findings = check(
    [
      cluster("east", 1, {
        facts: { missing: ["patch meshclusters.mesh.isthmus.io"], store: { unknown: "no server answers" } },
      }),
      cluster("west", 1, {
        spec: { podCIDRs: ["10.11.128.0/17"] },
        status: { storeRequest: requests.get("root") ?? "", version: "2.0.0" },
      }),
      {
        context: "north",
        kubernetes: "",
        missing: [],
        peers: [],
        store: { unknown: "" },
        unreachable: { message: `Cannot GET "/version": refused`, fix: "log in to that cluster again" },
      },
      {
        context: "south",
        kubernetes: "v1.34.4",
        missing: { unknown: "forbidden" },
        peers: [],
        store: { unknown: "it has no MeshCluster" },
      },
    ],
    {
      auth: { enabled: false },
      endpoints: [{ endpoint: ENDPOINT, problem: "certificate has expired" }],
      claims: new Map([
        [1, { name: "old", uid: "uid-old" }],
        [9, { name: "east", uid: "uid-east" }],
      ]),
    },
  );
  assert.ok(findings.filter(({ status }) => status === "fail").every(({ fix }) => fix !== undefined));
  // The current context may be that of another cluster.
  for (const { fix = "" } of findings) assert.doesNotMatch(fix, /kubectl (?!--context )/);
  golden("connect-preflight-bad", findingsText(findings, { color: false }));
});

test("a mesh-config that is not in force stops connect, since MeshPeers would get other ranges", () => {
  const message = 'Cannot use mesh-config: "pod-cidrs" is "junk": …; write it like "10.11.0.0/16"';
  const about = { type: "ConfigAccepted", reason: "Invalid", message, lastTransitionTime: "2026-01-01T00:00:00Z" };
  const east = cluster("east", 1);
  const status = (is: "True" | "False") => ({
    ...east.cluster?.status,
    conditions: [{ ...about, status: is }],
  });
  assert.deepEqual(problems([cluster("east", 1, { status: status("False") }), cluster("west", 2)]), [
    `fail east: ${message}`,
  ]);
  assert.deepEqual(problems([cluster("east", 1, { status: status("True") }), cluster("west", 2)]), []);
});

test("a claim by the cluster itself is no finding; a claim by a cluster of the same name with another uid is one", () => {
  const pair = [cluster("east", 1), cluster("west", 2)];
  assert.deepEqual(problems(pair, { claims: new Map([[1, { name: "east", uid: "uid-east" }]]) }), []);
  assert.match(
    problems(pair, { claims: new Map([[1, { name: "east", uid: "uid-before" }]]) }).join(),
    /another cluster of that name/,
  );
});

test("an unreadable claim of the cluster's id is a finding; one of another id is not", () => {
  const pair = [cluster("east", 1), cluster("west", 2)];
  assert.deepEqual(problems(pair, { claims: new Map([[1, undefined]]) }), [
    "fail east: what claims id 1 in the store cannot be read",
  ]);
  assert.deepEqual(problems(pair, { claims: new Map([[9, undefined]]) }), []);
});

test("a member that is not named on the command line counts: its id and ranges are in use", () => {
  const peer: MeshPeer = {
    metadata: { name: "north" },
    spec: { id: 2, podCIDRs: ["10.12.0.0/16"], serviceCIDRs: [], uid: "n" },
  };
  const found = problems([cluster("east", 1, { facts: { peers: [peer] } }), cluster("west", 2)]).join("\n");
  assert.match(found, /id 2 is used by context "west" and MeshPeer "north" of context "east"/);
  assert.match(found, /pod CIDR 10\.12\.0\.0\/16 of "north" overlaps pod CIDR 10\.12\.0\.0\/16 of "west"/);
});

test("MeshPeers that connect wrote before are no conflict", () => {
  const peer = (name: string, id: number): MeshPeer => ({
    metadata: { name },
    spec: { id, podCIDRs: [`10.${10 + id}.0.0/16`], serviceCIDRs: [`10.${95 + id}.0.0/16`], uid: `uid-${name}` },
  });
  const pair = [
    cluster("east", 1, { facts: { peers: [peer("west", 2)] } }),
    cluster("west", 2, { facts: { peers: [peer("east", 1)] } }),
  ];
  assert.deepEqual(problems(pair), []);
});

test("two contexts of one cluster are a failure", () => {
  const again = { ...cluster("east", 1), context: "east-admin" };
  assert.match(problems([cluster("east", 1), again]).join(), /are the same cluster/);
});

test("one of several store members down is a warning and does not stop connect", () => {
  const found = problems([cluster("east", 1), cluster("west", 2)], {
    endpoints: [{ endpoint: "https://a:1", problem: "refused" }, { endpoint: ENDPOINT }],
  });
  assert.deepEqual(found, ["warning from here: https://a:1: refused"]);
});

test("a full store is a failure", () => {
  const found = problems([cluster("east", 1), cluster("west", 2)], { alarms: ["Nospace"] });
  assert.deepEqual(found, ["fail space: the store is full and refuses writes (alarm NOSPACE)"]);
});

test("versions: one minor apart is ok, two are a failure, a missing one is unknown", () => {
  const at = (east: string, west: string | undefined) =>
    problems([
      cluster("east", 1, { status: { version: east } }),
      cluster("west", 2, { status: west === undefined ? { ...{ uid: "uid-west" } } : { version: west } }),
    ]).filter((line) => line.includes("version"));
  assert.deepEqual(at("0.2.0", "0.1.0"), []);
  assert.match(at("0.3.0", "0.1.0").join(), /fail east: version 0\.3\.0 is more than one minor version away/);
});

test("other label filters are a warning that names both; one that is not known is unknown", () => {
  const pair = (east: string, west: string) =>
    problems([
      cluster("east", 1, { status: { version: "0.2.0", labelFilterDigest: east } }),
      cluster("west", 2, { status: { labelFilterDigest: west } }),
    ]);
  assert.deepEqual(pair("aa", "aa"), []);
  assert.deepEqual(pair("aa", "bb"), [
    "warning east, west: their label filters differ (east: aa of version 0.2.0, west: bb of version 0.1.0): a policy may select pods with the same labels in one of them only",
  ]);
  const { labelFilterDigest: _, ...older } = cluster("west", 2).cluster?.status ?? {};
  const west = cluster("west", 2);
  assert.ok(west.cluster);
  assert.deepEqual(problems([cluster("east", 1), { ...west, cluster: { ...west.cluster, status: older } }]), [
    "unknown west: its status names no label filter",
  ]);
});

test("ranges are listed in the order of the clusters' names, in whatever order peers and arguments come", () => {
  const peer = (name: string, id: number): MeshPeer => ({
    metadata: { name },
    spec: { id, podCIDRs: [`10.${10 + id}.0.0/16`, `10.${50 + id}.0.0/16`], serviceCIDRs: [], uid: `uid-${name}` },
  });
  const disjoint = (clusters: readonly ClusterFacts[]) =>
    check(clusters).find(({ subject }) => subject === "disjoint")?.message;
  const with_ = (...peers: MeshPeer[]) => cluster("east", 1, { facts: { peers } });
  const one = disjoint([with_(peer("south", 4), peer("north", 3)), cluster("west", 2)]);
  const north = peer("north", 3);
  const turned = { ...north, spec: { ...north.spec, podCIDRs: [...north.spec.podCIDRs].reverse() } };
  assert.equal(disjoint([cluster("west", 2), with_(turned, peer("south", 4))]), one);
  assert.match(one ?? "", /^east pods .*north pods 10\.13\.0\.0\/16, north pods 10\.53\.0\.0\/16, south .*west /);
});
