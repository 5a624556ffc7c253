/**
 * Builds what the policy maps must hold, from identities, endpoints and nodes of all clusters, and from the policies and the
 * apiservers (endpoints of the Service default/kubernetes) of the local one.
 */
import { type IdentityNumber, isIdentityOf, reservedIdentity } from "@isthmus/identity";
import { bytesKey, type ClusterId, MeshError, type Prefix, printable } from "@isthmus/model";
import type { Policy, PolicyEngine, SubjectChange } from "@isthmus/policy";
import { Kind, Node, Slice } from "@isthmus/proto";
import { type HashedRecord, identityKey, nodeKey, podCidrsOf } from "@isthmus/records";
import { inSlices, type Slices } from "@isthmus/runtime";
import { createCommits } from "./commits.js";
import type { DesiredPolicy, DesiredSubject, PolicyChanges } from "./desired-policy.js";
import type { EnforcedPolicies } from "./enforced-policies.js";
import { afterSlash, type EndpointFacts, readEndpoint, readIdentity, readPolicy } from "./parse-records.js";
import { createPolicyModel, type PolicyModelOptions } from "./policy-model.js";
import { createSubjects, type Subjects } from "./subjects.js";

export interface PolicyBuilderOptions extends PolicyModelOptions {
  /** Kubernetes name of this node. */
  readonly node: string;
  /** Name of the local cluster. */
  readonly cluster: string;
  /** POLICY records that an earlier process had in force in place of refused ones. */
  readonly kept: readonly HashedRecord[];
}

/** What a flush changed. */
export interface PolicyFlush extends PolicyChanges {
  readonly addresses: ReadonlySet<string>;
  readonly prefixes: ReadonlySet<string>;
  /** More changes follow that had to wait for these to be in the maps: another flush is due after their apply. */
  readonly again: boolean;
}

/** A record that is gone. */
export interface PolicyRecordName {
  /** The kind that the first segment of `key` names. */
  readonly kind: Kind;
  /** Relative to the cluster, beginning with the segment of the kind: `endpoints/10.1.0.1`. */
  readonly key: string;
}

/** Ids of clusters are real ones, not 0 for the local cluster. */
export interface PolicyBuilder {
  /** Those that it reads. */
  readonly kinds: readonly Kind[];
  /** Throws for a record that cannot be read, and changes nothing then. */
  upsert(clusterId: number, record: HashedRecord): void;
  /** The record may be unknown here: `upsert` may have thrown for it. */
  remove(clusterId: number, record: PolicyRecordName): void;
  /** The cluster is in sync for the first time: `upsert` gets all its records until the next flush. */
  beginSync(clusterId: number): undefined;
  /** The operator removed the cluster: its records go without a deletion of each. */
  removeCluster(clusterId: number): Slices<void>;
  /** As of the last flush. */
  readonly desired: DesiredPolicy;
  /** Pods of this node; may be changed at any time. */
  readonly pods: Pick<Subjects, "attach" | "detach" | "attached">;
  /** Replaces the addresses of this node's devices, which are its own beside those of its record; may be called at any time. */
  setHostAddresses(addresses: readonly Uint8Array[]): void;
  /** Tells prefixes apart, from the next flush on and for good, as if a policy named them. */
  tellApart(prefixes: readonly Prefix[]): void;
  /** Which policies are in force, and by the keys of their records those that cannot be enforced. */
  readonly policies: Pick<EnforcedPolicies, "errors" | "inForce"> & {
    /** Records that are in force in place of refused ones, for `kept` of the next process. */
    replaced(): readonly HashedRecord[];
  };
  /** Explains what is in force; only `flush` changes it. */
  readonly engine: Pick<PolicyEngine, "identityOf" | "rulesOf" | "policiesOf">;
  /** Sets the name of a cluster, as the servers send it: its identities have it as a label. */
  name(clusterId: number, cluster: string): void;
  /** Resolves what was taken since the last call. */
  flush(): Slices<PolicyFlush>;
}

const RECORDS_PER_SLICE = 64;
/** In the place of a record's key. */
const DEVICES = "devices";
const APISERVER_SLICES = "slices/default/kubernetes/";

/** What of an endpoint's record must be known when it goes. */
type KeptEndpoint = Pick<EndpointFacts, "identity" | "ports"> & { readonly address: string };

