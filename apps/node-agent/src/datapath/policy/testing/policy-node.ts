/**
 * For tests: a node with pods, identities and policies, whose agent writes the maps of an in-memory kernel and may be
 * restarted.
 */
import { EndpointRow, KnownIdentity, type PolicyPort } from "@isthmus/bpf";
import { type IdentityNumber, identityNumber, LOCAL_BITS } from "@isthmus/identity";
import { bytesKey, type ClusterId, keyBytes, parseAddress, parsePrefix } from "@isthmus/model";
import {
  createPolicyEngine,
  type Identity,
  type ParsedPolicy,
  type Policy,
  type PolicySet,
  parseCiliumNetworkPolicy,
  parseNetworkPolicy,
  podIdentityLabels,
  type RowChanges,
} from "@isthmus/policy";
import type { ArrayPort } from "@isthmus/reconcile";
import { inTurns } from "@isthmus/runtime";
import { type Apply, createApply } from "../../../apply/apply.js";
import type { DesiredPrefix, DesiredSubject } from "@isthmus/node-policy";
import type { PodPolicies } from "../modules.js";
import { createPolicyParts, type PolicyParts } from "../policy-parts.js";
import type { PolicyPartChanges } from "../policy-sets-part.js";
import { openRevisions, type Revisions } from "../revisions.js";

export const LOCAL = 1;
export const NUMBERS = Array.from({ length: 8 }, (_, i) => numberOf(i));

/** The i-th identity of the local cluster. */
export function numberOf(i: number): IdentityNumber {
  return identityNumber(LOCAL as ClusterId, 256 + i);
}

/** Labels of the i-th identity: `app` is one of three, `i` its own. */
export function labelsOf(i: number): Identity {
  const podLabels = new Map([
    ["app", "abc"[i % 3] ?? "a"],
    ["i", String(i)],
  ]);
  const facts = {
    cluster: "east",
    namespace: "shop",
    namespaceLabels: new Map(),
    serviceAccount: "default",
    podLabels,
  };
  return { labels: podIdentityLabels(facts) };
}

export function networkPolicy(name: string, spec: object, namespace = "shop"): Policy {
  const object = { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { namespace, name }, spec };
  return accepted(parseNetworkPolicy(object, { cluster: "east" }));
}

export function ciliumPolicy(name: string, spec: object): Policy {
  const object = {
    apiVersion: "cilium.io/v2",
    kind: "CiliumNetworkPolicy",
    metadata: { namespace: "shop", name },
    spec,
  };
  return accepted(parseCiliumNetworkPolicy(object, { cluster: "east" }));
}

function accepted(parsed: ParsedPolicy): Policy {
  if (!parsed.ok) throw new Error(parsed.findings.map(({ sentence }) => sentence).join("; "));
  return parsed.policy;
}

export function key(address: string): string {
  return bytesKey(parseAddress(address));
}

/** Rows of pods as the module that keeps mesh_endpoints writes them. */
export interface TestPods extends PodPolicies {
  add(address: string, word: bigint): void;
  remove(address: string): void;
}

/** A row for each pod in the memory of this process' array. */
export function createTestPods(endpoints: ArrayPort): TestPods {
  const rows = new Map<string, number>();
  const listeners: ((address: string) => void)[] = [];
  for (let i = 1; i < endpoints.maxEntries; i++) {
    const { id, addr } = EndpointRow.decode(endpoints.read(i));
    if (id !== 0) rows.set(bytesKey(addr), i);
  }
  const { offsets } = EndpointRow;
  const tell = (address: string): void => {
    for (const listener of listeners) listener(address);
  };
  return {
    get addresses() {
      return rows.keys();
    },
    policyOf(address) {
      const index = rows.get(address);
      if (index === undefined) return undefined;
      const { policy, identity } = EndpointRow.decode(endpoints.read(index));
      return { word: policy, identity };
    },
    setPolicy(address, word, identity) {
      const index = rows.get(address);
      if (index === undefined) return false;
      endpoints.storeWord32(index, offsets.identity, identity);
      endpoints.storeWord64(index, offsets.policy, word);
      return true;
    },
    onChange: (changed) => void listeners.push(changed),
    add(address, word) {
      const index = [...endpointIndexes(endpoints)].find((each) => ![...rows.values()].includes(each)) ?? 0;
      const empty = EndpointRow.decode(new Uint8Array(EndpointRow.size));
      const addr = keyBytes(address);
      endpoints.writeBody(index, EndpointRow.encode({ ...empty, addr, policy: word }));
      endpoints.storeWord32(index, offsets.id, index);
      rows.set(address, index);
      tell(address);
    },
    remove(address) {
      const index = rows.get(address);
      if (index === undefined) return;
      endpoints.storeWord32(index, offsets.id, 0);
      rows.delete(address);
      tell(address);
    },
  };
}

