/**
 * Reasons of the Events that this program writes, apart from those that conditions of Services have too (service-conditions.ts);
 * docs/reference/conditions.md is made of the comments.
 */
export type EventReason =
  /**
   * On a pod: a `hostPort` of it is not served, the node does not answer there. Fix: use a Service, or "hostNetwork: true".
   */
  | "HostPortNotServed"
  /**
   * On ConfigMap mesh-system/mesh-config and on the MeshCluster: mesh-config cannot be used, the last good one stays in force. Fix:
   * correct the field that the message names.
   */
  | "InvalidConfig"
  /**
   * On ConfigMap mesh-system/mesh-config: there is no MeshCluster of this cluster, which the apiserver creates. Without it pods with new
   * labels get no identity, and do not start in mode `packets`; running pods go on. Fix: do what the message says.
   */
  | "NoMeshCluster"
  /**
   * On a policy: its present generation is not accepted, so nothing of it is in force, and the last accepted one stays. Fix: do what
   * the message says of the field that it names.
   */
  | "PolicyNotAccepted"
  /**
   * On a pod: it has more labels than an identity holds, those of its namespace included, so it gets no identity and does not start;
   * one that runs keeps the identity that it had. Fix: remove labels.
   */
  | "NoIdentity"
  /**
   * On a pod: its annotation asks for policy audit mode, and neither its Namespace nor mesh-config lets it be in it, so its policies stay
   * enforced. Fix: annotate the Namespace with "per-pod", or remove the annotation.
   */
  | "AuditModeNotAllowed"
  /**
   * On a MeshIdentity: its number is none of this cluster, or its labels are none of a pod of this cluster; it was written by hand, or
   * under another name of the cluster. Fix: delete it.
   */
  | "IdentityNotUsed";
