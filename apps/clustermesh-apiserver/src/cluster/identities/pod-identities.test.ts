import assert from "node:assert/strict";
import { test } from "node:test";
import { labelSetKey } from "@isthmus/identity";
import { parseAddress, parsePrefix } from "@isthmus/model";
import { Endpoint, Identity } from "@isthmus/proto";
import { createTestIdentities, FIRST_NUMBER, identityLabels } from "../testing/test-identities.js";

const WEB = identityLabels("web");
const API = identityLabels("api");
const keyOf = (labels: Record<string, string>) => labelSetKey(new Map(Object.entries(labels)));
const first = `identities/${FIRST_NUMBER}`;

/** One pod with its number. */
function oneWeb() {
  const test = createTestIdentities();
  test.namespace("shop");
  test.pod({ address: "10.11.1.5" });
  test.identity(0, WEB);
  test.flush();
  return test;
}

test("a pod's address has a record once its labels have a number, and both are exported", () => {
  const { namespace, pod, identity, flush, own, exported, at, table } = createTestIdentities();
  pod({ address: "10.11.1.5" });
  assert.deepEqual([flush(), [...table.labelSets()]], [[], []], "its namespace is not known yet");
  namespace("shop");
  assert.deepEqual([flush(), [...table.labelSets()]], [[], [keyOf(WEB)]]);
  identity(0, WEB);
  assert.deepEqual(flush(), ["endpoints/10.11.1.5", first]);
  assert.equal(at("10.11.1.5"), "web-1 0 web 10.11.1.5");
  assert.deepEqual([...exported.keys()].sort(), [...own.keys()].sort());
  const { labels } = Identity.decode(own.get(first)?.value ?? Buffer.alloc(0));
  assert.deepEqual(Object.fromEntries(labels.map(({ key, value }) => [key, value])), WEB);
  const { node, namespace: ns, podUid } = Endpoint.decode(own.get("endpoints/10.11.1.5")?.value ?? Buffer.alloc(0));
  assert.deepEqual([node, ns, podUid], ["n1", "shop", "uid-web-1"]);
});

test("the hundredth pod with the same labels is one record more", () => {
  const { pod, flush, at, last } = oneWeb();
  pod({ name: "web-2", address: "10.11.1.6" });
  assert.deepEqual(flush(), ["endpoints/10.11.1.6"]);
  assert.equal(at("10.11.1.6"), "web-2 0 web 10.11.1.6");
  pod({ name: "web-2", address: "10.11.1.6" });
  assert.deepEqual(flush(), []);
  assert.deepEqual(last().sets, [], "nothing to allocate either");
});

test("a pod that is gone, finished or on no address has no record; the identity stays as long as its object", () => {
  const { pod, gone, flush, own, noIdentity, table } = oneWeb();
  pod({ address: "10.11.1.5", phase: "Succeeded" });
  assert.deepEqual(flush(), ["-endpoints/10.11.1.5"]);
  assert.equal(table.labelSet(keyOf(WEB)).isWanted, false);
  pod({ address: "10.11.1.5" });
  assert.deepEqual(flush(), ["endpoints/10.11.1.5"]);
  gone("shop/web-1");
  assert.deepEqual(flush(), ["-endpoints/10.11.1.5"]);
  assert.deepEqual([...own.keys()], [first]);
  noIdentity(0, WEB);
  assert.deepEqual(flush(), [`-${first}`]);
});

test("a relabelled pod keeps its number until the new labels have one", () => {
  const { pod, identity, flush, at, table, last } = oneWeb();
  pod({ address: "10.11.1.5", labels: { app: "api" } });
  assert.deepEqual(flush(), []);
  assert.equal(at("10.11.1.5"), "web-1 0 web 10.11.1.5");
  assert.deepEqual(
    [table.labelSet(keyOf(WEB)).isWanted, table.labelSet(keyOf(API)).isWanted],
    [true, true],
    "the old number is in use until then",
  );
  identity(1, API);
  flush();
  assert.equal(at("10.11.1.5"), "web-1 1 api 10.11.1.5");
  assert.equal(table.labelSet(keyOf(WEB)).isWanted, false);
  assert.ok(last().own.includes("endpoints/10.11.1.5"));
});

test("another pod under a name does not keep the number of the one before", () => {
  const { pod, flush, at } = oneWeb();
  pod({ uid: "another", address: "10.11.1.5", labels: { app: "api" } });
  assert.deepEqual(flush(), ["-endpoints/10.11.1.5"]);
  assert.equal(at("10.11.1.5"), "none");
});

test("a changed label of a namespace touches its pods only", () => {
  const { namespace, pod, identity, flush, at } = oneWeb();
  namespace("bank");
  pod({ namespace: "bank", name: "b", address: "10.11.2.5" });
  identity(1, identityLabels("web", { namespace: "bank" }));
  flush();
  namespace("bank", { team: "b" });
  identity(2, identityLabels("web", { namespace: "bank", team: "b" }));
  assert.deepEqual(flush(), ["endpoints/10.11.2.5", `identities/${FIRST_NUMBER + 2}`]);
  assert.equal(at("10.11.2.5"), "b 2 web 10.11.2.5");
  assert.equal(at("10.11.1.5"), "web-1 0 web 10.11.1.5");
});

