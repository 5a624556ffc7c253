/**
 * Resolves policies and identities into what a node enforces for its pods.
 *
 * In: identities by number, policies, and subjects, which are pods of this node. Out: a policy set for each subject. Changes are
 * noted at once and take effect in `commit`, which does work in proportion to them. The state after it depends on what is there
 * and not on the order in which it came.
 */
import { isDeepStrictEqual } from "node:util";
import type { IdentityNumber } from "@isthmus/identity";
import type { Prefix } from "@isthmus/model";
import { type Direction, type NamedPort, type Policy, policyKey } from "../model/policy.js";
import { createCombinations, type RowChanges, type UsedCombination } from "./combinations.js";
import { type CompiledPolicy, type CompiledSpec, compilePolicy, releasePolicy } from "./compiled-policy.js";
import { createPortNames, type PortNames } from "./named-ports.js";
import { createNeededPrefixes } from "./needed-prefixes.js";
import { createPeerRegistry, type Identity, type IdentityChange, type Matcher } from "./peer-registry.js";
import { type PolicySet, setAllowsLess } from "./policy-set.js";
import { createRuleDirectory } from "./rule-directory.js";
import type { RuleName } from "./rule-name.js";

/** A pod whose policy is enforced here. */
export interface Subject {
  /** Need not be known yet. */
  readonly identity: IdentityNumber;
  /** Named ports of its containers. */
  readonly ports?: readonly NamedPort[];
}

/** What a commit changed for one subject. */
export interface SubjectChange {
  /** Undefined while its identity is not known: nothing may be opened for it. */
  readonly set: PolicySet | undefined;
  /** Something that was allowed may no longer be, so flows that were allowed must be judged again. False for a new subject. */
  readonly tightens: boolean;
}

export interface PolicyChange {
  /** By id, those that are new or have another set now; sets that only follow identities are in `rows`. */
  readonly subjects: ReadonlyMap<string, SubjectChange>;
  /** Rows that came or went in place, by set, each with its identity. */
  readonly rows: ReadonlyMap<PolicySet, RowChanges>;
  /** `prefixes` may differ. */
  readonly prefixes: boolean;
}

export interface PolicyEngine {
  /** Replaces what the number stood for. */
  setIdentity(number: IdentityNumber, identity: Identity): void;
  /** Its subjects, if there are any, have no set then. */
  deleteIdentity(number: IdentityNumber): void;
  /** Replaces the one of the same kind, namespace and name. */
  setPolicy(policy: Policy): void;
  /** `key`: as `policyKey` writes it. */
  deletePolicy(key: string): void;
  /** `id`: any text that names the pod. */
  setSubject(id: string, subject: Subject): void;
  /** Nothing happens for an unknown one. */
  deleteSubject(id: string): void;
  /** Resolves everything that was set and deleted since the last time. */
  commit(): PolicyChange;
  /** As of the last commit; undefined while the subject or its identity is not known. */
  setOf(id: string): PolicySet | undefined;
  /** By text; addresses get the identity of the longest one that contains them. */
  readonly prefixes: ReadonlyMap<string, Prefix>;
  /** What the number stands for, as of the last commit. */
  identityOf(number: IdentityNumber): Identity | undefined;
  /** The rules that a verdict's number stands for: one, nearly always. */
  rulesOf(number: number): readonly RuleName[];
  /** For who explains a denial by no rule: one for each spec that selects the subject, sorted by name. */
  policiesOf(id: string): readonly SelectingPolicy[];
}

/** A policy that selects a subject. */
export interface SelectingPolicy {
  /** As `policyKey` writes it. */
  readonly policy: string;
  /** Directions in which it denies what no rule of any policy allows. */
  readonly isolates: ReadonlySet<Direction>;
}

interface SubjectState {
  readonly identity: IdentityNumber;
  readonly ports: PortNames;
  combination: UsedCombination | undefined;
  /** As of the last commit. */
  set: PolicySet | undefined;
  /** No commit has reported it. */
  isNew: boolean;
}

