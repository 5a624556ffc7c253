import assert from "node:assert/strict";
import { test } from "node:test";
import type { IdentityNumber } from "@isthmus/identity";
import { podIdentityLabels } from "@isthmus/identity";
import { parsePrefix } from "@isthmus/model";
import type { NamedPort } from "../model/policy.js";
import type { TestSpec } from "../testing/mesh.js";
import { acceptedPolicy, localNumber } from "../testing/node.js";
import { lookUp } from "./look-up.js";
import type { Identity } from "./peer-registry.js";
import { createPolicyEngine, type PolicyEngine } from "./policy-engine.js";
import { ruleNumber } from "./rule-name.js";

const WEB = localNumber(256);
const DB = localNumber(257);
const NEW = localNumber(258);
const DB_ONLY = { matchLabels: { app: "db" } };
const FROM_WEB = [{ podSelector: { matchLabels: { app: "web" } } }];

const identity = (app: string, ports: readonly NamedPort[] = []): Identity => ({
  labels: podIdentityLabels({
    cluster: "east",
    namespace: "shop",
    namespaceLabels: new Map(),
    serviceAccount: "default",
    podLabels: new Map([["app", app]]),
  }),
  ports,
});

const policy = (name: string, spec: TestSpec) => acceptedPolicy({ metadata: { namespace: "shop", name }, spec });

/** Identities of web and db, and one pod of db. */
function engineWith(...specs: readonly TestSpec[]): PolicyEngine {
  const engine = createPolicyEngine();
  engine.setIdentity(WEB, identity("web"));
  engine.setIdentity(DB, identity("db"));
  engine.setSubject("pod", { identity: DB });
  for (const [i, spec] of specs.entries()) engine.setPolicy(policy(`p${i}`, spec));
  engine.commit();
  return engine;
}

function ingressAllows(engine: PolicyEngine, from: IdentityNumber, port: number): boolean {
  const set = engine.setOf("pod");
  assert.ok(set !== undefined);
  return lookUp(set, { direction: "ingress", identity: from, protocol: 6, port }).allow;
}

test("a subject has no set until its identity is known, and none after it is gone", () => {
  const engine = createPolicyEngine();
  engine.setSubject("pod", { identity: DB });
  assert.deepEqual(engine.commit().subjects, new Map([["pod", { set: undefined, tightens: false }]]));
  engine.setIdentity(DB, identity("db"));
  const { subjects } = engine.commit();
  assert.equal(subjects.get("pod")?.set, engine.setOf("pod"));
  assert.ok(engine.setOf("pod") !== undefined);
  engine.deleteIdentity(DB);
  assert.equal(engine.commit().subjects.get("pod")?.set, undefined);
});

test("an identity that comes or goes changes rows in place, and no subject", () => {
  const engine = engineWith({ podSelector: DB_ONLY, ingress: [{ from: FROM_WEB }] });
  const set = engine.setOf("pod");
  const digest = set?.digest;
  engine.setIdentity(NEW, { ...identity("web"), labels: new Map([...identity("web").labels, ["tier", "front"]]) });
  const added = engine.commit();
  assert.equal(added.subjects.size, 0);
  assert.deepEqual(
    [...added.rows].map(([one, rows]) => [one === set, [...rows.keys()]]),
    [[true, [NEW]]],
  );
  assert.ok(ingressAllows(engine, NEW, 80));
  assert.notEqual(set?.digest, digest);
  engine.deleteIdentity(NEW);
  const removed = engine.commit();
  assert.deepEqual(
    [...removed.rows.values()].map((rows) => [...rows]),
    [[[NEW, undefined]]],
  );
  assert.equal(set?.digest, digest);
});

test("a number whose labels change makes another set, and says when that allows less", () => {
  const engine = engineWith({ podSelector: DB_ONLY, ingress: [{ from: FROM_WEB }] });
  const set = engine.setOf("pod");
  engine.setIdentity(WEB, identity("other"));
  const change = engine.commit();
  assert.equal(change.rows.size, 0);
  assert.notEqual(engine.setOf("pod"), set);
  assert.ok(set?.rows.has(WEB), "the set that the programs still read is as it was");
  assert.equal(change.subjects.get("pod")?.tightens, true);
  engine.setIdentity(WEB, identity("web"));
  assert.equal(engine.commit().subjects.get("pod")?.tightens, false);
});

