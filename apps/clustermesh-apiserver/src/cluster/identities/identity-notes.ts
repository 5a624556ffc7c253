/** Events on pods, Namespaces and MeshIdentities for those who wrote them (pure). */
import { MESH_IDENTITIES, NAMESPACES, PODS, type ReportedEvent } from "@isthmus/kube";
import { printable } from "@isthmus/model";
import { BOUNDS } from "@isthmus/records";
import type { IdentityFacts } from "./identity-facts.js";
import type { IdentityObjectsOptions } from "./identity-objects.js";
import { GLOBAL_NAMESPACE, type NamespaceFacts } from "./namespace-facts.js";
import type { PodFacts } from "./pod-facts.js";

/** `beyond`: the bound that its record exceeds. */
export function tooLargeToExport(facts: PodFacts, beyond: string): ReportedEvent {
  return eventOf(facts, "TooLargeToExport", `Cannot export the pod: ${beyond}. Other clusters do not know it`);
}

/** A pod cannot get an identity. `size`: labels that it would have. */
export function tooManyLabels(facts: PodFacts, size: number): ReportedEvent {
  const most = `${size} labels are more than ${BOUNDS.labels}, those of its namespace included`;
  return eventOf(facts, "NoIdentity", `Cannot give the pod an identity: ${most}. Remove some`);
}

/** An annotation of a Namespace is not understood. */
export function invalidGlobal({ name, uid, global = "" }: NamespaceFacts): ReportedEvent {
  const note = `Annotation "${GLOBAL_NAMESPACE}" has value "${printable(global)}", write "true" or "false". What was in force before stays`;
  return {
    ...{ resource: NAMESPACES, name, uid, type: "Warning", reason: "InvalidAnnotation", action: "Validate" },
    note,
  };
}

/** An object that no pod of this cluster can have. */
export function identityNotUsed({ name, uid }: IdentityFacts, { cluster, id }: IdentityObjectsOptions): ReportedEvent {
  const note = `The MeshIdentity is not used: its number must be one of cluster ${id}, and its labels those of a pod of "${cluster}". Delete it`;
  return {
    ...{ resource: MESH_IDENTITIES, name, uid, type: "Warning", reason: "IdentityNotUsed", action: "Validate" },
    note,
  };
}

function eventOf({ namespace, name, uid }: PodFacts, reason: string, note: string): ReportedEvent {
  return { resource: PODS, namespace, name, uid, type: "Warning", reason, action: "Identify", note };
}
