/** What the annotation of a Pod has: what the watch showed last, or what was written since. */
import { type Address, bytesKey } from "@isthmus/model";
import type { PodFacts } from "./identities/pod-facts.js";

export interface WrittenAddresses {
  /** True when the annotation of the pod has the address. `pod`: namespace/name. */
  has(pod: string, facts: PodFacts, address: Address): boolean;
  /** The annotation was written; `address` undefined: it was removed. */
  wrote(pod: string, facts: PodFacts, address: Address | undefined): void;
  /** The watch has shown the pod; `facts` undefined: it is gone. */
  changed(pod: string, facts: PodFacts | undefined): void;
}

interface Written {
  readonly objectUid: string;
  readonly address: Address | undefined;
}

/** Keeps a write until the watch shows it. */
export function createWrittenAddresses(): WrittenAddresses {
  const written = new Map<string, Written>();

  const latest = (pod: string, { objectUid }: PodFacts) => {
    const last = written.get(pod);
    return last?.objectUid === objectUid ? last : undefined;
  };

  return {
    has(pod, facts, address) {
      const last = latest(pod, facts);
      if (last === undefined) return facts.isReported && hasAddress(facts, address);
      return last.address !== undefined && bytesKey(last.address) === bytesKey(address);
    },
    wrote(pod, { objectUid }, address) {
      written.set(pod, { objectUid, address });
    },
    changed(pod, facts) {
      const last = facts && latest(pod, facts);
      if (last === undefined || shows(facts, last.address)) written.delete(pod);
    },
  };
}

function shows(facts: PodFacts | undefined, address: Address | undefined): boolean {
  if (facts === undefined || address === undefined) return facts?.isReported !== true;
  return facts.isReported && hasAddress(facts, address);
}

/** The pod has the address, by its annotation or its status. */
export function hasAddress({ addresses }: PodFacts, address: Address): boolean {
  return addresses.some((each) => bytesKey(each) === bytesKey(address));
}
