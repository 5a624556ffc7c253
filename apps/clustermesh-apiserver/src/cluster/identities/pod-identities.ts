/**
 * Joins pods, namespaces and MeshIdentity objects into IDENTITY and ENDPOINT records (pure; work proportional to the change).
 *
 *   pods, namespaces ──► label set of each pod ──┐
 *   MeshIdentity objects ──► number of each set ─┴─► ENDPOINT record of each address, IDENTITY record of each object
 *
 * A pod whose labels changed keeps its number until the new set has one, so that its address is never without an identity. An
 * address has a record only if its identity has one; one address is one pod's (address-owners.ts).
 */
import type { IdentityNumber, LabelSetState } from "@isthmus/identity";
import type { ReportedEvent } from "@isthmus/kube";
import { type Address, bytesKey, type Prefix } from "@isthmus/model";
import {
  type ClusterAuditMode,
  isAudited,
  type NamespaceAuditMode,
  type PodAuditMode,
  parseNamespaceAuditMode,
  parsePodAuditMode,
} from "@isthmus/policy";
import { BOUNDS, type HashedRecord, outOfBounds } from "@isthmus/records";
import type { FeedChanges } from "../feed/feed.js";
import { createRecordDiff } from "../feed/record-diff.js";
import { createAddressOwners } from "./address-owners.js";
import type { IdentityFacts } from "./identity-facts.js";
import {
  auditNotAllowed,
  identityNotUsed,
  invalidGlobal,
  invalidNamespaceMode,
  invalidPodMode,
  tooLargeToExport,
  tooManyLabels,
} from "./identity-notes.js";
import { createIdentityObjects, type IdentityObjectsOptions, type LocalIdentity } from "./identity-objects.js";
import { endpointRecord, identityRecord, isExportable } from "./identity-records.js";
import { createLabelSets, type LabelSet } from "./label-sets.js";
import type { NamespaceFacts } from "./namespace-facts.js";
import type { PodFacts } from "./pod-facts.js";

export interface PodIdentities {
  /** `pod`: namespace/name. `facts` undefined: it has no identity, or is gone. */
  setPod(pod: string, facts: PodFacts | undefined): void;
  /** The facts of a pod that has an identity of its own. */
  pod(pod: string): PodFacts | undefined;
  /** True when this pod's record has the address. */
  owns(pod: string, address: Address): boolean;
  /** New or changed. */
  setNamespace(facts: NamespaceFacts): void;
  /** Its pods keep the number that they have. */
  deleteNamespace(name: string): void;
  /** New or changed. */
  setIdentity(facts: IdentityFacts): void;
  /** The object is gone. */
  deleteIdentity(facts: IdentityFacts): void;
  /** Other clusters refuse addresses outside. */
  setPodCidrs(podCidrs: readonly Prefix[]): void;
  /** For pods and namespaces that say nothing of it; "false" at first. */
  setAuditMode(mode: ClusterAuditMode): void;
  /** What is new since the last flush. */
  flush(): PodIdentitiesFlush;
  /** What is known of a label set, by its `labelSetKey`. */
  labelSet(key: string): KnownLabelSet;
  /** Keys of the label sets that pods or objects have; one may come twice. */
  labelSets(): Iterable<string>;
  /** A label set that has more labels than a record holds, with one of its pods; undefined: there is none. */
  refused(): { readonly pod: string; readonly labels: number } | undefined;
  /** Pods in policy audit mode that have a record; goes through all pods. */
  auditedPods(): number;
  /** The highest number of the objects; undefined: there is none. */
  highest(): IdentityNumber | undefined;
}

export interface KnownLabelSet extends LabelSetState {
  /** With the versions that were read last. */
  readonly identities: readonly LocalIdentity[];
}

export interface PodIdentitiesFlush extends FeedChanges {
  /** Keys of label sets of which pods or objects changed. */
  readonly sets: readonly string[];
  /** Pods that were added, changed or deleted. */
  readonly pods: readonly string[];
}

interface KnownPod {
  readonly facts: PodFacts;
  /** That of its records. */
  number: IdentityNumber | undefined;
  /** Of its annotation, the last one that was understood. */
  readonly auditMode: PodAuditMode | undefined;
}

/** What its annotations say, the last values that were understood. */
interface NamespaceState {
  readonly isGlobal: boolean;
  readonly auditMode: NamespaceAuditMode | undefined;
}