test("policies that allow more do not tighten, those that allow less do", () => {
  const engine = engineWith();
  const tightens = () => {
    const { subjects } = engine.commit();
    return subjects.get("pod")?.tightens;
  };
  engine.setPolicy(policy("a", { podSelector: DB_ONLY, ingress: [{ from: FROM_WEB, ports: [{ port: 80 }] }] }));
  assert.equal(tightens(), true, "isolated");
  engine.setPolicy(
    policy("a", { podSelector: DB_ONLY, ingress: [{ from: FROM_WEB, ports: [{ port: 80, endPort: 81 }] }] }),
  );
  assert.equal(tightens(), false, "a port more");
  engine.setPolicy(policy("b", { podSelector: {}, ingress: [{ ports: [{ port: 443 }] }] }));
  assert.equal(tightens(), false, "a policy more");
  engine.setPolicy(policy("a", { podSelector: DB_ONLY, ingress: [{ from: FROM_WEB, ports: [{ port: 81 }] }] }));
  assert.equal(tightens(), true, "a port less");
  engine.deletePolicy("NetworkPolicy shop/a");
  assert.equal(tightens(), true, "a policy less");
  engine.deletePolicy("NetworkPolicy shop/b");
  assert.equal(tightens(), false, "no policy");
});

test("what is set again as it was changes nothing", () => {
  const spec = { podSelector: DB_ONLY, ingress: [{ from: FROM_WEB }] };
  const engine = engineWith(spec);
  engine.setPolicy(policy("p0", spec));
  engine.setIdentity(WEB, identity("web"));
  engine.setSubject("pod", { identity: DB });
  assert.deepEqual(engine.commit(), { subjects: new Map(), rows: new Map(), prefixes: false });
});

test("pods with the same policies share a set, unless a rule names a port that they have under another number", () => {
  const engine = engineWith({ podSelector: {}, ingress: [{ ports: [{ port: "http" }] }] });
  const http = (port: number) => [
    { name: "http", protocol: 6, port },
    { name: "metrics", protocol: 6, port: 9100 + port },
  ];
  engine.setSubject("a", { identity: DB, ports: http(80) });
  engine.setSubject("b", { identity: WEB, ports: [{ name: "http", protocol: 6, port: 80 }] });
  engine.setSubject("c", { identity: DB, ports: http(81) });
  engine.commit();
  assert.equal(engine.setOf("a"), engine.setOf("b"));
  assert.notEqual(engine.setOf("a"), engine.setOf("c"));
});

test("equal sets have equal digests and equal classes equal keys, in whichever engine and order they were made", () => {
  const specs = [
    { podSelector: {}, ingress: [{ from: FROM_WEB, ports: [{ port: 80 }] }] },
    { podSelector: DB_ONLY, ingress: [{ ports: [{ port: 443 }] }] },
  ];
  const [one, other] = [engineWith(...specs), engineWith()];
  for (const [i, spec] of [...specs.entries()].reverse()) other.setPolicy(policy(`p${i}`, spec));
  other.commit();
  assert.equal(one.setOf("pod")?.digest, other.setOf("pod")?.digest);
  assert.notEqual(one.setOf("pod")?.digest, engineWith().setOf("pod")?.digest);
  assert.equal(one.setOf("pod")?.rows.get(WEB)?.in.key, other.setOf("pod")?.rows.get(WEB)?.in.key);
});

test("a port that an egress rule names is that of any pod of the identity", () => {
  const engine = engineWith({ podSelector: DB_ONLY, egress: [{ to: FROM_WEB, ports: [{ port: "http" }] }] });
  const ports = [80, 8080].map((port) => ({ name: "http", protocol: 6, port }));
  engine.setIdentity(WEB, identity("web", ports));
  const { subjects } = engine.commit();
  assert.ok(subjects.get("pod")?.set !== undefined, "the row of an identity that stays makes another set");
  const allowed = [79, 80, 8080].filter((port) => {
    const set = engine.setOf("pod");
    return set !== undefined && lookUp(set, { direction: "egress", identity: WEB, protocol: 6, port }).allow;
  });
  assert.deepEqual(allowed, [80, 8080]);
});

