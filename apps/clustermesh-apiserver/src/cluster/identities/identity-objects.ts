/** The MeshIdentity objects of this cluster, by number and by label set (pure). */
import {
  type AllocatedIdentity,
  CLUSTER_LABEL,
  type IdentityNumber,
  isIdentityOf,
  NAMESPACE_LABEL,
  numberInUse,
  parseLabelSetKey,
} from "@isthmus/identity";
import type { ClusterId, ClusterName } from "@isthmus/model";
import type { IdentityFacts } from "./identity-facts.js";

/** An object with a number of this cluster. */
export interface LocalIdentity extends AllocatedIdentity {
  /** `labelSetKey` of its labels. */
  readonly labels: string;
  /** That of its pods; undefined: the labels are none of a pod of this cluster, so that no pod may have the number. */
  readonly namespace: string | undefined;
  /** As last read. */
  readonly resourceVersion: string;
}

export interface IdentityObjects {
  /** Undefined: there is none. */
  get(number: IdentityNumber): LocalIdentity | undefined;
  /** In no order. */
  all(): Iterable<LocalIdentity>;
  /** All that have these labels. */
  withLabels(labels: string): readonly LocalIdentity[];
  /** The number that pods with these labels have; undefined: none yet. */
  numberOf(labels: string): IdentityNumber | undefined;
  /** Returns what the object is; undefined: its number is none that this cluster gives, and it is ignored. */
  set(facts: IdentityFacts): LocalIdentity | undefined;
  /** Returns what the object was. */
  delete(facts: IdentityFacts): LocalIdentity | undefined;
  /** The highest number; undefined: there is none. */
  highest(): IdentityNumber | undefined;
}

export interface IdentityObjectsOptions {
  /** Name of the local cluster: its label in each label set. */
  readonly cluster: ClusterName;
  /** Its bits are in each number. */
  readonly id: ClusterId;
}

/** Without objects. */
export function createIdentityObjects({ cluster, id }: IdentityObjectsOptions): IdentityObjects {
  const byNumber = new Map<IdentityNumber, LocalIdentity>();
  const byLabels = new Map<string, readonly LocalIdentity[]>();

  function forget(number: IdentityNumber): LocalIdentity | undefined {
    const known = byNumber.get(number);
    if (known === undefined) return undefined;
    byNumber.delete(number);
    const left = (byLabels.get(known.labels) ?? []).filter((other) => other !== known);
    if (left.length === 0) byLabels.delete(known.labels);
    else byLabels.set(known.labels, left);
    return known;
  }

  const withLabels = (labels: string): readonly LocalIdentity[] => byLabels.get(labels) ?? [];
  return {
    get: (number) => byNumber.get(number),
    all: () => byNumber.values(),
    withLabels,
    numberOf: (labels) => numberInUse(withLabels(labels)),
    set({ number, labels, releasedAtMs, resourceVersion }) {
      if (number === undefined || !isIdentityOf(number, id)) return undefined;
      forget(number);
      const now = { number, labels, releasedAtMs, resourceVersion, namespace: namespaceOf(labels, cluster) };
      byNumber.set(number, now);
      byLabels.set(labels, [...withLabels(labels), now]);
      return now;
    },
    delete: ({ number }) => (number === undefined ? undefined : forget(number)),
    highest() {
      let highest: IdentityNumber | undefined;
      for (const number of byNumber.keys()) if (highest === undefined || number > highest) highest = number;
      return highest;
    },
  };
}

/** The namespace of the pods that have these labels; undefined: no pod of this cluster can have them. */
function namespaceOf(labelSet: string, cluster: ClusterName): string | undefined {
  const labels = parseLabelSetKey(labelSet);
  if (labels.get(CLUSTER_LABEL) !== cluster) return undefined;
  for (const key of labels.keys()) if (key.startsWith("reserved:")) return undefined;
  return labels.get(NAMESPACE_LABEL);
}
