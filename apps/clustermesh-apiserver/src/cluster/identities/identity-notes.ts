/** Events on pods, Namespaces and MeshIdentities for those who wrote them (pure). */
import { MESH_IDENTITIES, NAMESPACES, PODS, type ReportedEvent } from "@isthmus/kube";
import { printable } from "@isthmus/model";
import { BOUNDS } from "@isthmus/records";
import type { IdentityFacts } from "./identity-facts.js";
import type { IdentityObjectsOptions } from "./identity-objects.js";
import { GLOBAL_NAMESPACE, type NamespaceFacts } from "./namespace-facts.js";
import { type PodFacts, POLICY_AUDIT_MODE } from "./pod-facts.js";

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
export function invalidGlobal(facts: NamespaceFacts): ReportedEvent {
  return onNamespace(facts, invalid(GLOBAL_NAMESPACE, facts.global, '"true" or "false"'));
}

/** The mode of a Namespace is not understood. */
export function invalidNamespaceMode(facts: NamespaceFacts): ReportedEvent {
  return onNamespace(facts, invalid(POLICY_AUDIT_MODE, facts.auditMode, '"true", "false" or "per-pod"'));
}

/** The mode of a pod is not understood. */
export function invalidPodMode(facts: PodFacts): ReportedEvent {
  const note = invalid(POLICY_AUDIT_MODE, facts.auditMode, '"true" or "false"');
  return eventOf(facts, "InvalidAnnotation", note, "Validate");
}

/** A pod asks for audit mode and is not in it. `byCluster`: no pod of the cluster may be. */
export function auditNotAllowed(facts: PodFacts, byCluster: boolean): ReportedEvent {
  const why = byCluster
    ? 'policy-audit-mode of mesh-config is "never"'
    : `its Namespace does not allow it; annotate that with ${POLICY_AUDIT_MODE}: "per-pod"`;
  const note = `Policies stay enforced for the pod, although its annotation "${POLICY_AUDIT_MODE}" is "true": ${why}`;
  return eventOf(facts, "AuditModeNotAllowed", note, "Validate");
}

function invalid(annotation: string, value: string | undefined, allowed: string): string {
  return `Annotation "${annotation}" has value "${printable(value ?? "")}", write ${allowed}. What was in force before stays`;
}

function onNamespace({ name, uid }: NamespaceFacts, note: string): ReportedEvent {
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

function eventOf({ namespace, name, uid }: PodFacts, reason: string, note: string, action = "Identify"): ReportedEvent {
  return { resource: PODS, namespace, name, uid, type: "Warning", reason, action, note };
}
