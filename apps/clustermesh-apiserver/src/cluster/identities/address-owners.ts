/**
 * Which pod an address belongs to (pure).
 *
 * Objects are late: the status of a pod whose sandbox is gone still has its address, which its node may have given to another pod.
 * So of several pods with one address one that is being deleted comes last; then one whose node's agent reported the address
 * comes before one of which only the status has it; then the newer one, by creation and, in the same second, by uid.
 */
import { type Address, bytesKey } from "@isthmus/model";
import type { PodFacts } from "./pod-facts.js";

export interface AddressOwners {
  /** Undefined: no pod has it. */
  owner(address: Address): PodFacts | undefined;
  /** Returns the addresses that the pod has now or had before. `facts` undefined: the pod is gone. */
  setPod(pod: string, facts: PodFacts | undefined): readonly Address[];
}

/** Without pods. */
export function createAddressOwners(): AddressOwners {
  const known = new Map<string, PodFacts>();
  /** Nearly always one pod for each address. */
  const claims = new Map<string, readonly PodFacts[]>();

  function withdraw(facts: PodFacts): void {
    for (const address of facts.addresses) {
      const key = bytesKey(address);
      const left = (claims.get(key) ?? []).filter((other) => other !== facts);
      if (left.length === 0) claims.delete(key);
      else claims.set(key, left);
    }
  }

  return {
    owner: (address) => claims.get(bytesKey(address))?.reduce((a, b) => (comesFirst(b, a) ? b : a)),
    setPod(pod, facts) {
      const before = known.get(pod);
      if (before !== undefined) withdraw(before);
      if (facts === undefined) known.delete(pod);
      else known.set(pod, facts);
      for (const address of facts?.addresses ?? []) {
        const key = bytesKey(address);
        claims.set(key, [...(claims.get(key) ?? []), facts as PodFacts]);
      }
      return [...(before?.addresses ?? []), ...(facts?.addresses ?? [])];
    },
  };
}

function comesFirst(a: PodFacts, b: PodFacts): boolean {
  if (a.isTerminating !== b.isTerminating) return b.isTerminating;
  if (a.isReported !== b.isReported) return a.isReported;
  if (a.created !== b.created) return a.created > b.created;
  // Static pods have the hash of a manifest instead of a uid.
  return a.uid === b.uid ? nameOf(a) > nameOf(b) : a.uid > b.uid;
}

function nameOf({ namespace, name }: PodFacts): string {
  return `${namespace}/${name}`;
}
