import { test } from "node:test";
import { IdentityReport } from "@isthmus/proto";
import { json } from "../output/json.js";
import { golden } from "../testing/golden.js";
import { identitiesTable, identityJson } from "./render.js";

const identity = (
  number: number,
  labels: Record<string, string>,
  rest: Parameters<typeof IdentityReport.fromPartial>[0],
) =>
  IdentityReport.fromPartial({
    ...{ number, cluster: "east", ...rest },
    labels: Object.entries(labels).map(([key, value]) => ({ key, value })),
  });
const of = (namespace: string, account: string, cluster = "east") => ({
  "io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name": namespace,
  "io.cilium.k8s.policy.cluster": cluster,
  "io.cilium.k8s.policy.serviceaccount": account,
  "io.kubernetes.pod.namespace": namespace,
});

const IDENTITIES = [
  identity(1048832, { app: "web", tier: "front", ...of("shop", "web") }, { pods: 12, example: "shop/web-1" }),
  identity(1048833, of("tools", "default"), { pods: 1, example: "tools/shell" }),
  identity(1048840, { app: "nightly", ...of("shop", "default") }, {}),
  identity(
    2097408,
    { app: "api", ...of("shop", "default", "west") },
    { cluster: "west", pods: 3, example: "shop/api-0" },
  ),
];

test("the table has each identity with the labels of its pods and one of them", () => {
  golden("identity-list", identitiesTable(IDENTITIES));
});

test("JSON has the same content, with the labels of namespaces", () => {
  golden("identity-list-json", json({ identities: IDENTITIES.map(identityJson), leftOut: 0 }));
});