/** An engine that knows nothing yet. */
export function createPolicyEngine(): PolicyEngine {
  const registry = createPeerRegistry();
  const combinations = createCombinations(registry);
  const needed = createNeededPrefixes();
  const directory = createRuleDirectory();
  const policies = new Map<string, CompiledPolicy>();
  const specsOf = new Map<Matcher, Set<CompiledSpec>>();
  const subjects = new Map<string, SubjectState>();
  const subjectsOf = new Map<IdentityNumber, Set<string>>();
  /** Since the last commit; one that is set again before the next counts as having been there all the time. */
  const deleted = new Map<string, SubjectState>();
  /** Ids of those that may belong to another combination; all, if policies changed. */
  const unsorted = new Set<string>();
  let policiesChanged = false;
  let prefixesChanged = false;
  let serial = 0;

  function addPolicy(key: string, compiled: CompiledPolicy): void {
    policies.set(key, compiled);
    directory.add(compiled);
    needed.add(compiled.policy);
    for (const spec of compiled.specs) specsOf.set(spec.subject, (specsOf.get(spec.subject) ?? new Set()).add(spec));
    policiesChanged = prefixesChanged = true;
  }

  function removePolicy(key: string, compiled: CompiledPolicy): void {
    policies.delete(key);
    directory.delete(compiled);
    needed.delete(compiled.policy);
    for (const spec of compiled.specs) {
      const specs = specsOf.get(spec.subject);
      specs?.delete(spec);
      if (specs?.size === 0) specsOf.delete(spec.subject);
    }
    releasePolicy(compiled, registry);
    policiesChanged = prefixesChanged = true;
  }

  function specsFor({ identity }: SubjectState): readonly CompiledSpec[] | undefined {
    return registry.identity(identity)?.matches.flatMap((matcher) => [...(specsOf.get(matcher) ?? [])]);
  }

  function sortSubjects(changes: ReadonlyMap<IdentityNumber, IdentityChange>): void {
    for (const number of changes.keys()) {
      const ids = subjectsOf.get(number);
      if (ids !== undefined) for (const id of ids) unsorted.add(id);
    }
    for (const id of policiesChanged ? subjects.keys() : unsorted) {
      const subject = subjects.get(id);
      if (subject === undefined) continue;
      const specs = specsFor(subject);
      const combination = specs && combinations.acquire(specs, subject.ports);
      if (subject.combination !== undefined) combinations.release(subject.combination);
      subject.combination = combination;
    }
    unsorted.clear();
    policiesChanged = false;
  }

  function changedSubjects(changes: ReadonlyMap<IdentityNumber, IdentityChange>): ReadonlyMap<string, SubjectChange> {
    const isKnown = (number: IdentityNumber): boolean => {
      const change = changes.get(number);
      return change === undefined || (change.before !== undefined && change.now !== undefined);
    };
    const compared = new Map<PolicySet, Map<PolicySet, boolean>>();
    const allowsLess = (before: PolicySet, now: PolicySet): boolean => {
      const pairs = compared.get(before) ?? new Map<PolicySet, boolean>();
      compared.set(before, pairs);
      const less = pairs.get(now) ?? setAllowsLess(before, now, isKnown);
      pairs.set(now, less);
      return less;
    };
    const changed = new Map<string, SubjectChange>();
    for (const [id, subject] of subjects) {
      const [before, set] = [subject.set, subject.combination?.set];
      if (before === set && !subject.isNew) continue;
      const tightens = before !== undefined && set !== undefined && allowsLess(before, set);
      changed.set(id, { set, tightens });
      subject.set = set;
      subject.isNew = false;
    }
    return changed;
  }

  function unlink(id: string, { identity }: SubjectState): void {
    subjects.delete(id);
    const ids = subjectsOf.get(identity);
    ids?.delete(id);
    if (ids?.size === 0) subjectsOf.delete(identity);
  }

  return {
    setIdentity: registry.setIdentity,
    deleteIdentity: registry.deleteIdentity,
    setPolicy(policy) {
      const key = policyKey(policy);
      const before = policies.get(key);
      if (before !== undefined && isDeepStrictEqual(before.policy, policy)) return;
      // The new one first, so that what both match stays registered.
      const compiled = compilePolicy(policy, registry, () => ++serial);
      if (before !== undefined) removePolicy(key, before);
      addPolicy(key, compiled);
    },
    deletePolicy(key) {
      const before = policies.get(key);
      if (before !== undefined) removePolicy(key, before);
    },
    setSubject(id, { identity, ports }) {
      const before = subjects.get(id) ?? deleted.get(id);
      const names = createPortNames(ports);
      if (before !== undefined) unlink(id, before);
      deleted.delete(id);
      const { combination, set, isNew } = before ?? { combination: undefined, set: undefined, isNew: true };
      subjects.set(id, { identity, ports: names, combination, set, isNew });
      subjectsOf.set(identity, (subjectsOf.get(identity) ?? new Set()).add(id));
      unsorted.add(id);
    },
    deleteSubject(id) {
      const before = subjects.get(id);
      if (before === undefined) return;
      unlink(id, before);
      deleted.set(id, before);
    },
    commit() {
      const changes = registry.settle();
      for (const { combination } of deleted.values()) if (combination !== undefined) combinations.release(combination);
      deleted.clear();
      sortSubjects(changes);
      const rows = combinations.update(changes);
      const change = { subjects: changedSubjects(changes), rows, prefixes: prefixesChanged };
      prefixesChanged = false;
      return change;
    },
    setOf: (id) => subjects.get(id)?.set,
    prefixes: needed.prefixes,
    identityOf: (number) => registry.identity(number)?.identity,
    rulesOf: directory.rulesOf,
    policiesOf(id) {
      const subject = subjects.get(id);
      const specs = (subject && specsFor(subject)) ?? [];
      return specs
        .map(({ policy, isolates }) => ({ policy, isolates }))
        .sort((a, b) => (a.policy < b.policy ? -1 : Number(a.policy > b.policy)));
    },
  };
}
