/**
 * Labels of the identities that no record names.
 *
 * An apiserver on a node is that node, too, as in Cilium: number 7 is a node of which the apiserver answers, and has both labels; the
 * own node stays number 1, which the programs know, and has the second label as well. An apiserver outside of the mesh is of the
 * world, at a node-local number.
 */
import { type IdentityNumber, RESERVED, type ReservedName, reservedIdentity } from "@isthmus/identity";
import type { Labels } from "@isthmus/policy";

/** Stands for the labels of an apiserver outside of the mesh; a number that nothing has. */
export const OUTER_APISERVER = 0 as IdentityNumber;

/** `isApiserver`: the own node is one. */
export function hostLabels(isApiserver: boolean): Labels {
  return isApiserver ? reservedLabels("host", "kube-apiserver") : reservedLabels("host");
}

/** Of addresses in pod ranges of which nothing is known. */
export const UNMANAGED_LABELS = reservedLabels("unmanaged");

/** Undefined for others than `RESERVED` and `OUTER_APISERVER`. */
export function labelsOfReserved(number: IdentityNumber): Labels | undefined {
  return LABELS.get(number);
}

const LABELS: ReadonlyMap<IdentityNumber, Labels> = new Map([
  [OUTER_APISERVER, reservedLabels("kube-apiserver", "world")],
  ...(Object.keys(RESERVED) as ReservedName[]).map((name) => [reservedIdentity(name), reservedLabels(name)] as const),
  [reservedIdentity("kube-apiserver"), reservedLabels("kube-apiserver", "remote-node")],
]);

function reservedLabels(...names: readonly ReservedName[]): Labels {
  return new Map(names.map((name) => [`reserved:${name}`, ""]));
}
