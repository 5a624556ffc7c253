/** A Namespace → the facts that the identities of its pods need (pure). */
import { labelSetKey } from "@isthmus/identity";
import type { KubeObject } from "@isthmus/kube";
import { auditModeText } from "./pod-facts.js";

/** Annotation of a Namespace: "false" keeps its pods and their identities out of what other clusters read. */
export const GLOBAL_NAMESPACE = "clustermesh.cilium.io/global";

export interface NamespaceFacts {
  /** Of the Namespace. */
  readonly name: string;
  /** Of the object, for Events. */
  readonly uid: string;
  /** `labelSetKey` of its labels. */
  readonly labels: string;
  /** The value of the annotation; undefined without one. */
  readonly global: string | undefined;
  /** `auditModeText` of it. */
  readonly auditMode: string | undefined;
}

/** Longer values of the annotation are invalid anyway. */
const LONGEST = 64;

/** Never throws. */
export function namespaceFacts({ metadata }: KubeObject): NamespaceFacts {
  return {
    name: metadata.name ?? "",
    uid: metadata.uid ?? "",
    labels: labelSetKey(new Map(Object.entries(metadata.labels ?? {}))),
    global: metadata.annotations?.[GLOBAL_NAMESPACE]?.slice(0, LONGEST),
    auditMode: auditModeText(metadata),
  };
}
