/** What a request for a diff is answered, from records of two clusters and the policies in force. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { status } from "@grpc/grpc-js";
import type { IdentityNumber } from "@isthmus/identity";
import type { KubeObject } from "@isthmus/kube";
import { parseClusterId, parseClusterName } from "@isthmus/model";
import { makeEndpoint, makeIdentity, makeMeshNode, numberOf, shopLabels } from "@isthmus/node-policy/testing";
import type { PolicyService } from "@isthmus/policy";
import {
  DiffPoliciesRequest,
  type DiffPoliciesResponse,
  Endpoint,
  type FlipEnds,
  type FlipReason,
  Kind,
  PeerState,
  PolicyAction,
  PolicyDirection,
} from "@isthmus/proto";
import { createSourceIndex, type HashedRecord, hashRecord, localPosition } from "@isthmus/records";
import { createLastGood } from "../cluster/feed/last-good.js";
import { policyFacts } from "../cluster/policies/policy-facts.js";
import { CILIUM_NETWORK_POLICY, NETWORK_POLICY, type PolicyResource } from "../cluster/policies/policy-resources.js";
import { createPolicyTable } from "../cluster/policies/policy-table.js";
import type { StreamSource } from "../ports/stream-source.js";
import { isAdminError } from "../serve/admin/admin-error.js";
import { diffObjects } from "./diff-objects.js";
import { MAX_OBJECT_BYTES, MAX_OBJECTS } from "./read-request.js";

const [WEB, CLIENT, WEST_CLIENT] = [numberOf(1, 256), numberOf(1, 257), numberOf(2, 256)];

const endpoint = (
  address: string,
  number: IdentityNumber,
  pod: string,
  { ports = [], audited = false }: { readonly ports?: readonly [string, number][]; readonly audited?: boolean } = {},
) => {
  const { key, value } = makeEndpoint(address, number, {
    ports: ports.map(([name, port]) => ({ name, protocol: 6, port })),
  });
  const message = { ...Endpoint.decode(value), namespace: "shop", pod, audited };
  return hashRecord(Kind.KIND_ENDPOINT, key, Endpoint.encode(message).finish());
};

/** What tests change. */
const peers: Record<string, { status: PeerState; leftOut?: Kind }> = {};

const source = (clusterId: number, cluster: string, ...upserts: readonly HashedRecord[]): StreamSource => {
  const index = createSourceIndex();
  index.apply({ upserts, deletes: [], position: localPosition(Buffer.alloc(16, 1), [1n]), observedMicros: 0 });
  const peer = peers[cluster] ?? { status: PeerState.PEER_STATE_IN_SYNC };
  peers[cluster] = peer;
  return {
    ...{ clusterId, cluster: parseClusterName(cluster), index },
    state: () => ({ status: peer.status, hops: [] }),
    verifiesAbsence: (kind: Kind) => kind !== peer.leftOut,
  } as unknown as StreamSource;
};

const all = [
  source(
    0,
    "east",
    makeIdentity(WEB, shopLabels("east", { app: "web" })),
    makeIdentity(CLIENT, shopLabels("east", { app: "client" })),
    makeMeshNode("n1", { addresses: ["192.0.2.1"], podCidrs: ["10.1.1.0/24"] }),
    hashRecord(Kind.KIND_NODE, "nodes/n9", Buffer.from([0xff])),
    endpoint("10.1.1.5", WEB, "web-1"),
    endpoint("10.1.1.6", WEB, "web-2", { ports: [["http", 8080]], audited: true }),
    endpoint("10.1.1.7", CLIENT, "client"),
  ),
  source(
    2,
    "west",
    makeIdentity(WEST_CLIENT, shopLabels("west", { app: "client" })),
    makeMeshNode("n1", { addresses: ["192.0.2.9"], podCidrs: ["10.2.1.0/24"] }),
    endpoint("10.2.1.7", WEST_CLIENT, "client"),
  ),
];

const meta = (name: string) => ({ namespace: "shop", name });
const networkPolicy = (name: string, spec: object) => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: meta(name),
  spec,
});
const app = (name: string) => ({ matchLabels: { app: name } });
const fromClients = { podSelector: app("web"), ingress: [{ from: [{ podSelector: app("client") }] }] };

