/** The view that an apiserver has of policy: identities of addresses and verdicts, from the records of all clusters. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesKey, parseAddress, parseClusterId, parseClusterName, parsePrefix } from "@isthmus/model";
import { allow, makeEndpoint, makeIdentity, makeMeshNode, numberOf, shopLabels } from "@isthmus/node-policy/testing";
import { lookUp } from "@isthmus/policy";
import { Kind } from "@isthmus/proto";
import { createSourceIndex, type HashedRecord, hashRecord, localPosition } from "@isthmus/records";
import { inTurns } from "@isthmus/runtime";
import type { StreamSource } from "../../ports/stream-source.js";
import { openPolicyView, type PodEndpoint, type PolicyViewOptions } from "./policy-view.js";

const [WEB, CLIENT, WEST_CLIENT] = [numberOf(1, 256), numberOf(1, 257), numberOf(2, 256)];
const LOCAL = { clusterId: parseClusterId(1), cluster: "east" };

const source = (clusterId: number, cluster: string, ...upserts: readonly HashedRecord[]): StreamSource => {
  const index = createSourceIndex();
  index.apply({ upserts, deletes: [], position: localPosition(Buffer.alloc(16, 1), [1n]), observedMicros: 0 });
  return { clusterId, cluster: parseClusterName(cluster), index } as StreamSource;
};
const unreadable = (kind: Kind, key: string) => hashRecord(kind, key, Buffer.from([0xff]));

const SOURCES = [
  source(
    0,
    "east",
    makeIdentity(WEB, shopLabels("east", { app: "web" })),
    makeIdentity(CLIENT, shopLabels("east", { app: "client" })),
    makeMeshNode("n1", { addresses: ["192.0.2.1"], podCidrs: ["10.1.1.0/24"] }),
    makeMeshNode("n2", { addresses: ["192.0.2.2"], podCidrs: ["10.1.2.0/24"] }),
    makeEndpoint("10.1.1.5", WEB),
    makeEndpoint("10.1.2.6", CLIENT, { node: "n2" }),
    allow("web", "web", "ingress", [
      { podSelector: { matchLabels: { app: "client" } } },
      { ipBlock: { cidr: "203.0.113.0/24" } },
    ]),
    unreadable(Kind.KIND_ENDPOINT, "endpoints/10.1.1.9"),
    unreadable(Kind.KIND_NODE, "nodes/n9"),
    unreadable(Kind.KIND_POLICY, "policies/networkpolicies/shop/bad"),
  ),
  source(
    2,
    "west",
    makeIdentity(WEST_CLIENT, shopLabels("west", { app: "client" })),
    makeMeshNode("n1", { addresses: ["192.0.2.9"], podCidrs: ["10.2.1.0/24"] }),
    makeEndpoint("10.2.1.7", WEST_CLIENT),
  ),
];

const everything = ({ clusterId }: PodEndpoint) => (clusterId === 1 ? "subject" : "peer");
const open = (options: Partial<PolicyViewOptions> = {}) =>
  inTurns(openPolicyView(SOURCES, { ...LOCAL, node: "n1", wants: everything, ...options }));

test("addresses have the identities that an agent of the node gives them", async () => {
  const view = await open();
  const labels = (address: string) => {
    const number = view.identityAt(parseAddress(address));
    return [...(view.engine.identityOf(number)?.labels.keys() ?? [`number ${number}`])].filter(
      (key) => key === "app" || key.startsWith("reserved:") || key.startsWith("number"),
    );
  };
  assert.equal(view.identityAt(parseAddress("10.2.1.7")), WEST_CLIENT);
  assert.deepEqual(labels("10.1.1.5"), ["app"]);
  assert.deepEqual(labels("192.0.2.1"), ["reserved:host"]);
  assert.deepEqual(labels("192.0.2.9"), ["reserved:remote-node"]);
  assert.deepEqual(labels("10.1.1.77"), ["reserved:unmanaged"]);
  assert.deepEqual(labels("10.2.1.77"), [`number ${(2 << 20) | 3}`], "not the world");
  assert.deepEqual(labels("203.0.113.8"), ["reserved:world"]);
  assert.notEqual(view.identityAt(parseAddress("203.0.113.8")), view.identityAt(parseAddress("198.51.100.1")));
});

test("subjects have the sets of the policies in force; what cannot be read is left out", async () => {
  const view = await open();
  const web = view.desired.subjects.get(bytesKey(parseAddress("10.1.1.5")));
  assert.ok(web !== undefined);
  const isAllowed = (address: string) =>
    lookUp(web.set, {
      ...{ direction: "ingress", protocol: 6, port: 80 },
      identity: view.identityAt(parseAddress(address)),
    }).allow;
  assert.deepEqual(["10.1.2.6", "10.2.1.7", "203.0.113.8", "198.51.100.1"].map(isAllowed), [true, false, true, false]);
  assert.deepEqual(
    [...view.endpoints.values()].map(({ cluster, node }) => `${cluster} ${node}`),
    ["east n1", "east n2", "west n1"],
  );
});

test("endpoints that are not wanted are not in the view, nor are their identities", async () => {
  const view = await open({ wants: ({ identity }) => (identity === WEB ? "subject" : undefined) });
  assert.deepEqual([...view.desired.subjects.keys()], [bytesKey(parseAddress("10.1.1.5"))]);
  assert.equal(view.engine.identityOf(CLIENT), undefined);
  const ofWest = await open({ clusters: new Set([2]) });
  assert.deepEqual(
    [...ofWest.endpoints.values()].map(({ cluster }) => cluster),
    ["west"],
  );
});

test("without policies there are the prefixes that are asked for, each with an identity", async () => {
  const view = await open({ policies: false, prefixes: [parsePrefix("198.51.100.0/24"), parsePrefix("10.1.1.5/32")] });
  const prefixes = [...view.desired.prefixes].filter(([, { exact }]) => !exact).map(([text]) => text);
  assert.deepEqual(prefixes, ["198.51.100.0/24"], "one inside of a pod range has no row");
  const web = view.engine.identityOf(view.identityAt(parseAddress("10.1.1.5")));
  assert.deepEqual([web?.labels.get("app"), web?.prefix?.length], ["web", 128]);
  assert.equal(view.desired.subjects.get(bytesKey(parseAddress("10.1.1.5")))?.set.rows.size, 0);
});
