/** The Kubernetes objects: global Services of both clusters, and one slice for each in east. */
import type { PeerSpec, SyntheticClusterOptions } from "@isthmus/apiserver";
import type { KubeEndpointSlice, KubeService } from "@isthmus/kube";
import { parseClusterId, parseClusterName, parsePrefix } from "@isthmus/model";

export const PORT = 80;

export const EAST = cluster("east", 1);
export const WEST = cluster("west", 2);

function cluster(name: string, id: number): SyntheticClusterOptions {
  return {
    cluster: parseClusterName(name),
    id: parseClusterId(id),
    podCidrs: [parsePrefix(`10.${id}.0.0/16`)],
    serviceCidrs: [parsePrefix(`10.${100 + id}.0.0/16`)],
  };
}

export function peerOf({ cluster, id, podCidrs, serviceCidrs }: SyntheticClusterOptions): PeerSpec {
  return { cluster, id, podCidrs, serviceCidrs, uid: `uid-${cluster}` };
}

/** ClusterIP of Service `i` in a cluster. */
export function clusterIp({ id }: SyntheticClusterOptions, i: number): string {
  return `10.${100 + id}.${i >> 8}.${i & 255}`;
}

export function serviceObject(of: SyntheticClusterOptions, i: number): KubeService {
  const annotations = { "service.cilium.io/global": "true" };
  const ip = clusterIp(of, i);
  return {
    metadata: { name: `s${i}`, namespace: "bench", uid: `s${i}`, annotations },
    spec: { clusterIP: ip, clusterIPs: [ip], ports: [{ name: "main", protocol: "TCP", port: PORT }] },
  };
}

/** The slice of Service `i`, with one or two endpoints. */
export function sliceObject(i: number, endpoints: number): KubeEndpointSlice {
  return {
    metadata: { name: `s${i}-a`, namespace: "bench", labels: { "kubernetes.io/service-name": `s${i}` } },
    addressType: "IPv4",
    ports: [{ name: "main", protocol: "TCP", port: 8080 }],
    endpoints: Array.from({ length: endpoints }, (_, n) => ({
      addresses: [`10.1.${128 * n + (i >> 8)}.${i & 255}`],
      conditions: { ready: true },
    })),
  };
}
