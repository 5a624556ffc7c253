import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "@isthmus/kube";
import { serviceName } from "@isthmus/model";
import { parseNetworkPolicy } from "@isthmus/policy";
import { Policy } from "@isthmus/proto";
import { createLastGood } from "../feed/last-good.js";
import { type AcceptedPolicy, savedPolicy } from "./accepted-policy.js";
import { cidrGroupFacts } from "./cidr-groups.js";
import { MAX_POLICY_BYTES, policyFacts } from "./policy-facts.js";
import { CILIUM_NETWORK_POLICY, NETWORK_POLICY } from "./policy-resources.js";
import { createPolicyTable } from "./policy-table.js";

const KEY = "policies/networkpolicies/shop/web";
const GOOD = { podSelector: { matchLabels: { app: "web" } }, policyTypes: ["Ingress"] };
/** The API takes it, the parser does not: no pod has this label. */
const BAD = { podSelector: { matchLabels: { "io.kubernetes.pod.namespace": "shop" } }, policyTypes: ["Ingress"] };

interface Written {
  readonly name?: string;
  readonly uid?: string;
  readonly generation?: number;
  readonly created?: string;
}

function facts(spec: unknown, { name = "web", uid = `uid-${name}`, generation = 1, created = "" }: Written = {}) {
  const metadata = { namespace: "shop", name, uid, generation, creationTimestamp: created, labels: { a: "b" } };
  return policyFacts(NETWORK_POLICY, { metadata, spec } as KubeObject);
}

function rig(saved: Readonly<Record<string, Partial<AcceptedPolicy>>> = {}, maxPolicies = 100) {
  const lastGood = createLastGood<AcceptedPolicy>(saved);
  const table = createPolicyTable({ cluster: "east", lastGood, maxPolicies });
  const records = new Map<string, Policy>();
  const flush = () => {
    const { local, notes } = table.flush();
    for (const { key, value } of local.upserts) records.set(key, Policy.decode(value));
    for (const { key } of local.deletes) records.delete(key);
    return notes.map(({ note }) => note);
  };
  const generations = () => Object.fromEntries([...records].map(([key, { generation }]) => [key, Number(generation)]));
  return { table, lastGood, records, flush, generations };
}

/** What is saved when the process ends, as it is read at the next start. */
function reread({ lastGood }: ReturnType<typeof rig>) {
  const lines: Record<string, Record<string, unknown>> = JSON.parse(JSON.stringify(lastGood.needed()));
  return Object.fromEntries(Object.entries(lines).map(([uid, line]) => [uid, savedPolicy(line)]));
}

test("an accepted policy has a record with the object as the parser reads it", () => {
  const { table, records, flush } = rig();
  table.set(facts(GOOD, { generation: 3 }));
  assert.deepEqual(flush(), []);
  const policy = records.get(KEY);
  assert.ok(policy !== undefined);
  const { object, ...rest } = policy;
  assert.deepEqual(rest, {
    resource: "networkpolicies",
    namespace: "shop",
    name: "web",
    uid: "uid-web",
    generation: 3n,
    cidrGroups: [],
    meshScope: false,
    services: [],
  });
  assert.equal(
    object.toString(),
    '{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"web","namespace":"shop"},' +
      '"spec":{"podSelector":{"matchLabels":{"app":"web"}},"policyTypes":["Ingress"]}}',
  );
  assert.equal(parseNetworkPolicy(JSON.parse(object.toString()), { cluster: "east" }).ok, true);
});

test("the object of a list, which names no kind, has the bytes of the one of a watch, in any order of keys", () => {
  const metadata = { namespace: "shop", name: "web", uid: "u", generation: 1 };
  const listed = { metadata, spec: GOOD } as KubeObject;
  const watched = {
    kind: "NetworkPolicy",
    spec: { policyTypes: GOOD.policyTypes, podSelector: GOOD.podSelector },
    status: { conditions: [] },
    metadata: { ...metadata, managedFields: [] },
    apiVersion: "networking.k8s.io/v1",
  } as KubeObject;
  assert.deepEqual(policyFacts(NETWORK_POLICY, watched), policyFacts(NETWORK_POLICY, listed));
});

test("of a status only the conditions of the mesh are kept, whatever else is in it", () => {
  const own = { type: "mesh.isthmus.io/Accepted", status: "True" };
  const of = (status: unknown) =>
    policyFacts(NETWORK_POLICY, { metadata: { name: "web" }, spec: GOOD, status } as unknown as KubeObject).conditions;
  assert.deepEqual(of({ conditions: [{ type: "cilium.io/Valid" }, own, null, 7, {}] }), [own]);
  for (const bad of [undefined, null, 7, [], { conditions: 7 }, { conditions: {} }]) assert.deepEqual(of(bad), []);
});