/** Nothing is in force before the first record. */
export function createPolicyBuilder(options: PolicyBuilderOptions): PolicyBuilder {
  const { clusterId: localCluster, node: self, cluster } = options;
  const model = createPolicyModel(options);
  const { claims } = model.addresses;
  const pods = createSubjects(self, model.engine);
  const names = new Map<number, string>([[localCluster, cluster]]);
  /** By cluster, by key. */
  const endpoints = new Map<number, Map<string, KeptEndpoint>>();
  /** Addresses that have an identity, by the record of some cluster. */
  const byIdentity = new Map<IdentityNumber, Set<string>>();
  /** Addresses of nodes by cluster and key. */
  const nodes = new Map<number, Map<string, readonly string[]>>();
  const apiservers = new Map<string, readonly string[]>();
  const subjects = new Map<string, DesiredSubject>();
  /** Of devices; taken up by the next flush. */
  let hostAddresses: ReadonlySet<string> = new Set();
  let claimedHostAddresses: ReadonlySet<string> = new Set();
  /** What each policy was read from. */
  const records = new WeakMap<Policy, HashedRecord>();
  /** Whether the maps may have the policies of the local cluster. */
  let phase: "empty" | "synced" | "flushed" = "empty";

  function setIdentity(clusterId: number, record: HashedRecord): void {
    const identity = readIdentity(clusterId, record, names.get(clusterId));
    model.identities.set(identity);
    lookAtAddresses(identity.number);
  }

  function deleteIdentity(clusterId: number, key: string): void {
    const number = Number(afterSlash(key)) as IdentityNumber;
    // A record with another key, or of another cluster's number, was refused.
    if (!isIdentityOf(number, clusterId as ClusterId) || identityKey(number) !== key) return;
    model.identities.delete(number);
    lookAtAddresses(number);
  }

  function lookAtAddresses(number: IdentityNumber): void {
    for (const address of byIdentity.get(number) ?? []) model.addresses.look(address);
  }

  function setEndpoint(clusterId: number, record: HashedRecord): void {
    const facts = readEndpoint(clusterId, record);
    const address = bytesKey(facts.address);
    deleteEndpoint(clusterId, record.key);
    const { identity, ports } = facts;
    const kept = endpoints.get(clusterId) ?? new Map<string, KeptEndpoint>();
    endpoints.set(clusterId, kept.set(record.key, { address, identity, ports }));
    claims.set(address, { cluster: clusterId, record: record.key, identity });
    byIdentity.set(identity, (byIdentity.get(identity) ?? new Set()).add(address));
    if (model.ports.count(identity, ports, 1)) model.touchIdentity(identity);
    model.addresses.look(address);
    if (clusterId === localCluster) pods.setEndpoint(address, facts);
  }

  function deleteEndpoint(clusterId: number, record: string): void {
    const kept = endpoints.get(clusterId)?.get(record);
    if (kept === undefined) return;
    const { address, identity, ports } = kept;
    endpoints.get(clusterId)?.delete(record);
    claims.delete(address, { cluster: clusterId, record });
    const addresses = byIdentity.get(identity);
    addresses?.delete(address);
    if (addresses?.size === 0) byIdentity.delete(identity);
    if (model.ports.count(identity, ports, -1)) model.touchIdentity(identity);
    model.addresses.look(address);
    if (clusterId === localCluster) pods.setEndpoint(address, undefined);
  }

  function setNode(clusterId: number, { key, value }: HashedRecord): void {
    const record = Node.decode(value);
    deleteNodeAddresses(clusterId, key);
    const isSelf = clusterId === localCluster && key === nodeKey(self);
    const own = [...record.addresses, record.tunnel].filter(({ length }) => length === 16).map(bytesKey);
    const health = record.health.length === 16 ? [bytesKey(record.health)] : [];
    for (const address of own)
      claims.set(address, {
        cluster: clusterId,
        record: key,
        identity: reservedIdentity(isSelf ? "host" : "remote-node"),
      });
    for (const address of health)
      claims.set(address, { cluster: clusterId, record: healthClaim(key), identity: reservedIdentity("health") });
    const addresses = [...own, ...health];
    for (const address of addresses) model.addresses.look(address);
    nodes.set(clusterId, (nodes.get(clusterId) ?? new Map<string, readonly string[]>()).set(key, addresses));
    model.ranges.setNode(clusterId, afterSlash(key), podCidrsOf(record));
  }

  function deleteNode(clusterId: number, key: string): void {
    deleteNodeAddresses(clusterId, key);
    nodes.get(clusterId)?.delete(key);
    model.ranges.setNode(clusterId, afterSlash(key), []);
  }

  function deleteNodeAddresses(clusterId: number, key: string): void {
    for (const address of nodes.get(clusterId)?.get(key) ?? []) {
      claims.delete(address, { cluster: clusterId, record: key });
      claims.delete(address, { cluster: clusterId, record: healthClaim(key) });
      model.addresses.look(address);
    }
  }

  function claimHostAddresses(): void {
    const [before, now] = [claimedHostAddresses, hostAddresses];
    if (before === now) return;
    claimedHostAddresses = now;
    const claim = { cluster: localCluster, record: DEVICES };
    for (const address of before) if (!now.has(address)) claims.delete(address, claim);
    for (const address of now) claims.set(address, { ...claim, identity: reservedIdentity("host") });
    for (const address of [...before, ...now]) model.addresses.look(address);
  }

  function setApiservers(clusterId: number, key: string, value: Uint8Array | undefined): void {
    if (clusterId !== localCluster || !key.startsWith(APISERVER_SLICES)) return;
    if (value === undefined) apiservers.delete(key);
    else {
      const { backends } = Slice.decode(value);
      apiservers.set(
        key,
        backends.flatMap(({ address }) => (address.length === 16 ? [bytesKey(address)] : [])),
      );
    }
    model.addresses.setApiservers(new Set([...apiservers.values()].flat()));
  }

  function policyOf(record: HashedRecord): Policy {
    const policy = readPolicy(record, cluster);
    records.set(policy, record);
    return policy;
  }

  function setPolicy(clusterId: number, record: HashedRecord): void {
    if (clusterId !== localCluster) return;
    try {
      model.policies.set(record.key, policyOf(record));
    } catch (thrown) {
      model.policies.refuse(record.key, MeshError.from(thrown, `Cannot read record "${printable(record.key)}"`));
      throw thrown;
    }
  }

  /** Takes the subjects that a commit changed; returns them, and those whose identity or mode changed, with whether less is allowed. */
  function takeSubjects(
    changed: ReadonlyMap<string, SubjectChange>,
    others: ReadonlySet<string>,
  ): PolicyChanges["subjects"] {
    const all = new Map<string, { readonly tightens: boolean }>();
    for (const address of new Set([...others, ...changed.keys()])) {
      const set = model.engine.setOf(address);
      const subject = pods.subject(address);
      if (set === undefined || subject === undefined) {
        // It never was a subject.
        if (!subjects.delete(address)) continue;
      } else subjects.set(address, { ...subject, set });
      all.set(address, { tightens: changed.get(address)?.tightens ?? false });
    }
    return all;
  }

  for (const record of options.kept) {
    try {
      model.policies.keep(record.key, policyOf(record));
    } catch {
      // An agent of another version kept it: nothing that this one can read was in force.
    }
  }

  return {
    kinds: [Kind.KIND_IDENTITY, Kind.KIND_NODE, Kind.KIND_ENDPOINT, Kind.KIND_SLICE, Kind.KIND_POLICY],
    desired: { subjects, addresses: model.addresses.identities, prefixes: model.prefixes },
    pods,
    tellApart: model.policies.tellApart,
    policies: {
      errors: model.policies.errors,
      get inForce() {
        return model.policies.inForce;
      },
      replaced: () => model.policies.replaced().flatMap((policy) => records.get(policy) ?? []),
    },
    engine: model.engine,
    name(clusterId, name) {
      if (name !== "" && !names.has(clusterId)) names.set(clusterId, name);
    },
    upsert(clusterId, record) {
      switch (record.kind) {
        case Kind.KIND_IDENTITY:
          return setIdentity(clusterId, record);
        case Kind.KIND_NODE:
          return setNode(clusterId, record);
        case Kind.KIND_ENDPOINT:
          return setEndpoint(clusterId, record);
        case Kind.KIND_SLICE:
          return setApiservers(clusterId, record.key, record.value);
        default:
          return setPolicy(clusterId, record);
      }
    },
    remove(clusterId, { kind, key }) {
      switch (kind) {
        case Kind.KIND_IDENTITY:
          return deleteIdentity(clusterId, key);
        case Kind.KIND_NODE:
          return deleteNode(clusterId, key);
        case Kind.KIND_ENDPOINT:
          return deleteEndpoint(clusterId, key);
        case Kind.KIND_SLICE:
          return setApiservers(clusterId, key, undefined);
        default:
          if (clusterId === localCluster) model.policies.delete(key);
      }
    },
    beginSync(clusterId) {
      if (clusterId === localCluster && phase === "empty") phase = "synced";
      return undefined;
    },
    *removeCluster(clusterId) {
      const keysOf = (records: ReadonlyMap<number, ReadonlyMap<string, unknown>>) => [
        ...(records.get(clusterId)?.keys() ?? []),
      ];
      yield* inSlices(keysOf(endpoints), RECORDS_PER_SLICE, (key) => deleteEndpoint(clusterId, key));
      yield* inSlices(keysOf(nodes), RECORDS_PER_SLICE, (key) => deleteNode(clusterId, key));
      yield* inSlices([...model.identities.of(clusterId)], RECORDS_PER_SLICE, (number) =>
        deleteIdentity(clusterId, identityKey(number)),
      );
      endpoints.delete(clusterId);
      nodes.delete(clusterId);
      names.delete(clusterId);
    },
    setHostAddresses(addresses) {
      hostAddresses = new Set(addresses.map(bytesKey));
    },
    *flush() {
      claimHostAddresses();
      const commits = createCommits(model.engine);
      const { addresses, prefixes, again } = yield* model.settle(phase !== "flushed", commits.commit);
      if (phase === "synced") {
        phase = "flushed";
        model.policies.endKeeping();
      }
      const moved = pods.settle();
      commits.commit();
      return { subjects: takeSubjects(commits.subjects, moved), rows: commits.rows, addresses, prefixes, again };
    },
  };
}

/** A node may name one address as its own and as that of its health. */
function healthClaim(key: string): string {
  return `${key} health`;
}
