/**
 * Policy in this cluster as an agent of it sees it: the identities of addresses, the policies in force, and some pods as subjects.
 * Made anew for a request, of the records that agents get and by the code that they have. A record that cannot be read is skipped,
 * as agents skip it.
 */
import type { IdentityNumber } from "@isthmus/identity";
import { bytesKey, type ClusterId, formatAddress, type Prefix } from "@isthmus/model";
import {
  createPolicyBuilder,
  type EndpointFacts,
  identityAt,
  type PolicyBuilder,
  readEndpoint,
} from "@isthmus/node-policy";
import { Endpoint, Kind } from "@isthmus/proto";
import { type HashedRecord, identityKey } from "@isthmus/records";
import { inSlices, type Slices } from "@isthmus/runtime";
import type { StreamSource } from "../../ports/stream-source.js";

/** An address of a pod, as the record of some cluster has it. */
export interface PodEndpoint extends EndpointFacts {
  /** Real id of its cluster. */
  readonly clusterId: number;
  /** Name of its cluster. */
  readonly cluster: string;
  /** Of the pod. */
  readonly namespace: string;
  /** Its name. */
  readonly pod: string;
}

/** The local cluster. */
export interface LocalClusterName {
  /** Real id. */
  readonly clusterId: ClusterId;
  /** Its name. */
  readonly cluster: string;
}

export interface PolicyViewOptions extends LocalClusterName {
  /** Whose view it is: this node's own addresses are `host`. "": of no node, so all nodes are `remote-node`. */
  readonly node: string;
  /** What an endpoint is in the view. Undefined: it is left out, and so is its identity unless another endpoint has it. */
  readonly wants: (endpoint: PodEndpoint) => "subject" | "peer" | undefined;
  /** False: `wants` does not want the endpoint of this record, by its bytes; a record takes much longer to decode. Absent: never. */
  readonly mayWant?: (value: Uint8Array) => boolean;
  /** Told apart, as if a policy named them. */
  readonly prefixes?: readonly Prefix[];
  /** False: the policies in force are left out, and no prefix is told apart for them. */
  readonly policies?: boolean;
  /** Clusters (real ids) whose endpoints are looked at; absent: all. */
  readonly clusters?: ReadonlySet<number>;
}

export interface PolicyView {
  /** Subjects and addresses by address (`bytesKey`). Numbers of identities that no record has are of this view alone. */
  readonly desired: PolicyBuilder["desired"];
  /** Has the same subjects. */
  readonly engine: PolicyBuilder["engine"];
  /** `address`: 16 bytes. */
  identityAt(address: Uint8Array): IdentityNumber;
  /** Those that are in the view, by address (`bytesKey`); of several clusters' the first one's. */
  readonly endpoints: ReadonlyMap<string, PodEndpoint>;
}

/** The kernel's map has a bound; here no policy is refused for want of room. */
const PREFIX_MAP = { name: "prefixes", maxEntries: Number.MAX_SAFE_INTEGER };
const NOTHING_IN_MAPS = { inUse: [], prefixes: new Map<string, number>() };
const RECORDS_PER_SLICE = 16;
/** Slices that policy is made of: addresses of apiservers. */
const APISERVER_SLICES = "slices/default/kubernetes/";

/** `sources`: as in `StreamSources`, the local cluster first. */
export function* openPolicyView(
  sources: readonly StreamSource[],
  { clusterId: local, cluster, node, prefixes = [], policies = true, clusters, wants, mayWant }: PolicyViewOptions,
): Slices<PolicyView> {
  const builder = createPolicyBuilder({
    ...{ clusterId: local, cluster, node },
    ...{ prefixMap: PREFIX_MAP, inMaps: NOTHING_IN_MAPS, kept: [] },
  });
  const endpoints = new Map<string, PodEndpoint>();
  builder.beginSync(local);
  builder.tellApart(prefixes);

  function take(clusterId: number, record: HashedRecord): boolean {
    try {
      builder.upsert(clusterId, record);
      return true;
    } catch {
      return false;
    }
  }

  for (const source of [...sources]) {
    const { index } = source;
    const id = realId(source, local);
    const identities = new Set<IdentityNumber>();
    builder.name(id, source.cluster);
    if (clusters?.has(id) !== false)
      yield* eachEndpoint(source, local, mayWant, (endpoint, record) => {
        const role = wants(endpoint);
        if (role === undefined || !take(id, record)) return;
        const { address, podUid: uid } = endpoint;
        if (!endpoints.has(bytesKey(address))) endpoints.set(bytesKey(address), endpoint);
        identities.add(endpoint.identity);
        if (role === "subject" && id === local)
          builder.pods.attach({ hostDevice: formatAddress(address), addresses: [address], uid });
      });
    yield* inSlices(identities, RECORDS_PER_SLICE, (number) => {
      const record = index.get(identityKey(number));
      if (record !== undefined) take(id, record);
    });
    yield* inSlices([...index.records(Kind.KIND_NODE)], RECORDS_PER_SLICE, (record) => take(id, record));
    if (id !== local) continue;
    yield* inSlices([...index.records(Kind.KIND_SLICE)], RECORDS_PER_SLICE, (record) => {
      if (record.key.startsWith(APISERVER_SLICES)) take(id, record);
    });
    if (policies) yield* inSlices([...index.records(Kind.KIND_POLICY)], 1, (record) => take(id, record));
  }
  for (let again = true; again; ) ({ again } = yield* builder.flush());
  const { desired, engine } = builder;
  return { desired, engine, endpoints, identityAt: (address) => identityAt(desired, address) };
}

/** Calls `take` with each endpoint of the source that can be read, and its record; `isLookedAt`: as `mayWant`. */
export function* eachEndpoint(
  source: StreamSource,
  local: ClusterId,
  isLookedAt: (value: Uint8Array) => boolean = () => true,
  take: (endpoint: PodEndpoint, record: HashedRecord) => void,
): Slices<void> {
  yield* inSlices([...source.index.records(Kind.KIND_ENDPOINT)], RECORDS_PER_SLICE, (record) => {
    const endpoint = isLookedAt(record.value) ? podEndpoint(source, local, record) : undefined;
    if (endpoint !== undefined) take(endpoint, record);
  });
}

/** Undefined for a record that cannot be read. */
export function podEndpoint(source: StreamSource, local: ClusterId, record: HashedRecord): PodEndpoint | undefined {
  const clusterId = realId(source, local);
  try {
    const { namespace, pod } = Endpoint.decode(record.value);
    return { ...readEndpoint(clusterId, record), clusterId, cluster: source.cluster, namespace, pod };
  } catch {
    return undefined;
  }
}

/** Of the cluster of a source. */
export function realId({ clusterId }: StreamSource, local: ClusterId): number {
  return clusterId === 0 ? local : clusterId;
}