test("a field that this version does not know reaches the parser, which refuses it", () => {
  const { table, records, flush } = rig();
  table.set(facts({ ...GOOD, endpoints: ["a"] }));
  const [note] = flush();
  assert.match(note ?? "", /^Generation 1 is not accepted: Field "spec.endpoints" is not supported: remove it/);
  assert.equal(records.size, 0);
});

test("a selector by a label that is no part of identities is reported with the label", () => {
  const { table, flush } = rig();
  table.set(
    facts({ podSelector: {}, ingress: [{ from: [{ podSelector: { matchLabels: { "pod-template-hash": "a" } } }] }] }),
  );
  assert.match(
    flush().join(),
    /Field "spec\.ingress\[0\]\.from\[0\]\..*pod-template-hash" must be another label than "pod-template-hash", which is no part of/,
  );
});

test("a generation that is not accepted leaves the last accepted one in force, and is reported once", () => {
  const { table, generations, flush, lastGood } = rig();
  table.set(facts(GOOD));
  flush();
  table.set(facts(BAD, { generation: 2 }));
  const [note, ...others] = flush();
  assert.match(
    note ?? "",
    /^Generation 2 is not accepted: Field "spec.podSelector.matchLabels.*" is no label of pods: .*\. Generation 1 stays in force$/,
  );
  assert.deepEqual(others, []);
  assert.deepEqual(generations(), { [KEY]: 1 });
  table.set(facts(BAD, { generation: 2 }));
  assert.deepEqual([flush(), generations()], [[], { [KEY]: 1 }]);
  table.set(facts(GOOD, { generation: 3 }));
  assert.deepEqual([flush(), generations(), lastGood.needed()], [[], { [KEY]: 3 }, {}]);
});

test("a policy that was never accepted has no record, and a deleted one is forgotten", () => {
  const { table, generations, flush, lastGood } = rig();
  table.set(facts(BAD));
  assert.match(flush().join(), /Nothing of it is in force$/);
  assert.deepEqual([generations(), lastGood.needed()], [{}, {}]);
  table.set(facts(GOOD, { generation: 2 }));
  flush();
  table.set(facts(BAD, { generation: 3 }));
  flush();
  assert.deepEqual(Object.keys(lastGood.needed()), ["uid-web"]);
  table.delete(facts(BAD, { generation: 3 }));
  flush();
  assert.deepEqual([generations(), lastGood.needed(), [...table.all()]], [{}, {}, []]);
});

test("an object that is created again under the name inherits nothing", () => {
  const { table, generations, flush } = rig();
  table.set(facts(GOOD));
  flush();
  table.set(facts(BAD, { uid: "other" }));
  table.delete(facts(GOOD));
  assert.match(flush().join(), /Nothing of it is in force$/);
  assert.deepEqual(generations(), {});
});

test("after a restart the last accepted generation of a policy that is not accepted stays in force", () => {
  const before = rig();
  before.table.set(facts(GOOD));
  before.table.set(facts(GOOD, { name: "fine" }));
  before.flush();
  before.table.set(facts(BAD, { generation: 2 }));
  before.flush();
  const after = rig(reread(before));
  after.table.set(facts(BAD, { generation: 2 }));
  after.table.set(facts(GOOD, { name: "fine" }));
  assert.match(after.flush().join(), /Generation 1 stays in force$/);
  assert.deepEqual(after.records, before.records);
});

test("saved lines that are of no use change nothing: of objects that are gone, of another form, and not accepted any more", () => {
  const object = (spec: unknown) => facts(spec).object as string;
  const { table, generations, flush, lastGood } = rig({
    gone: savedPolicy({ generation: 1, object: object(GOOD) }),
    "uid-web": savedPolicy({ generation: 1, object: object(BAD) }),
    "uid-api": savedPolicy({ generation: 1, object: object(GOOD), cidrGroups: [{ name: "g", cidrs: [1] }] }),
  });
  table.set(facts(BAD, { generation: 2 }));
  table.set(facts(BAD, { name: "api" }));
  assert.equal(flush().filter((note) => note.endsWith("Nothing of it is in force")).length, 2);
  assert.deepEqual(generations(), {});
  assert.ok(!("gone" in lastGood.needed()));
});

