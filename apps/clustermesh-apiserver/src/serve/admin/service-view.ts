/**
 * The records of one Service in all clusters, merged as agents merge them; and the pods that have addresses.
 *
 * In: the sources of this server, read in slices, so that streams continue meanwhile. A record that cannot be read is left out, as
 * agents leave it out.
 */
import { createServiceMerger, type ServiceMerger } from "@isthmus/clustermesh";
import { type ClusterName, parseClusterId, printable, type ServiceName } from "@isthmus/model";
import { Endpoint, ExplainedClient, Kind } from "@isthmus/proto";
import { endpointKey, type HashedRecord, serviceConfigKey, serviceKey, sliceKey } from "@isthmus/records";
import type { Slices } from "@isthmus/runtime";
import type { StreamSource } from "../../ports/stream-source.js";

/** Records between two yields. */
const STEP = 500;

/** Its merger has no other Service. `localId`: id of the local cluster, which is 0 in `sources`. */
export function* mergeOneService(
  sources: readonly StreamSource[],
  localId: number,
  service: ServiceName,
): Slices<ServiceMerger> {
  const merger = createServiceMerger();
  const slices = sliceKey(service, "");
  for (const { clusterId, cluster, index } of sources) {
    merger.addCluster({ cluster, id: parseClusterId(clusterId === 0 ? localId : clusterId), local: clusterId === 0 });
    for (const key of [serviceKey(service), serviceConfigKey(service)]) take(merger, cluster, index.get(key));
    let steps = 0;
    for (const record of [...index.records(Kind.KIND_SLICE)]) {
      if (record.key.startsWith(slices)) take(merger, cluster, record);
      if (++steps % STEP === 0) yield;
    }
  }
  return merger;
}

function take(merger: ServiceMerger, cluster: ClusterName, record: HashedRecord | undefined): void {
  if (record === undefined) return;
  try {
    merger.upsert(cluster, record.kind, record.key, record.value);
  } catch {
    // Not readable: no agent has it.
  }
}

/** The pod of this name, by the addresses that its cluster reports; undefined: the cluster reports none. */
export function* findPod({ index }: StreamSource, namespace: string, pod: string): Slices<ExplainedClient | undefined> {
  let [found, steps] = [undefined as ExplainedClient | undefined, 0];
  for (const { value } of [...index.records(Kind.KIND_ENDPOINT)]) {
    const endpoint = readEndpoint(value);
    if (endpoint?.namespace === namespace && endpoint.pod === pod) {
      const { node, identity, address } = endpoint;
      found ??= ExplainedClient.fromPartial({ namespace, pod, node: printable(node, 253), identity });
      found.addresses.push(address);
    }
    if (++steps % STEP === 0) yield;
  }
  return found;
}

/** Who has the address in this cluster, as it reports it. */
export function podAt(
  { index }: StreamSource,
  address: Uint8Array,
): { readonly namespace: string; readonly pod: string } {
  const record = index.get(endpointKey(address));
  const { namespace = "", pod = "" } = (record && readEndpoint(record.value)) ?? {};
  return { namespace: printable(namespace, 63), pod: printable(pod, 253) };
}

function readEndpoint(value: Uint8Array): Endpoint | undefined {
  try {
    return Endpoint.decode(value);
  } catch {
    return undefined;
  }
}
