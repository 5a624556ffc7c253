/** The labels of all identities that records name, and what the engine is given of them. */
import { type IdentityNumber, identityCluster } from "@isthmus/identity";
import type { Prefix } from "@isthmus/model";
import type { Identity, Labels } from "@isthmus/policy";
import type { IdentityPorts } from "./identity-ports.js";
import { type IdentityFacts, refusal } from "./parse-records.js";

export interface KnownIdentities {
  /** Throws `IDENTITY_RECORD` for other labels than the number has, and changes nothing then. */
  set(identity: IdentityFacts): void;
  /** Nothing happens for an unknown one. */
  delete(number: IdentityNumber): void;
  /** Undefined: not known. */
  labels(number: IdentityNumber): Labels | undefined;
  /** Of a cluster, by its real id. */
  of(cluster: number): Iterable<IdentityNumber>;
}

/** Knows none. `changed`: called for each that came or went. */
export function createKnownIdentities(changed: (number: IdentityNumber) => void): KnownIdentities {
  const byCluster = new Map<number, Map<IdentityNumber, Labels>>();
  const labelsOf = (number: IdentityNumber) => byCluster.get(identityCluster(number))?.get(number);
  return {
    set({ number, labels }) {
      const known = labelsOf(number);
      if (known !== undefined && !hasSameLabels(known, labels)) throw refusal(number, "it has other labels already");
      if (known !== undefined) return;
      const cluster = identityCluster(number);
      byCluster.set(cluster, (byCluster.get(cluster) ?? new Map<IdentityNumber, Labels>()).set(number, labels));
      changed(number);
    },
    delete(number) {
      const numbers = byCluster.get(identityCluster(number));
      if (numbers?.delete(number) !== true) return;
      if (numbers.size === 0) byCluster.delete(identityCluster(number));
      changed(number);
    },
    labels: labelsOf,
    of: (cluster) => byCluster.get(cluster)?.keys() ?? [],
  };
}

/** As the engine takes it. */
export function engineIdentity(
  labels: Labels,
  prefix: Prefix | undefined,
  ports: ReturnType<IdentityPorts["of"]>,
): Identity {
  return { labels, ...(prefix && { prefix }), ...(ports.length > 0 && { ports }) };
}

function hasSameLabels(a: Labels, b: Labels): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}
