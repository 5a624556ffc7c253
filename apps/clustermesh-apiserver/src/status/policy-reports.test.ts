import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "@isthmus/kube";
import { Kind, type PolicyReport } from "@isthmus/proto";
import { createLastGood } from "../cluster/feed/last-good.js";
import { policyFacts } from "../cluster/policies/policy-facts.js";
import { NETWORK_POLICY } from "../cluster/policies/policy-resources.js";
import { createPolicyTable } from "../cluster/policies/policy-table.js";
import type { ReportedPolicies } from "../ports/enforced-policies.js";
import { enforcedPolicies } from "../serve/admin/enforced-policies.js";
import { createFakeSource } from "../testing/fake-source.js";
import { countNotAccepted, policyReports } from "./policy-reports.js";

const GOOD = { podSelector: {} };
const BAD = { podSelector: { matchLabels: { "io.kubernetes.pod.namespace": "shop" } } };

/** A cluster whose records are in the index of a source, and nodes whose agents report what the test says. */
function rig() {
  const table = createPolicyTable({ cluster: "east", lastGood: createLastGood() });
  const source = createFakeSource(0, "east");
  const reported = new Map<string, ReportedPolicies>();
  const write = (namespace: string, name: string, spec: object, generation = 1): void => {
    const metadata = { namespace, name, uid: `uid-${name}`, generation };
    table.set(policyFacts(NETWORK_POLICY, { metadata, spec } as KubeObject));
    source.index.apply({ ...table.flush().local, position: source.change({}), observedMicros: 1 });
  };
  const reports = (nodes: readonly string[] | undefined, namespace = ""): readonly PolicyReport[] => {
    const agents = nodes?.map((node) => ({
      node,
      enforces: !node.endsWith(" gone"),
      reported: reported.get(node),
    }));
    return policyReports(table.all(), enforcedPolicies(source, agents), { namespace });
  };
  /** The agent has all records, and all but these are in force. */
  const hold = (node: string, refused: Readonly<Record<string, string>> = {}, more: Partial<ReportedPolicies> = {}) => {
    const inForce = source.index.digest(Kind.KIND_POLICY).count - Object.keys(refused).length;
    const position = source.index.announced;
    reported.set(node, { position, inForce, refused: new Map(Object.entries(refused)), moreRefused: 0, ...more });
  };
  return { write, reports, hold, notAccepted: () => countNotAccepted(table.all()) };
}

const texts = (reports: readonly PolicyReport[]) =>
  reports.map(
    ({ namespace, name, generation, inForce, enforcedNodes, nodes, findings }) =>
      `${namespace}/${name} ${inForce} of ${generation} on ${enforcedNodes}/${nodes}${findings.length > 0 ? " not accepted" : ""}`,
  );

test("a policy is enforced by the nodes that have applied its last record, and changes of others do not count", () => {
  const { write, reports, hold } = rig();
  write("shop", "web", GOOD);
  assert.deepEqual(texts(reports(undefined)), ["shop/web 1 of 1 on 0/0"]);
  assert.deepEqual(texts(reports(["n1", "n2"])), ["shop/web 1 of 1 on 0/2"]);
  hold("n1");
  hold("n2");
  assert.deepEqual(texts(reports(["n1", "n2", "n3"])), ["shop/web 1 of 1 on 2/3"]);
  write("shop", "api", GOOD);
  hold("n2");
  assert.deepEqual(texts(reports(["n1", "n2"])), ["shop/api 1 of 1 on 1/2", "shop/web 1 of 1 on 2/2"]);
  write("shop", "web", { ...GOOD, policyTypes: ["Egress"] }, 2);
  assert.deepEqual(texts(reports(["n1", "n2"])), ["shop/api 1 of 1 on 1/2", "shop/web 2 of 2 on 0/2"]);
  hold("n1 gone");
  assert.deepEqual(texts(reports(["n1 gone"])), ["shop/api 1 of 1 on 0/1", "shop/web 2 of 2 on 0/1"]);
});

