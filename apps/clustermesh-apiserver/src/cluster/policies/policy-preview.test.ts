import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "@isthmus/kube";
import { createLastGood } from "../feed/last-good.js";
import { policyFacts } from "./policy-facts.js";
import { type ObjectChange, previewPolicies } from "./policy-preview.js";
import { CILIUM_NETWORK_POLICY, NETWORK_POLICY } from "./policy-resources.js";
import { createPolicyTable, type PolicyTable } from "./policy-table.js";

const good = (app: string) => ({ podSelector: { matchLabels: { app } } });
/** The API takes it, the parser does not. */
const BAD = { podSelector: { matchLabels: { "io.kubernetes.pod.namespace": "shop" } } };
const IN_GROUP = { endpointSelector: {}, egress: [{ toCIDRSet: [{ cidrGroupRef: "partners" }] }] };

const facts = (name: string, spec: object, generation = 1, of = NETWORK_POLICY) =>
  policyFacts(of, { metadata: { namespace: "shop", name, uid: `uid-${name}`, generation }, spec } as KubeObject);
const key = (name: string, plural = "networkpolicies") => `policies/${plural}/shop/${name}`;

function preview(table: PolicyTable, change: Partial<ObjectChange>, maxPolicies = 100) {
  const work = previewPolicies(
    { policies: [], deleted: [], groups: [], ...change },
    { known: table.all(), context: table.context(), cluster: "east", maxPolicies },
  );
  let step = work.next();
  while (step.done !== true) step = work.next();
  return [...step.value].map(([key, { isKnown, before, after, findings }]) => {
    const spec = (content: typeof before) =>
      content === undefined ? "nothing" : `${JSON.parse(content.object).spec.podSelector?.matchLabels.app ?? "group"}`;
    return `${key.split("/").at(-1)}${isKnown ? "" : " (new)"}: ${spec(before)} -> ${spec(after)}, ${findings.length} findings`;
  });
}

function tableOf(...policies: readonly ReturnType<typeof facts>[]): PolicyTable {
  const table = createPolicyTable({ cluster: "east", lastGood: createLastGood() });
  for (const one of policies) {
    table.set(one);
    table.flush();
  }
  return table;
}

test("a policy that would not be accepted leaves in force what is, and a deletion takes it away", () => {
  const table = tableOf(facts("web", good("a")), facts("web", BAD, 2), facts("none", BAD));
  assert.deepEqual(preview(table, { policies: [facts("web", BAD, 3)] }), ["web: a -> a, 1 findings"]);
  assert.deepEqual(preview(table, { policies: [facts("web", good("b"), 3)] }), ["web: a -> b, 0 findings"]);
  assert.deepEqual(preview(table, { policies: [facts("new", good("c"))] }), ["new (new): nothing -> c, 0 findings"]);
  assert.deepEqual(preview(table, { deleted: [key("web"), key("none"), key("unknown")] }), [
    "web: a -> nothing, 0 findings",
    "none: nothing -> nothing, 0 findings",
  ]);
  assert.deepEqual([...table.all()].length, 2, "nothing was changed");
});

test("a group that changes reads again the policies that refer to it, and no others", () => {
  const table = tableOf(facts("out", IN_GROUP, 1, CILIUM_NETWORK_POLICY), facts("web", good("a")));
  const [cidrs, bad] = [["192.0.2.0/24"], ["nonsense"]];
  assert.deepEqual(preview(table, { groups: [{ name: "partners", cidrs }] }), ["out: nothing -> group, 0 findings"]);
  assert.deepEqual(preview(table, { groups: [{ name: "partners", cidrs: bad }] }), [
    "out: nothing -> nothing, 1 findings",
  ]);
  assert.deepEqual(preview(table, { groups: [{ name: "others", cidrs }] }), []);
});

test("of too many policies the new ones are not accepted, unless others go", () => {
  const table = tableOf(facts("a", good("a")), facts("b", good("b")));
  const policies = ["c", "d"].map((name) => facts(name, good(name)));
  const refused = "nothing -> nothing, 1 findings";
  assert.deepEqual(preview(table, { policies }, 3), ["c (new): nothing -> c, 0 findings", `d (new): ${refused}`]);
  assert.deepEqual(preview(table, { policies, deleted: [key("a")] }, 3).slice(1), [
    "c (new): nothing -> c, 0 findings",
    "d (new): nothing -> d, 0 findings",
  ]);
});
