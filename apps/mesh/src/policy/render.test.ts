import { test } from "node:test";
import { PolicyReport } from "@isthmus/proto";
import { json } from "../output/json.js";
import { golden } from "../testing/golden.js";
import { policiesTable, policyJson } from "./render.js";

const policy = (name: string, rest: Parameters<typeof PolicyReport.fromPartial>[0]) =>
  PolicyReport.fromPartial({ kind: "NetworkPolicy", namespace: "shop", name, generation: 2n, nodes: 3, ...rest });
const LAYER_7 = 'Field "spec.ingress[0].toPorts[0].rules" is not supported: remove it; supported here: ports';

const POLICIES = [
  policy("every-namespace", { kind: "CiliumClusterwideNetworkPolicy", namespace: "", inForce: 2n, enforcedNodes: 3 }),
  policy("api", { inForce: 2n, enforcedNodes: 1 }),
  policy("billing", {
    inForce: 2n,
    enforcedNodes: 1,
    unenforced: ["refused by n2: no room", "refused by n3: no room"],
  }),
  policy("changed", { inForce: 1n, enforcedNodes: 3, findings: [LAYER_7, LAYER_7, LAYER_7] }),
  policy("new", { findings: [LAYER_7] }),
  policy("nodes-not-known", { inForce: 2n, nodes: 0 }),
];

test("the table says of each policy what is in force, on how many nodes, and what is not accepted", () => {
  golden("policy-list", policiesTable(POLICIES));
});

test("JSON has the same content", () => {
  golden("policy-list-json", json({ policies: POLICIES.map(policyJson) }));
});