/** How many nodes enforce each policy, and why others do not. */
const enforced = (reports: readonly PolicyReport[]) =>
  Object.fromEntries(reports.map(({ name, enforcedNodes, unenforced }) => [name, [enforcedNodes, ...unenforced]]));
const KEY = (name: string) => `policies/networkpolicies/shop/${name}`;

test("a node whose agent refuses the record of a policy enforces the others, until the record changes", () => {
  const { write, reports, hold } = rig();
  write("shop", "web", GOOD);
  write("shop", "api", GOOD);
  hold("n1");
  hold("n2", { [KEY("web")]: "no room" });
  const REFUSED = "refused by n2: no room";
  assert.deepEqual(enforced(reports(["n1", "n2"])), { web: [1, REFUSED], api: [2] });
  write("shop", "web", { ...GOOD, policyTypes: ["Egress"] }, 2);
  assert.deepEqual(enforced(reports(["n1", "n2"])), { web: [0], api: [2] }, "nothing is known of the new one");
  hold("n1");
  hold("n2");
  assert.deepEqual(enforced(reports(["n1", "n2"])), { web: [2], api: [2] });
});

test("a node whose agent has not said that a policy is in force does not count, whatever it has received", () => {
  const { write, reports, hold } = rig();
  write("shop", "web", GOOD);
  write("shop", "api", GOOD);
  const OLD = "its agent, of an older version, does not report which policies are in force; upgrade it";
  assert.deepEqual(enforced(reports(["n1"])), {
    web: [0, `not known of n1: ${OLD}`],
    api: [0, `not known of n1: ${OLD}`],
  });
  hold("n1", {}, { position: undefined });
  assert.deepEqual(enforced(reports(["n1"])), { web: [0], api: [0] }, "it says that nothing is known");
  hold("n1", {}, { inForce: 1 });
  const LOST = "not known of n1: its agent knows 1 of 2 policies";
  assert.deepEqual(enforced(reports(["n1"])), { web: [0, LOST], api: [0, LOST] }, "it never knew one of them");
  hold("n1", { [KEY("web")]: "no room" }, { inForce: 0, moreRefused: 1 });
  const MANY = "not known of n1: its agent refuses 2 policies and does not name all";
  assert.deepEqual(enforced(reports(["n1"])), { web: [0, "refused by n1: no room", MANY], api: [0, MANY] });
});

test("of many nodes that refuse a policy the first are named, and the others counted", () => {
  const { write, reports, hold } = rig();
  write("shop", "web", GOOD);
  const nodes = Array.from({ length: 1000 }, (_, i) => `n${i}`);
  for (const node of nodes) hold(node, { [KEY("web")]: "no room" });
  const [report] = reports(nodes);
  assert.equal(report?.enforcedNodes, 0);
  assert.equal(report?.unenforced.length, 4);
  assert.equal(report?.unenforced[3], "997 more");
});

test("a policy that is not accepted counts the nodes that enforce the generation in force, none when there is none", () => {
  const { write, reports, hold, notAccepted } = rig();
  write("shop", "web", GOOD);
  hold("n1");
  assert.equal(notAccepted(), 0);
  write("shop", "web", BAD, 2);
  write("shop", "new", BAD);
  assert.deepEqual(texts(reports(["n1"])), [
    "shop/new 0 of 1 on 0/1 not accepted",
    "shop/web 1 of 2 on 1/1 not accepted",
  ]);
  assert.equal(notAccepted(), 2);
});

test("only the policies of a namespace are listed when one is named", () => {
  const { write, reports } = rig();
  write("shop", "web", GOOD);
  write("pay", "web", GOOD);
  assert.deepEqual(texts(reports(undefined, "pay")), ["pay/web 1 of 1 on 0/0"]);
  assert.equal(reports(undefined).length, 2);
});