/** A cluster with these policies in force, or not accepted. */
function cluster(
  policies: readonly (readonly [PolicyResource, object])[] = [],
  groups: Readonly<Record<string, string[]>> = {},
  maxPolicies = 100,
  services: readonly PolicyService[] = [],
) {
  const table = createPolicyTable({ cluster: "east", lastGood: createLastGood() });
  for (const service of services) table.setService(service);
  for (const [name, cidrs] of Object.entries(groups)) table.setGroup(name, cidrs);
  for (const [i, [of, object]] of policies.entries()) {
    const { metadata } = object as KubeObject;
    table.set(policyFacts(of, { ...object, metadata: { ...metadata, uid: `uid-${i}`, generation: 1 } } as KubeObject));
  }
  table.flush();
  const modules = {
    sources: { all },
    policies: { known: table.all, context: table.context },
    local: { clusterId: parseClusterId(1), cluster: "east" },
    maxPolicies,
  };
  return async (objects: readonly object[], deleted: DiffPoliciesRequest["deleted"] = []) => {
    const zipped = await Promise.all(objects.map((one) => promisify(gzip)(JSON.stringify(one))));
    return diffObjects(DiffPoliciesRequest.fromPartial({ objects: zipped, deleted }), modules);
  };
}

const endText = ({ identities, moreIdentities, pods, morePods, others }: FlipEnds) => {
  const names = identities.map(({ number, labels, prefix, cluster }) => {
    const name = labels.map(({ key, value }) => (value === "" ? key : value)).join(".") || `unmanaged of ${cluster}`;
    return `${name}${number === 0 ? "" : `#${number & 0xfffff}`}${prefix === "" ? "" : ` in ${prefix}`}`;
  });
  const counts = `${moreIdentities === 0 ? "" : ` +${moreIdentities}`}${others ? " others" : ""}`;
  return `${names.join(", ")}${counts} (${pods.join(", ")}${morePods === 0 ? "" : ` +${morePods}`})`;
};
const decisionText = ({ rules, isolating }: FlipReason) =>
  rules.map(({ policy, path }) => `${policy?.name} ${path}`).join() ||
  (isolating.length === 0 ? "open" : `isolated by ${isolating.map(({ name }) => name).join()}`);

/** Flips as lines. */
function lines({ flips }: DiffPoliciesResponse): readonly string[] {
  return flips.map(({ allowed, direction, subjects, peers, ports }) => {
    const way = direction === PolicyDirection.POLICY_DIRECTION_INGRESS ? "from" : "to";
    assert.ok(subjects !== undefined && peers !== undefined);
    const its = ports.map(({ protocol, except, first, last, before, after }) => {
      assert.ok(before !== undefined && after !== undefined);
      return `${protocol === 0 ? `all but ${except}` : `${protocol}:${first}-${last}`} ${decisionText(before)} -> ${decisionText(after)}`;
    });
    return `${allowed ? "+" : "-"} ${endText(subjects)} ${way} ${endText(peers)}: ${its.join("; ")}`;
  });
}

const actions = ({ policies }: DiffPoliciesResponse) =>
  policies.map(({ policy, action, pods }) => `${policy?.name} ${PolicyAction[action].slice(14)} ${pods}`);

test("a new policy denies pods, nodes and the world what no rule allows, with examples of pods of all clusters", async () => {
  const answer = await cluster()([networkPolicy("web", fromClients)]);
  assert.deepEqual(actions(answer), ["web CREATE 2"]);
  const others = [
    "reserved:world#2",
    "reserved:remote-node#6",
    "reserved:unmanaged#3",
    "unmanaged of west#3",
    "east.shop.web#256",
    "west.shop.client#256",
  ];
  assert.deepEqual(lines(answer), [
    `- east.shop.web#256 (east/shop/web-1, east/shop/web-2) from ${others.join(", ")} others ` +
      "(east/shop/web-1, west/shop/client, east/shop/web-2): all but  open -> isolated by web",
  ]);
  assert.equal(answer.flips[0]?.subjects?.auditedPods, 1);
  assert.deepEqual(
    [answer.denied, answer.allowed?.ingressPairs],
    [{ ingressPairs: 6n, egressPairs: 0n, moreFlips: 0 }, 0n],
  );
});

test("what is in force is what the change is compared with: a policy that changes, one that stays, one that goes", async () => {
  const ask = cluster([
    [NETWORK_POLICY, networkPolicy("web", fromClients)],
    [NETWORK_POLICY, networkPolicy("same", { podSelector: app("client") })],
  ]);
  const cilium = {
    apiVersion: "cilium.io/v2",
    kind: "CiliumNetworkPolicy",
    metadata: meta("west"),
    spec: {
      endpointSelector: app("web"),
      ingress: [
        {
          fromEndpoints: [{ matchLabels: { app: "client", "io.cilium.k8s.policy.cluster": "west" } }],
          toPorts: [{ ports: [{ port: "80", protocol: "TCP" }] }],
        },
      ],
    },
  };
  const change = await ask([cilium, networkPolicy("same", { podSelector: app("client") })]);
  assert.deepEqual(actions(change), ["west CREATE 2", "same KEEP 0"]);
  assert.deepEqual(lines(change), [
    "+ east.shop.web#256 (east/shop/web-1, east/shop/web-2) from west.shop.client#256 (west/shop/client): " +
      "6:80-80 isolated by web -> west spec.ingress[0]",
  ]);
  const same = await ask([networkPolicy("web", { ...fromClients, policyTypes: ["Ingress"] })]);
  assert.deepEqual([actions(same), lines(same)], [["web KEEP 0"], []]);
  const deletion = await ask([], [{ kind: "NetworkPolicy", ...meta("web") }]);
  assert.deepEqual(actions(deletion), ["web DELETE 2"]);
  assert.deepEqual(
    lines(deletion).map((line) => line.replace(/^(.) .*: /, "$1 ")),
    ["+ all but  isolated by web -> open"],
  );
});