test("of two numbers for one label set the lowest is used, in any order", () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const { namespace, pod, identity, noIdentity, flush, at, own } = createTestIdentities();
    namespace("shop");
    pod({ address: "10.11.1.5" });
    for (const n of order) identity(n, WEB);
    flush();
    assert.equal(at("10.11.1.5"), "web-1 0 web 10.11.1.5");
    assert.equal(own.size, 3, "both have a record: packets with either are understood");
    identity(1, WEB, "2026-11-30T10:00:00Z");
    assert.deepEqual(flush(), [], "a released number changes no record");
    noIdentity(0, WEB);
    flush();
    assert.equal(at("10.11.1.5"), "web-1 1 web 10.11.1.5");
  }
});

test("an endpoint goes with its identity when the object is deleted while in use", () => {
  const { noIdentity, flush, own, table } = oneWeb();
  noIdentity(0, WEB);
  assert.deepEqual(flush(), ["-endpoints/10.11.1.5", `-${first}`]);
  assert.equal(own.size, 0);
  assert.deepEqual(table.labelSet(keyOf(WEB)), { isWanted: true, identities: [] });
});

test("of two pods with one address the reported one has it, then the newer one; never one that is being deleted", () => {
  const [older, newer] = ["2026-11-30T09:00:00Z", "2026-11-30T09:00:01Z"];
  const cases = [
    [{ created: older }, { created: newer }, "b"],
    [{ created: older, reported: "10.11.1.5" }, { created: newer }, "a"],
    [{ created: older, reported: "10.11.1.5" }, { created: newer, reported: "10.11.1.5" }, "b"],
    [{ created: older }, { created: newer, deleted: true, reported: "10.11.1.5" }, "a"],
    [{ created: older, uid: "1" }, { created: older, uid: "2" }, "b"],
    [{ created: older, uid: "2" }, { created: older, uid: "1" }, "a"],
    [{ created: newer }, { created: older, phase: "Failed", reported: "10.11.1.5" }, "a"],
  ] as const;
  for (const [a, b, winner] of cases)
    for (const isReversed of [false, true]) {
      const { namespace, pod, gone, identity, flush, at } = createTestIdentities();
      namespace("shop");
      identity(0, WEB);
      const pods = [
        { address: "10.11.1.5", ...a, name: "a" },
        { address: "10.11.1.5", ...b, name: "b" },
      ];
      for (const one of isReversed ? pods.reverse() : pods) pod(one);
      flush();
      assert.match(at("10.11.1.5"), new RegExp(`^${winner} `), JSON.stringify([a, b, isReversed]));
      gone(`shop/${winner}`);
      flush();
      const other = pods.find(({ name }) => name !== winner);
      const isNobody = other !== undefined && "phase" in other;
      assert.match(at("10.11.1.5"), isNobody ? /^none$/ : /^[ab] /, "the other one has it when the pod is gone");
    }
});

test("pods and identities of a namespace that is not global stay in the cluster, and follow the annotation", () => {
  const { namespace, flush, exported, own, notes } = oneWeb();
  namespace("shop", { team: "a" }, "false");
  flush();
  assert.deepEqual([exported.size, own.size], [0, 2]);
  namespace("shop", { team: "a" }, "fals");
  flush();
  assert.equal(exported.size, 0, "what was in force stays");
  assert.deepEqual(notes, ["InvalidAnnotation shop"]);
  namespace("shop", { team: "a" }, "true");
  flush();
  assert.deepEqual([...exported.keys()].sort(), ["endpoints/10.11.1.5", first]);
});

test("addresses outside the pod ranges, or that no cluster may claim, are not exported", () => {
  const { namespace, pod, identity, flush, exported, own, table } = createTestIdentities();
  namespace("shop");
  identity(0, WEB);
  for (const [i, address] of ["10.12.0.1", "169.254.0.1", "127.0.0.1"].entries()) pod({ name: `${i}`, address });
  flush();
  assert.deepEqual([...exported.keys()], [first]);
  assert.equal(own.size, 4);
  table.setPodCidrs([parsePrefix("10.12.0.0/16")]);
  flush();
  assert.deepEqual([...exported.keys()].sort(), ["endpoints/10.12.0.1", first]);
});

test("a pod with more labels than a record holds keeps what it had, and that is reported", () => {
  const { pod, flush, at, notes, table } = oneWeb();
  const many = Object.fromEntries(Array.from({ length: 260 }, (_, i) => [`l${i}`, "x"]));
  pod({ address: "10.11.1.5", labels: many });
  flush();
  assert.equal(at("10.11.1.5"), "web-1 0 web 10.11.1.5");
  assert.deepEqual(notes, ["NoIdentity web-1"]);
  assert.deepEqual(table.refused(), { pod: "shop/web-1", labels: 264 });
  pod({ name: "web-2", address: "10.11.1.6", labels: many });
  flush();
  assert.equal(at("10.11.1.6"), "none");
});

