/**
 * The label sets of pods: pods joined with their namespaces (pure; work proportional to the change).
 *
 * In: pods and namespaces, in any order. Out: the label set of each pod, and how many pods each set has. A changed label of a
 * namespace touches the pods of that namespace only, and makes their labels once for all that share a set.
 */
import { labelSetKey, parseLabelSetKey, podIdentityLabels } from "@isthmus/identity";
import { BOUNDS } from "@isthmus/records";
import type { PodFacts } from "./pod-facts.js";

/** The pods that have one label set: those of a namespace with the same account and labels. */
export interface LabelSet {
  /** `labelSetKey` of the identity; undefined while the namespace is not known, and when there are more labels than a record holds. */
  readonly key: string | undefined;
  /** Labels that the identity has, or would have. */
  readonly size: number;
  /** Keys of its pods. */
  readonly pods: ReadonlySet<string>;
}

interface MutableSet extends LabelSet {
  readonly name: string;
  readonly facts: Pick<PodFacts, "labels" | "namespace" | "serviceAccount">;
  key: string | undefined;
  size: number;
  readonly pods: Set<string>;
}

export interface LabelSets {
  /** Undefined for a pod that is not known. */
  of(pod: string): LabelSet | undefined;
  /** By `labelSetKey`. */
  get(key: string): LabelSet | undefined;
  /** Each set that a pod has; `namespace`: those of its pods. */
  all(namespace?: string): Iterable<LabelSet>;
  /** Returns the keys of the sets that the pod left and joined. */
  setPod(pod: string, facts: PodFacts | undefined): readonly string[];
  /**
   * `labels`: a `labelSetKey`; undefined: the namespace is gone. Returns the sets of its pods that are others now, and the keys that
   * they had before.
   */
  setNamespace(name: string, labels: string | undefined): NamespaceChange;
}

export interface NamespaceChange {
  /** With their new keys. */
  readonly sets: readonly LabelSet[];
  /** Keys that no pod has any more. */
  readonly left: readonly string[];
}

/** `cluster`: the name of the local cluster. */
export function createLabelSets(cluster: string): LabelSets {
  const namespaces = new Map<string, string>();
  const sets = new Map<string, MutableSet>();
  const byKey = new Map<string, MutableSet>();
  const byPod = new Map<string, MutableSet>();
  const byNamespace = new Map<string, Set<MutableSet>>();

  function setOf(facts: PodFacts): MutableSet {
    const { namespace, serviceAccount, labels } = facts;
    const name = JSON.stringify([namespace, serviceAccount, labels]);
    const known = sets.get(name);
    if (known !== undefined) return known;
    const made = {
      name,
      facts: { namespace, serviceAccount, labels },
      key: undefined,
      size: 0,
      pods: new Set<string>(),
    };
    sets.set(name, made);
    const others = byNamespace.get(namespace) ?? new Set();
    byNamespace.set(namespace, others.add(made));
    label(made);
    return made;
  }

  function label(set: MutableSet): void {
    unlabel(set);
    const { namespace, serviceAccount, labels } = set.facts;
    const ofNamespace = namespaces.get(namespace);
    if (ofNamespace === undefined) return;
    const made = podIdentityLabels({
      ...{ cluster, namespace, serviceAccount },
      namespaceLabels: parseLabelSetKey(ofNamespace),
      podLabels: parseLabelSetKey(labels),
    });
    set.size = made.size;
    if (made.size > BOUNDS.labels) return;
    set.key = labelSetKey(made);
    byKey.set(set.key, set);
  }

  function unlabel(set: MutableSet): void {
    if (set.key !== undefined && byKey.get(set.key) === set) byKey.delete(set.key);
    set.key = undefined;
  }

  function leave(pod: string, set: MutableSet): void {
    set.pods.delete(pod);
    byPod.delete(pod);
    if (set.pods.size > 0) return;
    sets.delete(set.name);
    const { namespace } = set.facts;
    const others = byNamespace.get(namespace);
    others?.delete(set);
    if (others?.size === 0) byNamespace.delete(namespace);
    unlabel(set);
  }

  return {
    of: (pod) => byPod.get(pod),
    get: (key) => byKey.get(key),
    all: (namespace) => (namespace === undefined ? sets.values() : (byNamespace.get(namespace) ?? [])),
    setPod(pod, facts) {
      const before = byPod.get(pod);
      const left = before?.key;
      const now = facts === undefined ? undefined : setOf(facts);
      if (before === now) return [];
      if (before !== undefined) leave(pod, before);
      if (now !== undefined) {
        now.pods.add(pod);
        byPod.set(pod, now);
      }
      return [left, now?.key].flatMap((key) => key ?? []);
    },
    setNamespace(name, labels) {
      if (namespaces.get(name) === labels) return { sets: [], left: [] };
      if (labels === undefined) namespaces.delete(name);
      else namespaces.set(name, labels);
      const changed = [...(byNamespace.get(name) ?? [])];
      const left = changed.flatMap(({ key }) => key ?? []);
      for (const set of changed) label(set);
      return { sets: changed, left };
    },
  };
}
