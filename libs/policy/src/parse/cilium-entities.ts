/** Entities of Cilium policies, as selectors of the labels that reserved identities and pods have. */
import type { ReservedName } from "@isthmus/identity";
import { CLUSTER_LABEL } from "@isthmus/identity";
import { createSelector, type Selector } from "../model/selector.js";
import { type Reader, readChoice, readList } from "./findings.js";

const WORLD: readonly ReservedName[] = ["world", "world-ipv4", "world-ipv6"];
const IN_CLUSTER: readonly ReservedName[] = [
  "host",
  "remote-node",
  "init",
  "ingress",
  "health",
  "unmanaged",
  "kube-apiserver",
];
const NAMES = [...IN_CLUSTER, ...WORLD, "all", "cluster", "cluster-mesh", "none"] as const;

/** `cluster`: name of the local one. "all": everyone is among them. */
export function readEntities(
  reader: Reader,
  value: unknown,
  path: string,
  cluster: string,
): "all" | readonly Selector[] {
  const names = readList(reader, value, path).flatMap(([one, at]) => readChoice(reader, one, at, NAMES) ?? []);
  return names.includes("all") ? "all" : names.flatMap((name) => entitySelectors(name, cluster));
}

function entitySelectors(name: (typeof NAMES)[number], cluster: string): readonly Selector[] {
  switch (name) {
    case "all":
    case "none":
      return [];
    case "world":
      return WORLD.map(reservedSelector);
    case "cluster":
      return [
        ...IN_CLUSTER.map(reservedSelector),
        createSelector([{ key: CLUSTER_LABEL, operator: "In", values: [cluster] }]),
      ];
    case "cluster-mesh":
      return [createSelector([{ key: CLUSTER_LABEL, operator: "Exists" }])];
    default:
      return [reservedSelector(name)];
  }
}

/** What has the label of a reserved identity. */
export function reservedSelector(name: ReservedName): Selector {
  return createSelector([{ key: `reserved:${name}`, operator: "Exists" }]);
}