test("a policy of more bytes than a record may have, or nested too deeply, is not accepted and not cut", () => {
  const { table, generations, flush } = rig();
  const values = (count: number) => ({
    podSelector: { matchExpressions: [{ key: "a", operator: "In", values: Array(count).fill("v".repeat(63)) }] },
  });
  table.set(facts(values(Math.ceil(MAX_POLICY_BYTES / 66))));
  let deep: unknown = {};
  for (let i = 0; i < 100_000; i++) deep = { deep };
  table.set(facts({ ...GOOD, deep }, { name: "deep" }));
  const notes = flush();
  assert.match(notes[0] ?? "", /Field "spec" has \d+ bytes, more than 1048576: split it/);
  assert.match(notes[1] ?? "", /nested too deeply/);
  assert.deepEqual(generations(), {});
});

test("when there are too many policies the oldest are accepted, in whatever order they come", () => {
  const day = (name: string, created: string) => facts(GOOD, { name, created: `2026-01-0${created}T00:00:00Z` });
  const all = [day("a", "3"), day("b", "1"), day("c", "2")];
  for (const order of [all, [...all].reverse()]) {
    const { table, records, flush } = rig({}, 2);
    for (const each of order) {
      table.set(each);
      flush();
    }
    // The youngest was accepted when it came first: what is in force stays.
    const names = [...records.values()].map(({ name }) => name).sort();
    const wasFirst = order[0]?.name === "a";
    assert.deepEqual(names, wasFirst ? ["a", "b", "c"] : ["b", "c"]);
    const restarted = rig({}, 2);
    for (const each of order) restarted.table.set(each);
    assert.match(
      restarted.flush().join(),
      /more than 2 policies, and this is one of the youngest.*Nothing of it is in force/,
    );
    assert.deepEqual([...restarted.records.values()].map(({ name }) => name).sort(), ["b", "c"]);
    restarted.table.delete(day("b", "1"));
    assert.deepEqual(restarted.flush(), []);
    assert.deepEqual([...restarted.records.values()].map(({ name }) => name).sort(), ["a", "c"]);
  }
});

const CIDRS = {
  endpointSelector: {},
  egress: [{ toCIDRSet: [{ cidrGroupRef: "partners", except: ["10.1.0.0/16"] }] }],
};

function ciliumFacts(spec: unknown, generation = 1) {
  const metadata = { namespace: "shop", name: "web", uid: "uid-web", generation };
  return policyFacts(CILIUM_NETWORK_POLICY, { metadata, spec } as KubeObject);
}

test("the record of a policy has the CiliumCIDRGroups that it names, and follows them; one that is gone stays in force", () => {
  const { table, records, flush } = rig();
  const groups = () => records.get("policies/ciliumnetworkpolicies/shop/web")?.cidrGroups;
  table.set(ciliumFacts(CIDRS));
  assert.match(
    flush().join(),
    /names the CiliumCIDRGroup "partners", which does not exist.*Nothing of it is in force$/,
  );
  table.setGroup("partners", ["192.0.2.0/24"]);
  table.setGroup("others", ["198.51.100.0/24"]);
  assert.deepEqual(flush(), []);
  assert.deepEqual(groups(), [{ name: "partners", cidrs: ["192.0.2.0/24"] }]);
  table.setGroup("partners", ["192.0.2.0/24", "203.0.113.0/24"]);
  flush();
  assert.deepEqual(groups(), [{ name: "partners", cidrs: ["192.0.2.0/24", "203.0.113.0/24"] }]);
  table.setGroup("partners", ["192.0.2.0/99"]);
  assert.match(flush().join(), /Generation 1 stays in force$/);
  table.deleteGroup("partners");
  assert.match(flush().join(), /does not exist.*Generation 1 stays in force$/);
  assert.equal(groups()?.[0]?.cidrs.length, 2);
});

const DB = { namespace: "shop", name: "db", labels: [], selector: [{ key: "app", value: "db" }], addresses: [] };
const TO_DB = { endpointSelector: {}, egress: [{ toServices: [{ k8sService: { serviceName: "db" } }] }] };

test("the record of a policy has the Services that it means, and follows them; a Service that is not there is no finding", () => {
  const { table, records, flush } = rig();
  const services = () => records.get("policies/ciliumnetworkpolicies/shop/web")?.services;
  const other = { ...DB, name: "other" };
  table.set(ciliumFacts(TO_DB));
  table.setService(other);
  assert.deepEqual([flush(), services()], [[], []]);
  table.setService(DB);
  table.setService({ ...DB, namespace: "bank", selector: [], addresses: ["192.0.2.7"] });
  assert.deepEqual(flush(), []);
  assert.deepEqual(services(), [{ ...DB, namespace: "bank", selector: [], addresses: ["192.0.2.7"] }, DB]);
  table.deleteService(serviceName("bank", "db"));
  table.setService({ ...DB, selector: [{ key: "app", value: "db2" }] });
  flush();
  assert.deepEqual(services(), [{ ...DB, selector: [{ key: "app", value: "db2" }] }]);
});