/** `podCidrs`: ranges of this cluster's pods; undefined: not known yet, and nothing is published then. */
export function createPodIdentities(
  options: IdentityObjectsOptions,
  initial: readonly Prefix[] | undefined,
): PodIdentities {
  const sets = createLabelSets(options.cluster);
  const owners = createAddressOwners();
  const identities = createIdentityObjects(options);
  const pods = new Map<string, KnownPod>();
  /** Pods whose records have the number. */
  const users = new Map<IdentityNumber, Set<string>>();
  const namespaces = new Map<string, NamespaceState>();
  const identitiesOf = new Map<string, Set<IdentityNumber>>();
  const local = createRecordDiff();
  const exported = createRecordDiff();
  const dirty = { pods: new Set<string>(), addresses: new Map<string, Address>(), sets: new Set<string>() };
  const dirtyIdentities = new Set<IdentityNumber>();
  let notes: ReportedEvent[] = [];
  let podCidrs = initial;
  let clusterMode: ClusterAuditMode = "false";

  function setPod(pod: string, facts: PodFacts | undefined): void {
    const before = pods.get(pod);
    for (const key of sets.setPod(pod, facts)) dirty.sets.add(key);
    for (const address of owners.setPod(pod, facts)) dirty.addresses.set(bytesKey(address), address);
    if (facts === undefined) {
      setNumber(pod, before, undefined);
      pods.delete(pod);
    } else {
      // Another pod of the name: the number of the one before is not its own.
      const same = before?.facts.uid === facts.uid ? before : undefined;
      if (same?.number === undefined) setNumber(pod, before, undefined);
      pods.set(pod, { facts, number: same?.number, auditMode: podMode(facts, same) });
    }
    dirty.pods.add(pod);
  }

  function podMode(facts: PodFacts, before: KnownPod | undefined): PodAuditMode | undefined {
    if (facts.auditMode === undefined) return undefined;
    const mode = parsePodAuditMode(facts.auditMode);
    if (mode === undefined) notes.push(invalidPodMode(facts));
    return mode ?? before?.auditMode;
  }

  /** Policies are not enforced for the pod. */
  function isAuditedPod({ facts, auditMode }: KnownPod): boolean {
    const namespace = namespaces.get(facts.namespace)?.auditMode;
    return isAudited({ cluster: clusterMode, namespace, pod: auditMode });
  }

  function setNumber(pod: string, known: KnownPod | undefined, number: IdentityNumber | undefined): void {
    if (known === undefined || known.number === number) return;
    for (const [each, isNow] of [
      [known.number, false],
      [number, true],
    ] as const) {
      if (each === undefined) continue;
      const of = users.get(each) ?? new Set();
      if (isNow) users.set(each, of.add(pod));
      else of.delete(pod);
      if (of.size === 0) users.delete(each);
      const labels = identities.get(each)?.labels;
      if (labels !== undefined) dirty.sets.add(labels);
    }
    known.number = number;
  }

  /** The number of its labels; without one that which it has, for as long as its object exists. */
  function numberFor({ number }: KnownPod, set: LabelSet | undefined): IdentityNumber | undefined {
    const now = set?.key === undefined ? undefined : identities.numberOf(set.key);
    return now ?? (number !== undefined && identities.get(number) !== undefined ? number : undefined);
  }

  function flushPod(pod: string): void {
    const known = pods.get(pod);
    if (known === undefined) return;
    const set = sets.of(pod);
    if (set !== undefined && set.size > BOUNDS.labels) notes.push(tooManyLabels(known.facts, set.size));
    const number = numberFor(known, set);
    if (number === known.number) return;
    setNumber(pod, known, number);
    for (const address of known.facts.addresses) dirty.addresses.set(bytesKey(address), address);
  }

  function flushAddress(key: string, address: Address): void {
    const facts = owners.owner(address);
    const pod = facts && pods.get(`${facts.namespace}/${facts.name}`);
    if (pod?.number === undefined) {
      local.set(`e${key}`, []);
      exported.set(`e${key}`, []);
      return;
    }
    const audited = isAuditedPod(pod);
    if (!audited && pod.auditMode === "true") notes.push(auditNotAllowed(pod.facts, clusterMode === "never"));
    const record = endpointRecord(address, pod.facts, pod.number, false);
    local.set(`e${key}`, [audited ? endpointRecord(address, pod.facts, pod.number, true) : record]);
    const isExported = isGlobal(pod.facts.namespace) && isExportable(address, podCidrs);
    exported.set(`e${key}`, isExported ? exportable(record, pod.facts) : []);
  }

  /** Readers refuse what is out of bounds, so it is left out and reported. */
  function exportable(record: HashedRecord, facts: PodFacts): readonly HashedRecord[] {
    const beyond = outOfBounds(record);
    if (beyond === undefined) return [record];
    notes.push(tooLargeToExport(facts, beyond));
    return [];
  }

  function flushIdentity(number: IdentityNumber): void {
    const known = identities.get(number);
    const records = known?.namespace === undefined ? [] : [identityRecord(number, known.labels)];
    local.set(`i${number}`, records);
    exported.set(`i${number}`, isGlobal(known?.namespace) ? records : []);
  }

  function isGlobal(namespace: string | undefined): boolean {
    return namespace !== undefined && namespaces.get(namespace)?.isGlobal === true;
  }

  /** The pods of the labels may have another number now, and those that have this one. */
  function identityChanged(identity: LocalIdentity, before: IdentityNumber | undefined): void {
    const { number, labels, namespace } = identity;
    dirty.sets.add(labels);
    dirtyIdentities.add(number);
    if (namespace !== undefined) index(namespace, number);
    if (identities.numberOf(labels) !== before) for (const pod of sets.get(labels)?.pods ?? []) dirty.pods.add(pod);
    if (identities.get(number)?.labels !== labels) for (const pod of users.get(number) ?? []) dirty.pods.add(pod);
  }

  function index(namespace: string, number: IdentityNumber): void {
    const of = identitiesOf.get(namespace) ?? new Set();
    if (identities.get(number)?.namespace === namespace) identitiesOf.set(namespace, of.add(number));
    else if (of.delete(number) && of.size === 0) identitiesOf.delete(namespace);
  }

  /** `now` undefined: the namespace is gone. */
  function setState(namespace: string, now: NamespaceState | undefined): void {
    const before = namespaces.get(namespace);
    if (before?.isGlobal === now?.isGlobal && before?.auditMode === now?.auditMode) return;
    if (now === undefined) namespaces.delete(namespace);
    else namespaces.set(namespace, now);
    for (const number of identitiesOf.get(namespace) ?? []) dirtyIdentities.add(number);
    for (const set of sets.all(namespace)) for (const pod of set.pods) dirtyAddressesOf(pod);
  }

  function dirtyAddressesOf(pod: string): void {
    for (const address of pods.get(pod)?.facts.addresses ?? []) dirty.addresses.set(bytesKey(address), address);
  }

  function relabel(namespace: string, labels: string | undefined): void {
    const { sets: changed, left } = sets.setNamespace(namespace, labels);
    for (const key of [...left, ...changed.flatMap(({ key }) => key ?? [])]) dirty.sets.add(key);
    for (const set of changed) for (const pod of set.pods) dirty.pods.add(pod);
  }

  return {
    setPod,
    pod: (pod) => pods.get(pod)?.facts,
    owns: (pod, address) => owners.owner(address) === pods.get(pod)?.facts,
    setNamespace(facts) {
      const { name, global, auditMode } = facts;
      const before = namespaces.get(name);
      const isGlobalValid = global === undefined || global === "true" || global === "false";
      const mode = auditMode === undefined ? undefined : parseNamespaceAuditMode(auditMode);
      const isModeValid = auditMode === undefined || mode !== undefined;
      if (!isGlobalValid) notes.push(invalidGlobal(facts));
      if (!isModeValid) notes.push(invalidNamespaceMode(facts));
      setState(name, {
        isGlobal: isGlobalValid ? global !== "false" : (before?.isGlobal ?? true),
        auditMode: isModeValid ? mode : before?.auditMode,
      });
      relabel(name, facts.labels);
    },
    deleteNamespace(name) {
      setState(name, undefined);
      relabel(name, undefined);
    },
    setIdentity(facts) {
      const before = identities.numberOf(facts.labels);
      const old = facts.number === undefined ? undefined : identities.get(facts.number);
      const oldNumber = old && identities.numberOf(old.labels);
      const now = identities.set(facts);
      if (old !== undefined && old.labels !== now?.labels) identityChanged(old, oldNumber);
      if (now !== undefined) identityChanged(now, before);
      if (now?.namespace === undefined) notes.push(identityNotUsed(facts, options));
    },
    deleteIdentity(facts) {
      const before = identities.numberOf(facts.labels);
      const old = identities.delete(facts);
      if (old !== undefined) identityChanged(old, before);
    },
    setPodCidrs(next) {
      podCidrs = next;
      for (const pod of pods.keys()) dirtyAddressesOf(pod);
    },
    setAuditMode(mode) {
      clusterMode = mode;
      for (const pod of pods.keys()) dirtyAddressesOf(pod);
    },
    flush() {
      const changedPods = [...dirty.pods];
      for (const number of dirtyIdentities) flushIdentity(number);
      for (const pod of dirty.pods) flushPod(pod);
      for (const [key, address] of dirty.addresses) flushAddress(key, address);
      const flushed = {
        local: local.take(),
        exported: exported.take(),
        notes,
        sets: [...dirty.sets],
        pods: changedPods,
      };
      for (const each of [dirty.pods, dirty.addresses, dirty.sets, dirtyIdentities]) each.clear();
      notes = [];
      return flushed;
    },
    labelSet(key) {
      const of = identities.withLabels(key);
      const isWanted = sets.get(key) !== undefined || of.some(({ number }) => users.has(number));
      return { isWanted, identities: of };
    },
    *labelSets() {
      for (const { key } of sets.all()) if (key !== undefined) yield key;
      for (const { labels } of identities.all()) yield labels;
    },
    refused() {
      for (const { size, pods: of } of sets.all()) {
        const [pod] = of;
        if (size > BOUNDS.labels && pod !== undefined) return { pod, labels: size };
      }
      return undefined;
    },
    auditedPods() {
      let count = 0;
      for (const pod of pods.values())
        if (pod.number !== undefined && pod.facts.addresses.length > 0 && isAuditedPod(pod)) count++;
      return count;
    },
    highest: identities.highest,
  };
}
