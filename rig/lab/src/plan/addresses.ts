/**
 * Addresses of a lab, from its index on this machine (0..31), the cluster's number and the node's number (each 1..16).
 *
 *   underlay   10.(200+index).0.0/16   the only range that the root namespace sees
 *     .0.C      control plane of cluster C        .C.N    node N of cluster C
 *     .254.1    the shared etcd                   .255.1  the root namespace
 *   pods       10.(10+C).0.0/16        services   10.(96+C-1).0.0/16
 *
 * Pod and service ranges repeat between labs: nothing outside a lab routes them.
 */
export const MAX_LABS = 32;

export function labAddresses(index: number): { readonly root: string; readonly store: string; readonly cidr: string } {
  const base = `10.${200 + index}`;
  return { root: `${base}.255.1`, store: `${base}.254.1`, cidr: `${base}.0.0/16` };
}

export function clusterAddresses(index: number, cluster: number) {
  const services = `10.${95 + cluster}.0`;
  return {
    apiAddress: `10.${200 + index}.0.${cluster}`,
    podCidr: `10.${10 + cluster}.0.0/16`,
    serviceCidr: `${services}.0/16`,
    kubernetesServiceAddress: `${services}.1`,
    dnsServiceAddress: `${services}.10`,
  };
}

export function nodeAddress(index: number, cluster: number, node: number): string {
  return `10.${200 + index}.${cluster}.${node}`;
}

/** A locally administered hardware address that contains the IPv4 address. */
export function macOf(address: string): string {
  const octets = address.split(".").map((octet) => Number(octet).toString(16).padStart(2, "0"));
  return ["02", "00", ...octets].join(":");
}