test("toServices of a file mean the Services of the cluster as they are", async () => {
  const out = (serviceName: string) => ({
    apiVersion: "cilium.io/v2",
    kind: "CiliumNetworkPolicy",
    metadata: meta("out"),
    spec: {
      endpointSelector: app("client"),
      egress: [{ toEntities: ["cluster-mesh"] }],
      egressDeny: [
        { toServices: [{ k8sService: { serviceName } }], toPorts: [{ ports: [{ port: "80", protocol: "TCP" }] }] },
      ],
    },
  });
  const names = { namespace: "shop", labels: [] };
  const ask = cluster([[CILIUM_NETWORK_POLICY, out("none")]], {}, 100, [
    { ...names, name: "web", selector: [{ key: "app", value: "web" }], addresses: [] },
    { ...names, name: "run", selector: [{ key: "job-name", value: "a" }], addresses: [] },
  ]);
  assert.deepEqual(actions(await ask([out("none")])), ["out KEEP 0"]);
  const change = await ask([out("web")]);
  assert.deepEqual(actions(change), ["out CHANGE 1"]);
  assert.deepEqual(lines(change), [
    "- east.shop.client#257 (east/shop/client) to east.shop.web#256 (east/shop/web-1, east/shop/web-2): " +
      "6:80-80 out spec.egress[0] -> out spec.egressDeny[0]",
  ]);
  const [refused] = (await ask([out("run")])).policies;
  assert.match(refused?.findings[0] ?? "", /toServices\[0\].k8sService" means the Service "shop\/run".*"job-name"/);
});

test("ranges are pairs with a prefix, and pods with different ports of one name have their own flips", async () => {
  const open = networkPolicy("out", { podSelector: app("client"), egress: [{}], policyTypes: ["Egress"] });
  const ranges = networkPolicy("out", {
    podSelector: app("client"),
    policyTypes: ["Egress"],
    egress: [{ to: [{ ipBlock: { cidr: "198.51.100.0/24", except: ["198.51.100.8/32"] } }, { podSelector: {} }] }],
  });
  const narrowed = await cluster([[NETWORK_POLICY, open]])([ranges]);
  assert.match(lines(narrowed)[0] ?? "", /reserved:world#2, .*reserved:world in 198\.51\.100\.8\/32/);
  const back = await cluster([[NETWORK_POLICY, ranges]])([
    networkPolicy("out", { podSelector: app("client"), policyTypes: ["Egress"] }),
  ]);
  assert.deepEqual(
    lines(back).map((line) => line.replace(/^.* to /, "").replace(/: .*/, "")),
    [
      "reserved:world in 198.51.100.0/24, east.shop.web#256, east.shop.client#257 " +
        "(east/shop/web-1, east/shop/client, east/shop/web-2)",
    ],
  );
  const named = networkPolicy("web", { ...fromClients, ingress: [{ ports: [{ port: "http" }] }] });
  const ports = await cluster([[NETWORK_POLICY, named]])([networkPolicy("web", { ...fromClients, ingress: [] })]);
  assert.match(
    lines(ports)[0] ?? "",
    /^- east\.shop\.web#256 \(east\/shop\/web-2\) .*: 6:8080-8080 web spec\.ingress\[0\] -> isolated by web$/,
  );
  assert.equal(lines(ports).length, 1);
});

test("nodes are in the range of their addresses, also each pod's own", async () => {
  const to = (cidr: string) =>
    networkPolicy("out", {
      podSelector: app("client"),
      policyTypes: ["Egress"],
      egress: [{ to: [{ ipBlock: { cidr } }] }],
    });
  const answer = await cluster([[NETWORK_POLICY, to("192.0.2.0/24")]])([to("198.51.100.0/24")]);
  const denied = lines(answer).filter((line) => line.startsWith("-"));
  assert.match(denied.join(), /to .*reserved:host#1 in 192\.0\.2\.0\/24.*reserved:remote-node/);
});

test("findings are those of the apiserver, and nothing is compared then", async () => {
  const ask = cluster(
    [
      [
        CILIUM_NETWORK_POLICY,
        {
          apiVersion: "cilium.io/v2",
          kind: "CiliumNetworkPolicy",
          metadata: meta("group"),
          spec: { endpointSelector: {}, egress: [{ toCIDRSet: [{ cidrGroupRef: "partners" }] }] },
        },
      ],
    ],
    { partners: ["198.51.100.0/24"] },
  );
  const bad = await ask(
    [networkPolicy("web", { podSelector: {}, ingres: [] })],
    [{ kind: "NetworkPolicy", ...meta("none") }],
  );
  assert.deepEqual(
    bad.policies.map(({ policy, findings }) => [policy?.name, findings]),
    [
      ["none", ["The cluster has no NetworkPolicy shop/none: see mesh policy list"]],
      [
        "web",
        ['Field "spec.ingres" is not supported: remove it; supported here: podSelector, policyTypes, ingress, egress'],
      ],
    ],
  );
  assert.deepEqual([bad.flips, bad.denied?.ingressPairs], [[], 0n]);
  const group = (cidr: string) => ({
    apiVersion: "cilium.io/v2",
    kind: "CiliumCIDRGroup",
    metadata: { name: "partners" },
    spec: { externalCIDRs: [cidr] },
  });
  const wrong = await ask([group("nonsense")]);
  assert.match(
    wrong.policies[0]?.findings[0] ?? "",
    /^Field "spec\.egress\[0\]\.toCIDRSet\[0\]\.cidrGroupRef" must be/,
  );
  const moved = await ask([group("203.0.113.0/24")]);
  assert.deepEqual(actions(moved), ["group CHANGE 3"]);
  assert.deepEqual(
    lines(moved).map((line) => line.replace(/ \(.* to /, " to ").replace(/: .*/, "")),
    [
      "- east.shop.web#256, east.shop.client#257 to reserved:world in 198.51.100.0/24 ()",
      "+ east.shop.web#256, east.shop.client#257 to reserved:world in 203.0.113.0/24 ()",
    ],
  );
});

test("requests that are too large or no policies are refused with a sentence", async () => {
  const ask = cluster();
  const rejects = (asked: Promise<unknown>, sentence: RegExp) =>
    assert.rejects(asked, (thrown: unknown) => {
      assert.ok(isAdminError(thrown), String(thrown));
      assert.equal(thrown.data.status, status.INVALID_ARGUMENT);
      assert.match(thrown.message, sentence);
      return true;
    });
  const large = networkPolicy("large", { podSelector: {}, note: "x".repeat(MAX_OBJECT_BYTES / 2) });
  await rejects(ask([large, large]), /more than 2097152 bytes: compare fewer at once/);
  await rejects(ask(Array.from({ length: MAX_OBJECTS + 1 }, () => ({}))), /more than 1000 objects/);
  await rejects(
    ask([{ apiVersion: "v1", kind: "Service", metadata: {} }]),
    /object 0 is v1 Service, which is no policy/,
  );
  await rejects(ask([{ kind: "NetworkPolicy" }]), /object 0 has no metadata/);
  await rejects(ask([], [{ kind: "Pod", namespace: "", name: "" }]), /"Pod" is no kind of policies/);
  const raw = (objects: readonly Buffer[]) =>
    diffObjects(DiffPoliciesRequest.fromPartial({ objects: [...objects] }), {
      ...{ sources: { all }, local: { clusterId: parseClusterId(1), cluster: "east" } },
      policies: {
        known: () => [],
        context: createPolicyTable({ cluster: "east", lastGood: createLastGood() }).context,
      },
    });
  await rejects(raw([Buffer.from("{}")]), /object 0 is not compressed by gzip/);
  await rejects(raw([await promisify(gzip)("{")]), /object 0 is not JSON/);
});

test("a cluster whose identities may not be complete is named, whether or not something flips", async (t) => {
  const [east, west] = [peers["east"], peers["west"]];
  assert.ok(east !== undefined && west !== undefined);
  const { PEER_STATE_IN_SYNC, PEER_STATE_STALE } = PeerState;
  t.after(() => {
    west.status = PEER_STATE_IN_SYNC;
    delete west.leftOut;
  });
  const deny = networkPolicy("deny", { podSelector: { matchLabels: { app: "web" } } });
  const nobody = networkPolicy("nobody", { podSelector: { matchLabels: { app: "nobody" } } });
  const incomplete = async () => {
    const answers = await Promise.all([deny, nobody].map((one) => cluster()([one])));
    assert.deepEqual(answers[0]?.incomplete, answers[1]?.incomplete);
    return answers[0]?.incomplete;
  };
  assert.deepEqual(await incomplete(), []);
  west.status = PEER_STATE_STALE;
  assert.deepEqual(await incomplete(), [{ cluster: "west", state: PEER_STATE_STALE }]);
  Object.assign(west, { status: PEER_STATE_IN_SYNC, leftOut: Kind.KIND_IDENTITY });
  assert.deepEqual(await incomplete(), [{ cluster: "west", state: PEER_STATE_IN_SYNC }]);
});