test("only pods are in namespaces, whatever else is of the local cluster", () => {
  const engine = engineWith({ podSelector: DB_ONLY, ingress: [{ from: [{ namespaceSelector: {} }] }] });
  engine.setIdentity(NEW, {
    labels: new Map([
      ["reserved:remote-node", ""],
      ["io.cilium.k8s.policy.cluster", "east"],
    ]),
  });
  engine.commit();
  assert.deepEqual(
    [WEB, DB, NEW].map((from) => ingressAllows(engine, from, 80)),
    [true, true, false],
  );
});

test("prefixes of blocks and of their exceptions are asked for as long as a policy has them", () => {
  const block = (cidr: string, except: readonly string[] = []) => [{ ipBlock: { cidr, except } }];
  const engine = engineWith(
    { podSelector: {}, ingress: [{ from: block("10.0.0.0/8", ["10.1.0.0/16"]) }] },
    { podSelector: {}, egress: [{ to: block("10.1.0.0/16") }] },
  );
  assert.deepEqual([...engine.prefixes.keys()].sort(), ["10.0.0.0/8", "10.1.0.0/16"]);
  engine.deletePolicy("NetworkPolicy shop/p0");
  assert.ok(engine.commit().prefixes);
  assert.deepEqual([...engine.prefixes], [["10.1.0.0/16", parsePrefix("10.1.0.0/16")]]);
  engine.setPolicy(policy("p1", { podSelector: {}, egress: [{ to: block("::/0") }] }));
  engine.commit();
  assert.deepEqual([...engine.prefixes.keys()], ["::/0", "0.0.0.0/0"], "the maps have IPv4 inside of IPv6");
});

test("a verdict names the rule that decided, as long as its policy is there", () => {
  const engine = engineWith({
    podSelector: DB_ONLY,
    ingress: [{ from: FROM_WEB, ports: [{ port: 80 }] }, { ports: [{ port: 443 }] }],
  });
  const ruleOf = (from: IdentityNumber, port: number) => {
    const set = engine.setOf("pod");
    return set === undefined ? 0 : lookUp(set, { direction: "ingress", identity: from, protocol: 6, port }).rule;
  };
  const name = (path: string) => ({ policy: "NetworkPolicy shop/p0", direction: "ingress" as const, path });
  assert.deepEqual(engine.rulesOf(ruleOf(WEB, 80)), [name("spec.ingress[0]")]);
  assert.deepEqual(engine.rulesOf(ruleOf(NEW, 443)), [name("spec.ingress[1]")]);
  assert.equal(ruleOf(WEB, 443), ruleNumber(name("spec.ingress[1]")));
  assert.deepEqual(engine.rulesOf(ruleOf(WEB, 81)), [], "denied, since no rule allows it");
  engine.deletePolicy("NetworkPolicy shop/p0");
  assert.deepEqual(engine.rulesOf(ruleNumber(name("spec.ingress[0]"))), []);
});

test("a number stands for what it was set to, as of the last commit", () => {
  const engine = engineWith();
  assert.deepEqual(engine.identityOf(WEB), identity("web"));
  engine.setIdentity(WEB, identity("other"));
  assert.deepEqual(engine.identityOf(WEB), identity("web"));
  engine.commit();
  assert.deepEqual(engine.identityOf(WEB), identity("other"));
  engine.deleteIdentity(WEB);
  engine.commit();
  assert.equal(engine.identityOf(WEB), undefined);
});

test("a denial that no rule decided is explained by the policies that select the pod", () => {
  const engine = engineWith({ podSelector: {} }, { podSelector: DB_ONLY, policyTypes: ["Egress"] });
  assert.deepEqual(engine.policiesOf("pod"), [
    { policy: "NetworkPolicy shop/p0", isolates: new Set(["ingress"]) },
    { policy: "NetworkPolicy shop/p1", isolates: new Set(["egress"]) },
  ]);
  engine.setSubject("web", { identity: WEB });
  engine.commit();
  assert.deepEqual(
    engine.policiesOf("web").map(({ policy: name }) => name),
    ["NetworkPolicy shop/p0"],
  );
  assert.deepEqual(engine.policiesOf("unknown"), []);
});

test("a pod that is set again before the commit is judged against what it had", () => {
  const engine = engineWith();
  engine.deleteSubject("pod");
  engine.setPolicy(policy("none", { podSelector: {} }));
  engine.setSubject("pod", { identity: DB });
  assert.equal(engine.commit().subjects.get("pod")?.tightens, true);
});
