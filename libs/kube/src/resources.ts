/** The Kubernetes resources that Isthmus uses, and their API paths. */

export interface Resource {
  /** "" is the core group. */
  readonly group: string;
  /** Of the API: `v1`, without the group. */
  readonly version: string;
  /** Lower case, as in paths: `endpointslices`. */
  readonly plural: string;
  /** UpperCamelCase, as in objects: `EndpointSlice`. */
  readonly kind: string;
  /** False: cluster-scoped; `resourcePath` ignores a namespace then. */
  readonly namespaced: boolean;
}

const core = (kind: string, plural: string, namespaced = true): Resource => ({
  group: "",
  version: "v1",
  plural,
  kind,
  namespaced,
});

export const SERVICES = core("Service", "services");
export const NODES = core("Node", "nodes", false);
export const PODS = core("Pod", "pods");
export const NAMESPACES = core("Namespace", "namespaces", false);
export const CONFIG_MAPS = core("ConfigMap", "configmaps");
export const SECRETS = core("Secret", "secrets");
export const SERVICE_ACCOUNTS = core("ServiceAccount", "serviceaccounts");
export const ENDPOINT_SLICES: Resource = {
  group: "discovery.k8s.io",
  version: "v1",
  plural: "endpointslices",
  kind: "EndpointSlice",
  namespaced: true,
};
export const SERVICE_CIDRS: Resource = {
  group: "networking.k8s.io",
  version: "v1",
  plural: "servicecidrs",
  kind: "ServiceCIDR",
  namespaced: false,
};
export const NETWORK_POLICIES: Resource = {
  group: "networking.k8s.io",
  version: "v1",
  plural: "networkpolicies",
  kind: "NetworkPolicy",
  namespaced: true,
};
export const CILIUM_NETWORK_POLICIES: Resource = {
  group: "cilium.io",
  version: "v2",
  plural: "ciliumnetworkpolicies",
  kind: "CiliumNetworkPolicy",
  namespaced: true,
};
export const CILIUM_CLUSTERWIDE_NETWORK_POLICIES: Resource = {
  ...CILIUM_NETWORK_POLICIES,
  plural: "ciliumclusterwidenetworkpolicies",
  kind: "CiliumClusterwideNetworkPolicy",
  namespaced: false,
};
export const CILIUM_CIDR_GROUPS: Resource = {
  ...CILIUM_CLUSTERWIDE_NETWORK_POLICIES,
  plural: "ciliumcidrgroups",
  kind: "CiliumCIDRGroup",
};
export const DEPLOYMENTS: Resource = {
  group: "apps",
  version: "v1",
  plural: "deployments",
  kind: "Deployment",
  namespaced: true,
};
export const EVENTS: Resource = {
  group: "events.k8s.io",
  version: "v1",
  plural: "events",
  kind: "Event",
  namespaced: true,
};
export const LEASES: Resource = {
  group: "coordination.k8s.io",
  version: "v1",
  plural: "leases",
  kind: "Lease",
  namespaced: true,
};
export const CUSTOM_RESOURCE_DEFINITIONS: Resource = {
  group: "apiextensions.k8s.io",
  version: "v1",
  plural: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
  namespaced: false,
};
export const MESH_CLUSTERS: Resource = {
  group: "mesh.isthmus.io",
  version: "v1alpha1",
  plural: "meshclusters",
  kind: "MeshCluster",
  namespaced: false,
};
export const MESH_PEERS: Resource = { ...MESH_CLUSTERS, plural: "meshpeers", kind: "MeshPeer" };
export const MESH_IDENTITIES: Resource = { ...MESH_CLUSTERS, plural: "meshidentities", kind: "MeshIdentity" };

/** As in objects: `v1`, `discovery.k8s.io/v1`. */
export function apiVersion(resource: Resource): string {
  return resource.group === "" ? resource.version : `${resource.group}/${resource.version}`;
}

/** Path of the collection (all namespaces when none is given), of one object, or of its subresource. */
export function resourcePath(resource: Resource, namespace?: string, name?: string, subresource?: string): string {
  const root = resource.group === "" ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const within = resource.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  const object = name === undefined ? "" : `/${encodeURIComponent(name)}`;
  return `${root}${within}/${resource.plural}${object}${subresource === undefined ? "" : `/${subresource}`}`;
}
