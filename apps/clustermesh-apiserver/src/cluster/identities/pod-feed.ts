/** Pods, joined with their namespaces and with MeshIdentity objects: ENDPOINT and IDENTITY records. */
import { MESH_IDENTITIES, NAMESPACES, PODS } from "@isthmus/kube";
import type { Prefix } from "@isthmus/model";
import { createEmitter } from "@isthmus/runtime";
import type { Feed } from "../feed/feed.js";
import { type IdentityFacts, identityFacts } from "./identity-facts.js";
import type { IdentityObjectsOptions } from "./identity-objects.js";
import { type NamespaceFacts, namespaceFacts } from "./namespace-facts.js";
import { createIntern, type PodFacts, podFacts } from "./pod-facts.js";
import { createPodIdentities, type PodIdentities } from "./pod-identities.js";

/** What other parts read of the pods and of the numbers of their label sets, as of the last `takeChanges`. */
export interface LocalIdentities
  extends Pick<PodIdentities, "auditedPods" | "highest" | "labelSet" | "owns" | "pod" | "refused" | "labelSets"> {
  /** Calls the listener with the keys of label sets of which pods or objects changed; returns what ends that. */
  onSets(listener: (keys: readonly string[]) => void): () => void;
  /** Calls the listener with the pods that were added, changed or deleted, as namespace/name; returns what ends that. */
  onPods(listener: (pods: readonly string[]) => void): () => void;
}

export interface PodFeed extends Feed<PodFacts | undefined> {
  /** For the allocation of numbers, and for reports of agents. */
  readonly identities: LocalIdentities;
  /** Has no records: a namespace changes those of its pods. */
  readonly namespaces: Feed<NamespaceFacts>;
  /** Has no records: a MeshIdentity changes those of the pods with its labels. */
  readonly objects: Feed<IdentityFacts>;
}

/** `podCidrs`: this cluster's pod ranges; undefined: not known yet. */
export function createPodFeed(options: IdentityObjectsOptions, podCidrs: readonly Prefix[] | undefined): PodFeed {
  const intern = createIntern();
  const table = createPodIdentities(options, podCidrs);
  const setChanges = createEmitter<readonly string[]>();
  const podChanges = createEmitter<readonly string[]>();
  let changed: { readonly sets: readonly string[]; readonly pods: readonly string[] } = { sets: [], pods: [] };
  return {
    resource: PODS,
    versionType: "pods",
    facts: (object) => podFacts(object, intern),
    take({ deletes, sets }) {
      for (const { key } of deletes) table.setPod(key, undefined);
      for (const { key, value } of sets) table.setPod(key, value);
    },
    records: {
      configure({ podCidrs, auditMode }) {
        if (podCidrs !== undefined) table.setPodCidrs(podCidrs);
        if (auditMode !== undefined) table.setAuditMode(auditMode);
      },
      takeChanges() {
        const { local, exported, notes, ...rest } = table.flush();
        changed = rest;
        return { local, exported, notes };
      },
      applied() {
        if (changed.sets.length > 0) setChanges.emit(changed.sets);
        if (changed.pods.length > 0) podChanges.emit(changed.pods);
      },
    },
    identities: {
      ...{ highest: table.highest, labelSet: table.labelSet, labelSets: table.labelSets, refused: table.refused },
      ...{ pod: table.pod, owns: table.owns, onSets: setChanges.subscribe, onPods: podChanges.subscribe },
      auditedPods: table.auditedPods,
    },
    namespaces: {
      resource: NAMESPACES,
      versionType: "namespaces",
      facts: namespaceFacts,
      take({ deletes, sets }) {
        for (const { value } of deletes) table.deleteNamespace(value.name);
        for (const { value } of sets) table.setNamespace(value);
      },
    },
    objects: {
      resource: MESH_IDENTITIES,
      versionType: "identities",
      facts: identityFacts,
      take({ deletes, sets }) {
        for (const { value } of deletes) table.deleteIdentity(value);
        for (const { value } of sets) table.setIdentity(value);
      },
    },
  };
}