function* endpointIndexes({ maxEntries }: ArrayPort): Generator<number> {
  for (let i = 1; i < maxEntries; i++) yield i;
}

/** What an agent receives, and the next one after a restart. */
export interface PolicyInputs {
  readonly policies: Map<string, Policy>;
  /** Address (`bytesKey`) to index of its identity. */
  readonly addresses: Map<string, number>;
  /** Prefix to index of the identity, or an exact one of the local cluster's pods. */
  readonly prefixes: Map<string, number | "exact">;
  /** Addresses of pods of this node. */
  readonly pods: Set<string>;
  /** Those in audit mode. */
  readonly audited: Set<string>;
}

export function createInputs(): PolicyInputs {
  return { policies: new Map(), addresses: new Map(), prefixes: new Map(), pods: new Set(), audited: new Set() };
}

export interface PolicyAgent extends Apply<PolicyPartChanges> {
  readonly pods: TestPods;
  readonly port: PolicyPort;
  readonly parts: PolicyParts;
  readonly revisions: Revisions;
  /** The sets that inputs lead to, by address of a pod, as of the last `flush`. */
  readonly sets: ReadonlyMap<string, PolicySet>;
  /** Pods in audit mode, as of the last `flush`. */
  readonly audited: ReadonlySet<string>;
  /** Takes the inputs as they are now, as one flush of the desired state. */
  flush(): void;
  /** `flush`, then an apply; does not wait for freeing. */
  update(): Promise<void>;
  isInSync: boolean;
  /** Clusters of which all is known; the local one among them. */
  readonly known: Set<number>;
}

/** What an agent writes here: in memory, or in a kernel. */
export interface PolicyKernel {
  /** Rows of pods. */
  readonly endpoints: ArrayPort;
  readonly policy: PolicyPort;
  gracePeriod(): Promise<void>;
  /** For what an apply waits for, where a test holds the others. */
  applyGracePeriod?(): Promise<void>;
}

