import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "@isthmus/kube";
import type { PolicyReport, Position } from "@isthmus/proto";
import { createLastGood } from "../cluster/feed/last-good.js";
import { policyFacts } from "../cluster/policies/policy-facts.js";
import { NETWORK_POLICY } from "../cluster/policies/policy-resources.js";
import { createPolicyTable } from "../cluster/policies/policy-table.js";
import { appliedPolicies } from "../serve/admin/applied-records.js";
import { createFakeSource } from "../testing/fake-source.js";
import { countNotAccepted, policyReports } from "./policy-reports.js";

const GOOD = { podSelector: {} };
const BAD = { podSelector: { matchLabels: { "io.kubernetes.pod.namespace": "shop" } } };

/** A cluster whose records are in the index of a source, and two nodes that have applied what the test says. */
function rig() {
  const table = createPolicyTable({ cluster: "east", lastGood: createLastGood() });
  const source = createFakeSource(0, "east");
  const applied = new Map<string, Position | undefined>();
  const write = (namespace: string, name: string, spec: object, generation = 1): void => {
    const metadata = { namespace, name, uid: `uid-${name}`, generation };
    table.set(policyFacts(NETWORK_POLICY, { metadata, spec } as KubeObject));
    source.index.apply({ ...table.flush().local, position: source.change({}), observedMicros: 1 });
  };
  const reports = (nodes: readonly string[] | undefined, namespace = ""): readonly PolicyReport[] => {
    const agents = nodes?.map((node) => ({ node, connected: !node.endsWith(" gone") }));
    const enforced = appliedPolicies({ sources: [source], agents, applied: (node) => applied.get(node) });
    return policyReports(table.all(), enforced, { namespace });
  };
  const hold = (node: string) => applied.set(node, source.index.announced);
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
