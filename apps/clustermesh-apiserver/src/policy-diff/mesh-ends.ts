/**
 * The ends of flows in the whole mesh, for a comparison of policies: the identities that something has, with their pods, and the
 * pods of the local cluster as subjects.
 *
 * In: this server's records, as agents get them. Prefixes are told apart as on a node, those that the policies before and after the
 * change name, so one set of identities serves both.
 */
import {
  type IdentityNumber,
  identityCluster,
  NODE_LOCAL_CLUSTER,
  reservedIdentity,
  unmanagedIdentity,
} from "@isthmus/identity";
import { bytesKey, type ClusterId, formatPrefix, type Prefix } from "@isthmus/model";
import type { Identity, Subject } from "@isthmus/policy";
import { Kind, Node } from "@isthmus/proto";
import { inSlices, type Slices } from "@isthmus/runtime";
import type { StreamSource } from "../ports/stream-source.js";
import {
  type LocalClusterName,
  openPolicyView,
  type PodEndpoint,
  type PolicyView,
  realId,
} from "../serve/admin/policy-view.js";

/** An identity with what has it. */
export interface KnownEnd {
  /** Its labels, and the prefix of its addresses. */
  readonly identity: Identity;
  /** Of its cluster, or reserved. 0: each node gives one of its own. */
  readonly number: number;
  /** `cluster/namespace/pod` */
  readonly pods: ReadonlySet<string>;
  /** Of subjects: the pods are in audit mode. */
  readonly audited?: boolean;
  /** Name of the cluster whose unmanaged pods have it. */
  readonly unmanagedOf?: string;
}

export interface MeshEnds {
  /** Those of `peers` and of `subjects`. */
  readonly identities: ReadonlyMap<IdentityNumber, Identity>;
  /** By the number that they have in `identities`. */
  readonly peers: ReadonlyMap<IdentityNumber, KnownEnd>;
  /** Pods of the local cluster with the same identity and ports, in audit mode or not, are one subject. */
  readonly subjects: ReadonlyMap<string, Subject>;
  /** By the key in `subjects`. */
  readonly subjectEnds: ReadonlyMap<string, KnownEnd>;
}

const ITEMS_PER_SLICE = 64;
const [HOST, WORLD] = [reservedIdentity("host"), reservedIdentity("world")];

/** Names of pods by what they have in common. */
type Pods<K> = Map<K, Set<string>>;

/** `sources`: the local cluster first. */
export function* readMeshEnds(
  sources: readonly StreamSource[],
  local: LocalClusterName,
  prefixes: readonly Prefix[],
): Slices<MeshEnds> {
  const wants = () => "peer" as const;
  const view = yield* openPolicyView(sources, { ...local, node: "", wants, prefixes, policies: false });
  const host = yield* hostIdentity(view, sources);
  const identityOf = (number: IdentityNumber) => (number === HOST ? host : view.engine.identityOf(number));
  const [pods, subjectPods]: [Pods<IdentityNumber>, Pods<string>] = [new Map(), new Map()];
  /** Numbers of this view that stand for another number and a prefix. */
  const bases = new Map<IdentityNumber, IdentityNumber>();
  const subjects = new Map<string, PodEndpoint>();
  yield* inSlices(view.endpoints, ITEMS_PER_SLICE, ([address, endpoint]) => {
    const number = view.desired.addresses.get(address);
    if (number === undefined) return;
    addPod(pods, number, endpoint);
    bases.set(number, endpoint.identity);
    if (endpoint.clusterId !== local.clusterId) return;
    const id = subjectId(endpoint);
    subjects.set(id, endpoint);
    addPod(subjectPods, id, endpoint);
  });
  const identities = new Map<IdentityNumber, Identity>();
  const peers = new Map<IdentityNumber, KnownEnd>();
  const unmanaged = unmanagedNames(sources, local.clusterId);
  yield* inSlices(numbersOf(view), ITEMS_PER_SLICE, (number) => {
    // Unmanaged pods of other clusters have no label.
    const identity = identityOf(number) ?? { labels: new Map() };
    identities.set(number, identity);
    const isNodeLocal = identityCluster(number) === NODE_LOCAL_CLUSTER;
    const cluster = unmanaged.get(number);
    peers.set(number, {
      identity,
      number: bases.get(number) ?? (isNodeLocal ? 0 : number),
      pods: pods.get(number) ?? new Set(),
      ...(cluster === undefined ? {} : { unmanagedOf: cluster }),
    });
  });
  const subjectEnds = new Map<string, KnownEnd>();
  yield* inSlices(subjects, ITEMS_PER_SLICE, ([id, { identity: number, audited }]) => {
    const identity = identityOf(number);
    if (identity === undefined) return;
    identities.set(number, identity);
    const pods = subjectPods.get(id) ?? new Set<string>();
    subjectEnds.set(id, { identity: { labels: identity.labels }, number, pods, audited });
  });
  return { identities, peers, subjects, subjectEnds };
}

/** Those that an address or a prefix has, and those that are always there. */
function numbersOf({ desired: { addresses, prefixes } }: PolicyView): ReadonlySet<IdentityNumber> {
  return new Set([HOST, WORLD, ...addresses.values(), ...[...prefixes.values()].map(({ identity }) => identity)]);
}

function addPod<K>(pods: Pods<K>, key: K, { cluster, namespace, pod }: PodEndpoint): void {
  const its = pods.get(key) ?? new Set<string>();
  pods.set(key, its.add(`${cluster}/${namespace}/${pod}`));
}

function subjectId({ identity, ports, audited }: PodEndpoint): string {
  const texts = ports.map(({ name, protocol, port }) => `${name}/${protocol}=${port}`);
  return `${identity} ${audited} ${texts.sort().join(",")}`;
}

function unmanagedNames(sources: readonly StreamSource[], local: ClusterId): ReadonlyMap<IdentityNumber, string> {
  return new Map(
    sources.map((source) => [unmanagedIdentity(realId(source, local) as ClusterId), source.cluster] as const),
  );
}

/** None of a record that cannot be read. */
function addressesOf(node: Uint8Array): readonly Uint8Array[] {
  try {
    return Node.decode(node).addresses;
  } catch {
    return [];
  }
}

/** Stands for the node of each pod. Where nodes have addresses in different prefixes it is in none, so no block means it. */
function* hostIdentity({ desired, engine }: PolicyView, sources: readonly StreamSource[]): Slices<Identity> {
  const found = new Map<string, Prefix | undefined>();
  const local = sources.find(({ clusterId }) => clusterId === 0);
  yield* inSlices([...(local?.index.records(Kind.KIND_NODE) ?? [])], ITEMS_PER_SLICE, ({ value }) => {
    for (const address of addressesOf(value)) {
      const number = desired.addresses.get(bytesKey(address));
      const prefix = number === undefined ? undefined : engine.identityOf(number)?.prefix;
      found.set(prefix === undefined ? "" : formatPrefix(prefix), prefix);
    }
  });
  const [prefix] = found.size === 1 ? found.values() : [];
  const labels = new Map([["reserved:host", ""]]);
  return prefix === undefined ? { labels } : { labels, prefix };
}