test("a pod whose ports exceed the bound of a record stays in the cluster, and that is reported", () => {
  const { pod, flush, own, exported, notes } = oneWeb();
  pod({ name: "web-2", address: "10.11.1.6", ports: 1001 });
  flush();
  assert.ok(own.has("endpoints/10.11.1.6") && !exported.has("endpoints/10.11.1.6"));
  assert.deepEqual(notes, ["TooLargeToExport web-2"]);
});

test("objects whose number or labels are not this cluster's are not used, and that is reported", () => {
  const { identity, flush, own, notes } = createTestIdentities();
  identity(1 << 20, WEB);
  identity(0, { ...WEB, "io.cilium.k8s.policy.cluster": "west" });
  identity(1, { ...WEB, "reserved:host": "" });
  identity(2, { app: "web" });
  flush();
  assert.equal(own.size, 0);
  assert.deepEqual(
    notes.map((note) => note.split(" ")[0]),
    Array(4).fill("IdentityNotUsed"),
  );
});

test("the owner of an address is known for reports", () => {
  const { table, pod } = oneWeb();
  assert.ok(table.owns("shop/web-1", parseAddress("10.11.1.5")));
  pod({ name: "web-2", address: "10.11.1.5", reported: "10.11.1.5" });
  assert.ok(!table.owns("shop/web-1", parseAddress("10.11.1.5")));
});

/** A pod in the namespace "shop", whose annotation and the pod's may be set; "audited" or "enforced" after a flush. */
function modes() {
  const test = oneWeb();
  const { namespace, pod, flush, own, exported } = test;
  const audited = (records: typeof own) =>
    Endpoint.decode(records.get("endpoints/10.11.1.5")?.value ?? Buffer.alloc(0)).audited;
  return {
    ...test,
    ofNamespace: (mode?: string) => namespace("shop", { team: "a" }, undefined, mode),
    ofPod: (auditMode?: string, uid?: string) =>
      pod({
        address: "10.11.1.5",
        ...(auditMode === undefined ? {} : { auditMode }),
        ...(uid === undefined ? {} : { uid }),
      }),
    mode() {
      flush();
      assert.equal(audited(exported), false, "other clusters do not learn of it");
      assert.equal(test.table.auditedPods(), Number(audited(own)));
      return audited(own) ? "audited" : "enforced";
    },
  };
}

test("a pod is in audit mode by its namespace, and not if its own annotation says false", () => {
  const { ofNamespace, ofPod, mode, last, notes } = modes();
  assert.equal(mode(), "enforced");
  ofNamespace("true");
  assert.equal(mode(), "audited");
  assert.deepEqual(last(), { own: ["endpoints/10.11.1.5"], exported: [], sets: [] });
  ofPod("false");
  assert.equal(mode(), "enforced");
  ofPod();
  assert.equal(mode(), "audited");
  ofNamespace();
  assert.equal(mode(), "enforced");
  assert.deepEqual(notes, []);
});

test("a pod that asks for audit mode is in it only where its namespace lets it, and an Event says so", () => {
  const { ofNamespace, ofPod, mode, notes, table } = modes();
  ofPod("true");
  assert.equal(mode(), "enforced");
  assert.deepEqual(notes, ["AuditModeNotAllowed web-1"]);
  ofNamespace("per-pod");
  assert.equal(mode(), "audited");
  table.setAuditMode("never");
  assert.equal(mode(), "enforced");
  assert.deepEqual(notes, ["AuditModeNotAllowed web-1", "AuditModeNotAllowed web-1"]);
  table.setAuditMode("true");
  assert.equal(mode(), "audited");
  ofPod();
  assert.equal(mode(), "enforced", "the namespace leaves it to the pod");
  ofNamespace();
  assert.equal(mode(), "audited");
  ofNamespace("false");
  assert.equal(mode(), "enforced");
});

for (const bad of ["yes", "", "True", "never", "x".repeat(300)])
  test(`of an annotation that is not understood the value before stays: ${bad.slice(0, 8)}`, () => {
    const { ofNamespace, ofPod, mode, notes } = modes();
    ofNamespace(bad);
    assert.equal(mode(), "enforced");
    ofNamespace("true");
    ofNamespace(bad);
    assert.equal(mode(), "audited");
    ofPod("false");
    ofPod(bad);
    assert.equal(mode(), "enforced");
    ofPod(bad, "another");
    assert.equal(mode(), "audited", "another pod of the name");
    assert.deepEqual(notes, [
      ...["InvalidAnnotation shop", "InvalidAnnotation shop"],
      ...["InvalidAnnotation web-1", "InvalidAnnotation web-1"],
    ]);
  });
