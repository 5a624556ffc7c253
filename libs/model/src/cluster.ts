/** Names and numbers of clusters and services. */
import { MeshError } from "./errors.js";

/** DNS label, at most 32 characters. */
export type ClusterName = string & { readonly __brand: "ClusterName" };

/** 1..4094; 0 in records and maps means "local cluster" or "mixed", 4095 is node-local. */
export type ClusterId = number & { readonly __brand: "ClusterId" };

/** `namespace/name` of a Kubernetes Service. */
export type ServiceName = string & { readonly __brand: "ServiceName" };

export const MAX_CLUSTER_ID = 4094;

/** Throws `CLUSTER_NAME` unless it is a DNS label of at most 32 characters. */
export function parseClusterName(text: string): ClusterName {
  if (/^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/.test(text)) return text as ClusterName;
  throw new MeshError(
    { code: "CLUSTER_NAME", value: text },
    `Cannot use cluster name "${text}": it must be a DNS label of at most 32 characters`,
  );
}

/** Throws `CLUSTER_ID` unless it is a whole number from 1 to 4094. */
export function parseClusterId(value: number): ClusterId {
  if (Number.isInteger(value) && value >= 1 && value <= MAX_CLUSTER_ID) return value as ClusterId;
  throw new MeshError(
    { code: "CLUSTER_ID", value },
    `Cannot use cluster id "${value}": it must be a whole number from 1 to ${MAX_CLUSTER_ID}`,
  );
}

/** Joins two names that Kubernetes has accepted; they are not checked. */
export function serviceName(namespace: string, name: string): ServiceName {
  return `${namespace}/${name}` as ServiceName;
}