test("a policy is read again only when a Service that it means changes in what it says of it", () => {
  const { table, flush } = rig();
  const changed = () => table.flush().changed.length;
  const selects = { k8sServiceSelector: { selector: { matchLabels: { team: "shop" } }, namespace: "shop" } };
  table.set(ciliumFacts({ endpointSelector: {}, egress: [{ toServices: [selects] }] }));
  table.setService(DB);
  flush();
  table.setService({ ...DB });
  assert.equal(changed(), 0);
  table.setService({ ...DB, labels: [{ key: "team", value: "bank" }] });
  assert.equal(changed(), 0, "it was not meant, and is not");
  const meant = { ...DB, labels: [{ key: "team", value: "shop" }] };
  table.setService(meant);
  assert.equal(changed(), 1);
  table.setService({ ...meant, labels: [...meant.labels, { key: "version", value: "2" }] });
  assert.deepEqual(table.flush().local, { upserts: [], deletes: [] }, "no selector asks for the label");
  table.setService({ ...DB, labels: [] });
  assert.equal(changed(), 1, "it was meant");
  table.deleteService(serviceName("shop", "db"));
  assert.equal(changed(), 0);
});

test("a Service that a policy cannot mean leaves in force what the policy meant before, also after a restart", () => {
  const before = rig();
  before.table.setService(DB);
  before.table.set(ciliumFacts(TO_DB));
  before.flush();
  before.table.setService({ ...DB, selector: [{ key: "job-name", value: "run-1" }] });
  assert.match(
    before.flush().join(),
    /Field "spec.egress\[0\].toServices\[0\].k8sService" means the Service "shop\/db".*"job-name".*Generation 1 stays in force$/,
  );
  assert.deepEqual([...before.records.values()][0]?.services, [DB]);
  const after = rig(reread(before));
  after.table.set(ciliumFacts(TO_DB));
  after.table.setService({ ...DB, selector: [{ key: "job-name", value: "run-1" }] });
  after.flush();
  assert.deepEqual(after.records, before.records);
  after.table.setService(DB);
  assert.deepEqual(after.flush(), []);
  for (const bad of [7, [7], [null], [{ ...DB, labels: [null] }], [{ ...DB, addresses: "192.0.2.7" }]])
    assert.deepEqual(savedPolicy({ generation: 1, object: "{}", services: bad }), {});
});

test("what stays in force after a restart has the groups and the scope that it was accepted with", () => {
  const before = rig();
  before.table.setScope("mesh");
  before.table.setGroup("partners", ["192.0.2.0/24"]);
  before.table.set(ciliumFacts(CIDRS));
  before.flush();
  before.table.deleteGroup("partners");
  before.flush();
  const after = rig(reread(before));
  after.table.set(ciliumFacts(CIDRS));
  after.flush();
  assert.deepEqual(after.records, before.records);
  assert.equal([...after.records.values()][0]?.meshScope, true);
});

test("policies of Cilium's kinds are read again when the scope changes, and no others", () => {
  const { table, records, flush } = rig();
  const scopes = () => [...records.values()].map(({ resource, meshScope }) => [resource, meshScope]).sort();
  table.set(facts(GOOD));
  table.set(ciliumFacts({ endpointSelector: {}, ingress: [{ fromEntities: ["cluster"] }] }));
  flush();
  assert.deepEqual(scopes(), [
    ["ciliumnetworkpolicies", false],
    ["networkpolicies", false],
  ]);
  table.setScope("mesh");
  flush();
  assert.deepEqual(scopes(), [
    ["ciliumnetworkpolicies", true],
    ["networkpolicies", false],
  ]);
});

test("a policy is not accepted when it is too large with its groups; a group with anything in it is read", () => {
  const { table, flush } = rig();
  table.setGroup("partners", Array(100_000).fill("192.0.2.0/24"));
  table.set(ciliumFacts(CIDRS));
  assert.match(flush().join(), /"spec" has \d+ bytes with its CiliumCIDRGroups and Services, more than 1048576/);
  const of = (spec: unknown) => cidrGroupFacts({ metadata: { name: "g" }, spec } as unknown as KubeObject).cidrs;
  assert.deepEqual(of({ externalCIDRs: ["10.0.0.0/8", 7, null] }), ["10.0.0.0/8", "", ""]);
  for (const bad of [undefined, null, 7, {}, { externalCIDRs: "10.0.0.0/8" }]) assert.deepEqual(of(bad), []);
});