/** A new process on the maps of a kernel. It knows nothing of the inputs before the first `flush`. */
export async function startAgent(
  port: PolicyKernel,
  inputs: PolicyInputs,
  now: () => number = () => 0,
): Promise<PolicyAgent> {
  const engine = createPolicyEngine();
  const pods = createTestPods(port.endpoints);
  const subjects = new Map<string, DesiredSubject>();
  const addresses = new Map<string, IdentityNumber>();
  const prefixes = new Map<string, DesiredPrefix>();
  const known = new Set([LOCAL]);
  const sync = {
    isInSync: true,
    get localInSync() {
      return sync.isInSync;
    },
    mayRemove: (identity: number) => known.has(identity >>> LOCAL_BITS) || identity >>> LOCAL_BITS === 0,
  };
  const revisions = openRevisions(port.policy.sets);
  const desired = { subjects, addresses, prefixes };
  const parts = await inTurns(
    createPolicyParts(
      { port: port.policy, revisions, pods, desired, sync },
      { localCluster: LOCAL, gracePeriod: () => port.applyGracePeriod?.() ?? port.gracePeriod(), now },
    ),
  );
  const apply = createApply<PolicyPartChanges>({ parts: parts.parts, gracePeriod: () => port.gracePeriod(), now });
  const given = { identities: new Set<number>(), policies: new Map<string, Policy>() };

  function flush(): void {
    for (const [name, policy] of [...given.policies])
      if (inputs.policies.get(name)?.kind !== policy.kind) {
        engine.deletePolicy(`${policy.kind} ${policy.namespace}/${policy.name}`);
        given.policies.delete(name);
      }
    for (const [name, policy] of inputs.policies)
      if (given.policies.get(name) !== policy) {
        engine.setPolicy(policy);
        given.policies.set(name, policy);
      }
    const used = new Set([...inputs.addresses.values(), ...[...inputs.prefixes.values()].filter((i) => i !== "exact")]);
    for (const i of used) if (!given.identities.has(i)) engine.setIdentity(numberOf(i), labelsOf(i));
    for (const i of given.identities) if (!used.has(i)) engine.deleteIdentity(numberOf(i));
    given.identities = used;
    for (const address of inputs.pods) {
      const i = inputs.addresses.get(address);
      if (i === undefined) engine.deleteSubject(address);
      else engine.setSubject(address, { identity: numberOf(i) });
    }
    for (const address of subjects.keys()) if (!inputs.pods.has(address)) engine.deleteSubject(address);
    const changed = engine.commit();
    const touched = new Map<string, { readonly tightens: boolean }>();
    for (const address of new Set([...inputs.pods, ...subjects.keys()])) {
      const [before, i, set] = [subjects.get(address), inputs.addresses.get(address), engine.setOf(address)];
      const audited = inputs.audited.has(address);
      const isKnown = inputs.pods.has(address) && i !== undefined && set !== undefined;
      const now = isKnown ? { identity: numberOf(i), set, audited } : undefined;
      if (now === undefined) subjects.delete(address);
      else subjects.set(address, now);
      if (before?.set !== now?.set || before?.identity !== now?.identity || before?.audited !== now?.audited)
        touched.set(address, { tightens: changed.subjects.get(address)?.tightens ?? false });
    }
    const moved = difference(addresses, new Map([...inputs.addresses].map(([address, i]) => [address, numberOf(i)])));
    const ranges = difference(
      prefixes,
      new Map([...inputs.prefixes].map(([text, i]) => [text, prefixOf(text, i)])),
      (a, b) => a.identity === b.identity && a.exact === b.exact,
    );
    const rows: ReadonlyMap<PolicySet, RowChanges> = changed.rows;
    const keys = { addresses: new Set(moved), prefixes: new Set(ranges) };
    apply.touch({ policy: { subjects: touched, rows, ...keys } });
  }

  return {
    ...apply,
    get status() {
      return apply.status;
    },
    pods,
    port: port.policy,
    parts,
    revisions,
    known,
    get sets() {
      return new Map([...subjects].map(([address, { set }]) => [address, set]));
    },
    get audited() {
      return new Set([...subjects].filter(([, { audited }]) => audited).map(([address]) => address));
    },
    get isInSync() {
      return sync.isInSync;
    },
    set isInSync(value) {
      sync.isInSync = value;
    },
    flush,
    async update() {
      flush();
      await apply.apply();
    },
  };
}

function prefixOf(text: string, i: number | "exact"): DesiredPrefix {
  const unmanaged = ((LOCAL << LOCAL_BITS) | KnownIdentity.Unmanaged) as IdentityNumber;
  return { prefix: parsePrefix(text), identity: i === "exact" ? unmanaged : numberOf(i), exact: i === "exact" };
}

/** Makes the first as the second; returns the keys that differ. */
function difference<Value>(
  held: Map<string, Value>,
  wanted: ReadonlyMap<string, Value>,
  isEqual: (a: Value, b: Value) => boolean = (a, b) => a === b,
): readonly string[] {
  const changed: string[] = [];
  for (const one of [...held.keys()]) {
    if (wanted.has(one)) continue;
    held.delete(one);
    changed.push(one);
  }
  for (const [one, value] of wanted) {
    const before = held.get(one);
    if (before !== undefined && isEqual(before, value)) continue;
    held.set(one, value);
    changed.push(one);
  }
  return changed;
}
