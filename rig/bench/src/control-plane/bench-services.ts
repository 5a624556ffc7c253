/** Creates global Services without selectors; the benchmark writes their only slice in east itself. */
import { ENDPOINT_SLICES, type KubeEndpointSlice, type KubeService, NAMESPACES, SERVICES } from "@isthmus/kube";
import type { BenchCluster, BenchLab } from "./lab.js";

const NAMESPACE = "bench";
const AT_ONCE = 16;
const MANAGER = { manager: "bench", force: true };

/** Creates `count` Services in both clusters, each with a slice of one endpoint in east; returns west's frontends in order. */
export async function makeServices({ east, west }: BenchLab, count: number): Promise<readonly string[]> {
  for (const { client } of [east, west]) await client.apply(NAMESPACES, { metadata: { name: NAMESPACE } }, MANAGER);
  const numbers = Array.from({ length: count }, (_, i) => i);
  return inParallel(numbers, async (i) => {
    await east.client.apply(SERVICES, serviceObject(i), MANAGER);
    await east.client.apply(ENDPOINT_SLICES, { metadata: meta(i), ...slice(east, i, 1) }, MANAGER);
    const made = await west.client.apply<KubeService>(SERVICES, serviceObject(i), MANAGER);
    return `${made.spec?.clusterIP}:80/6`;
  });
}

/** Sets the number of endpoints of Service `i` in east's API. Resolves when the API server has stored it. */
export async function setEndpoints({ east }: BenchLab, i: number, endpoints: number): Promise<void> {
  const { endpoints: wanted } = slice(east, i, endpoints);
  await east.client.mergePatch(ENDPOINT_SLICES, name(i), { endpoints: wanted }, { namespace: NAMESPACE });
}

const name = (i: number) => `s${i}`;

function meta(i: number) {
  return { name: name(i), namespace: NAMESPACE, labels: { "kubernetes.io/service-name": name(i) } };
}

function serviceObject(i: number): KubeService {
  const annotations = { "service.cilium.io/global": "true" };
  return {
    metadata: { name: name(i), namespace: NAMESPACE, annotations },
    spec: { ports: [{ name: "main", protocol: "TCP", port: 80 }] },
  };
}

/** A slice with addresses of the cluster's pod range that no pod has. */
function slice({ plan }: BenchCluster, i: number, endpoints: number): Omit<KubeEndpointSlice, "metadata"> {
  const base = plan.podCidr.split(".").slice(0, 2).join(".");
  return {
    addressType: "IPv4",
    ports: [{ name: "main", protocol: "TCP", port: 8080 }],
    endpoints: Array.from({ length: endpoints }, (_, n) => ({
      addresses: [`${base}.${200 + n}.${1 + (i % 250)}`],
      conditions: { ready: true },
    })),
  };
}

async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i] as T);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}
