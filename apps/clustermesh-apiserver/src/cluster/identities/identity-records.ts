/** Identities and pods → their records (pure). */
import { type IdentityNumber, parseLabelSetKey } from "@isthmus/identity";
import { type Address, type Prefix, prefixContains } from "@isthmus/model";
import {
  ENDPOINT_KIND,
  endpointKey,
  type HashedRecord,
  IDENTITY_KIND,
  identityKey,
  isForbidden,
} from "@isthmus/records";
import type { PodFacts } from "./pod-facts.js";

/** `labels`: a `labelSetKey`. */
export function identityRecord(number: IdentityNumber, labels: string): HashedRecord {
  const sorted = [...parseLabelSetKey(labels)].map(([key, value]) => ({ key, value }));
  return IDENTITY_KIND.record(identityKey(number), { labels: sorted });
}

/** The record of one of a pod's addresses. `audited`: the pod is in policy audit mode, which other clusters do not learn. */
export function endpointRecord(
  address: Address,
  pod: PodFacts,
  identity: IdentityNumber,
  audited: boolean,
): HashedRecord {
  return ENDPOINT_KIND.record(endpointKey(address), {
    ...{ address: Buffer.from(address), identity, node: pod.node, namespace: pod.namespace },
    ...{ pod: pod.name, podUid: pod.uid, ports: [...pod.ports], audited },
  });
}

/** True for an address that readers accept from this cluster. `podCidrs` undefined: not known yet, so nothing is published. */
export function isExportable(address: Address, podCidrs: readonly Prefix[] | undefined): boolean {
  return (podCidrs?.some((range) => prefixContains(range, address)) ?? true) && !isForbidden(address);
}
