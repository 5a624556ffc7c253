/**
 * Reads endpoint selectors of Cilium policies: keys with the source of the label, and where a selector that does not say it looks.
 *
 * A key may begin with `k8s:` or `any:`, which add nothing here, or with `reserved:`. A selector that asks for no namespace means
 * that of the policy; in a clusterwide one any namespace, so pods only. One that asks for no cluster means the local one.
 */
import { CLUSTER_LABEL, NAMESPACE_LABEL, NAMESPACE_LABELS } from "@isthmus/identity";
import { createSelector, type Requirement, type Selector, selects } from "../model/selector.js";
import type { CidrGroups } from "./cilium-cidr-set.js";
import { readSourcedKey } from "./cilium-label-key.js";
import { describe, type Reader } from "./findings.js";
import { checkSelectable, readLabelSelector } from "./label-selector.js";
import type { PeerBudget } from "./limits.js";
import type { ServiceLookup } from "./service-query.js";

/** What selectors of one policy mean where they do not say it. */
export interface CiliumScope {
  /** "" of a clusterwide policy. */
  readonly namespace: string;
  /** Name of the local cluster. */
  readonly cluster: string;
  /** Peers that do not ask for a cluster are of the local one. */
  readonly isLocal: boolean;
  /** Those that rules may name. */
  readonly cidrGroups: CidrGroups;
  /** Those that rules may mean. */
  readonly services: ServiceLookup;
  /** Of all groups and Services that rules name. */
  readonly budget: PeerBudget;
}

/** The selector of pods that a policy is about: of its namespace and of the local cluster. */
export function readSubject(reader: Reader, value: unknown, path: string, scope: CiliumScope): Selector {
  const written = readRequirements(reader, value, path);
  const { namespace, cluster } = scope;
  if (written.some(isReserved)) reader.refuse(path, "must select pods: remove the labels that begin with reserved:");
  const its = written.filter(({ key }) => key === NAMESPACE_LABEL);
  if (namespace !== "" && !selects(createSelector(its), new Map([[NAMESPACE_LABEL, namespace]])))
    reader.refuse(path, `must not select another namespace than ${describe(namespace)}, that of the policy`);
  return createSelector([
    ...written,
    ...(namespace === "" ? [] : [inOne(NAMESPACE_LABEL, namespace)]),
    ...(asksFor(written, CLUSTER_LABEL) ? [] : [inOne(CLUSTER_LABEL, cluster)]),
  ]);
}

/** The selector of peers. */
export function readPeers(reader: Reader, value: unknown, path: string, scope: CiliumScope): Selector {
  const written = readRequirements(reader, value, path);
  if (written.some(isReserved)) return createSelector(written);
  return createSelector([
    ...written,
    ...namespaceOf(written, scope),
    ...(asksFor(written, CLUSTER_LABEL) ? [] : localCluster(scope)),
  ]);
}

/** What peers must have that do not ask for a cluster. */
export function localCluster({ isLocal, cluster }: CiliumScope): readonly Requirement[] {
  return isLocal ? [inOne(CLUSTER_LABEL, cluster)] : [];
}

function namespaceOf(written: readonly Requirement[], { namespace }: CiliumScope): readonly Requirement[] {
  if (asksFor(written, NAMESPACE_LABEL)) return [];
  if (namespace === "") return [{ key: NAMESPACE_LABEL, operator: "Exists" }];
  return written.some(({ key }) => key.startsWith(NAMESPACE_LABELS)) ? [] : [inOne(NAMESPACE_LABEL, namespace)];
}

function readRequirements(reader: Reader, value: unknown, path: string): readonly Requirement[] {
  return readLabelSelector(reader, value, path, (key, at) => labelKey(reader, key, at));
}

function labelKey(reader: Reader, written: string, path: string): string {
  const { source, key } = readSourcedKey(reader, written, path, ["k8s", "any", "reserved"]);
  checkSelectable(reader, key, path);
  return source === "reserved" ? `reserved:${key}` : key;
}

function asksFor(written: readonly Requirement[], key: string): boolean {
  return written.some((requirement) => requirement.key === key);
}

function isReserved({ key }: Requirement): boolean {
  return key.startsWith("reserved:");
}

function inOne(key: string, value: string): Requirement {
  return { key, operator: "In", values: [value] };
}
