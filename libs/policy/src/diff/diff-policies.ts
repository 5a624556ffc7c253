/**
 * Whose verdicts a change of policies flips, before it is made.
 *
 * In: the identities, the subjects, and the policies before and after. Out: for sets of subjects and of identities at the other
 * end the ports that were allowed and would be denied, and the other way round, with what decides in both cases. Subjects that
 * the same policies select are compared once, by the rows of their policy sets, and no set is kept longer than that: the work does
 * not grow with the number of pairs.
 *
 * Verdicts are those of the subjects alone: of a flow between two of them, each end is compared for itself.
 */
import { isDeepStrictEqual } from "node:util";
import { type IdentityNumber, reservedIdentity } from "@isthmus/identity";
import { type Direction, type Policy, policyKey } from "../model/policy.js";
import { createCombination, namedPortsText } from "../resolve/combination.js";
import { type CompiledPolicy, type CompiledSpec, compilePolicy } from "../resolve/compiled-policy.js";
import { createPortNames, type PortNames } from "../resolve/named-ports.js";
import { createPeerRegistry, type Identity, type Matcher, type PeerRegistry } from "../resolve/peer-registry.js";
import type { Subject } from "../resolve/policy-engine.js";
import type { PeerRow, PolicySet } from "../resolve/policy-set.js";
import type { Outcome } from "../resolve/port-rules.js";
import { createRuleDirectory, type RuleDirectory } from "../resolve/rule-directory.js";
import { NO_RULE } from "../resolve/rule-name.js";
import type { PeerVerdict } from "../resolve/verdict.js";
import { createFlipList, type DecidedPorts, type Decision, type FlipTotals } from "./flip-list.js";
import { type PortFlip, portFlips } from "./port-flips.js";

export interface PolicyDiffInput {
  /** Those of subjects and of `peers`. */
  readonly identities: ReadonlyMap<IdentityNumber, Identity>;
  /** That something at the other end of flows has: pods of all clusters, prefixes, and reserved ones. */
  readonly peers: ReadonlySet<IdentityNumber>;
  /** By any text; pods with the same identity and ports may be one. Without a known identity there are no verdicts. */
  readonly subjects: ReadonlyMap<string, Subject>;
  /** In force; none twice. */
  readonly before: readonly Policy[];
  /** That would be in force; none twice. */
  readonly after: readonly Policy[];
  /** Flips of each kind that are kept; the others are counted. */
  readonly mostFlips: number;
}

export interface PolicyDiff {
  /** From allowed to denied. */
  readonly denied: FlipTotals;
  /** From denied to allowed. */
  readonly allowed: FlipTotals;
  /** Identities of subjects that are selected by policies which come, go or change, by `policyKey`; of one that changes after it. */
  readonly selected: ReadonlyMap<string, ReadonlySet<IdentityNumber>>;
}

const ITEMS_PER_SLICE = 64;

/** Stands for the own node of each subject, which always reaches it. */
const HOST = reservedIdentity("host");

/** What holds before the change, or after it. */
interface Side {
  readonly specs: Map<Matcher, CompiledSpec[]>;
  readonly rules: RuleDirectory;
}

/** Subjects with the same specs and ports on both sides. */
interface Group {
  readonly subjects: string[];
  readonly identities: Set<IdentityNumber>;
  readonly ports: PortNames;
  readonly before: readonly CompiledSpec[];
  readonly after: readonly CompiledSpec[];
}

/** Yields where other work may run. */
export function* diffPolicies(input: PolicyDiffInput): Generator<void, PolicyDiff> {
  const { identities, mostFlips, peers: all } = input;
  const registry = createPeerRegistry();
  const [before, after] = [createSide(), createSide()];
  const { changed, policies } = yield* compileBoth(input, registry, before, after);
  yield* setIdentities(identities, registry);
  const [denied, allowed] = [createFlipList(mostFlips), createFlipList(mostFlips)];
  for (const group of (yield* groupsOf(input, registry, { changed, before, after })).values()) {
    const old = createCombination(group.before, group.ports, registry).build();
    yield;
    const now = createCombination(group.after, group.ports, registry).build();
    yield;
    for (const direction of ["ingress", "egress"] as const) {
      for (const { from, to, peers, others } of changedVerdicts(old, now, direction, all)) {
        const ends = { direction, subjects: group.subjects, subjectIdentities: group.identities, peers, others };
        const decided = (flip: PortFlip): DecidedPorts => ({
          ...{ protocol: flip.protocol, except: flip.except, first: flip.first, last: flip.last },
          before: decision(flip.before, direction, before.rules, group.before),
          after: decision(flip.after, direction, after.rules, group.after),
        });
        const flips = portFlips(from, to);
        denied.add(ends, flips.filter(({ before }) => before.allow).map(decided));
        allowed.add(ends, flips.filter(({ before }) => !before.allow).map(decided));
      }
      yield;
    }
  }
  return { denied: denied.totals(), allowed: allowed.totals(), selected: selectedBy(policies, input) };
}

function createSide(): Side {
  return { specs: new Map(), rules: createRuleDirectory() };
}

/** Policies that do not stay. */
interface Changed {
  /** Selectors of their subjects, before and after. */
  readonly changed: ReadonlySet<Matcher>;
  /** By key: as they are after the change, or before they go. */
  readonly policies: ReadonlyMap<string, CompiledPolicy>;
}

/** Policies that stay are compiled once, for both sides. */
function* compileBoth(
  input: PolicyDiffInput,
  registry: PeerRegistry,
  before: Side,
  after: Side,
): Generator<void, Changed> {
  let serial = 0;
  const compile = (policy: Policy, ...sides: readonly Side[]): CompiledPolicy => {
    const compiled = compilePolicy(policy, registry, () => ++serial);
    for (const { specs, rules } of sides) {
      rules.add(compiled);
      for (const spec of compiled.specs) specs.set(spec.subject, [...(specs.get(spec.subject) ?? []), spec]);
    }
    return compiled;
  };
  const added = new Map(input.after.map((policy) => [policyKey(policy), policy]));
  const changed = new Set<Matcher>();
  const policies = new Map<string, CompiledPolicy>();
  const note = (compiled: CompiledPolicy) => {
    policies.set(policyKey(compiled.policy), compiled);
    for (const { subject } of compiled.specs) changed.add(subject);
  };
  for (const policy of input.before) {
    const key = policyKey(policy);
    const next = added.get(key);
    if (next === policy || (next !== undefined && isDeepStrictEqual(next, policy))) {
      added.delete(key);
      compile(policy, before, after);
    } else note(compile(policy, before));
    yield;
  }
  for (const policy of added.values()) {
    note(compile(policy, after));
    yield;
  }
  return { changed, policies };
}

function* setIdentities(identities: ReadonlyMap<IdentityNumber, Identity>, registry: PeerRegistry): Generator<void> {
  let count = 0;
  for (const [number, identity] of identities) {
    registry.setIdentity(number, identity);
    if (++count % ITEMS_PER_SLICE !== 0) continue;
    registry.settle();
    yield;
  }
  registry.settle();
}

/** Of the subjects that a policy selects which changes. */
function* groupsOf(
  { subjects }: PolicyDiffInput,
  registry: PeerRegistry,
  { changed, before, after }: { readonly changed: ReadonlySet<Matcher>; readonly before: Side; readonly after: Side },
): Generator<void, ReadonlyMap<string, Group>> {
  const groups = new Map<string, Group>();
  let count = 0;
  for (const [id, { identity, ports }] of subjects) {
    if (++count % ITEMS_PER_SLICE === 0) yield;
    const matches = registry.identity(identity)?.matches;
    if (matches?.some((matcher) => changed.has(matcher)) !== true) continue;
    const specsOf = ({ specs }: Side) => matches.flatMap((matcher) => specs.get(matcher) ?? []).sort(bySerial);
    const [old, now, names] = [specsOf(before), specsOf(after), createPortNames(ports)];
    const key = [old, now]
      .map((specs) => `${specs.map(({ serial }) => serial)} ${namedPortsText(specs, names)}`)
      .join();
    const group = groups.get(key) ?? { subjects: [], identities: new Set(), ports: names, before: old, after: now };
    groups.set(key, group);
    group.subjects.push(id);
    group.identities.add(identity);
  }
  return groups;
}

function bySerial(a: CompiledSpec, b: CompiledSpec): number {
  return a.serial - b.serial;
}

/** Identities at the other end of which a set says something else in one direction. */
interface ChangedVerdict {
  readonly from: PeerVerdict;
  readonly to: PeerVerdict;
  /** Sorted. */
  readonly peers: IdentityNumber[];
  /** Those that no rule tells apart are among them. */
  others: boolean;
}

function changedVerdicts(
  before: PolicySet,
  after: PolicySet,
  direction: Direction,
  all: ReadonlySet<IdentityNumber>,
): readonly ChangedVerdict[] {
  const verdictOf = (row: PeerRow) => (direction === "ingress" ? row.in : row.out);
  const changed = new Map<string, Map<string, ChangedVerdict>>();
  const changeOf = (from: PeerVerdict, to: PeerVerdict): ChangedVerdict => {
    const byAfter = changed.get(from.key) ?? new Map<string, ChangedVerdict>();
    changed.set(from.key, byAfter);
    const known = byAfter.get(to.key) ?? { from, to, peers: [], others: false };
    byAfter.set(to.key, known);
    return known;
  };
  const isPeer = (number: IdentityNumber) => all.has(number) && (direction === "egress" || number !== HOST);
  for (const number of new Set([...before.rows.keys(), ...after.rows.keys()])) {
    const [old, now] = [before.rows.get(number) ?? before.others, after.rows.get(number) ?? after.others];
    const [from, to] = [verdictOf(old), verdictOf(now)];
    if (from.key !== to.key && isPeer(number)) changeOf(from, to).peers.push(number);
  }
  const [from, to] = [verdictOf(before.others), verdictOf(after.others)];
  if (from.key !== to.key) {
    const rest = changeOf(from, to);
    rest.others = true;
    for (const number of all)
      if (!before.rows.has(number) && !after.rows.has(number) && isPeer(number)) rest.peers.push(number);
  }
  const found = [...changed.values()].flatMap((byAfter) => [...byAfter.values()]);
  for (const { peers } of found) peers.sort((a, b) => a - b);
  return found.filter(({ peers }) => peers.length > 0);
}

function selectedBy(
  policies: ReadonlyMap<string, CompiledPolicy>,
  { subjects }: PolicyDiffInput,
): ReadonlyMap<string, ReadonlySet<IdentityNumber>> {
  const identities = new Set([...subjects.values()].map(({ identity }) => identity));
  const membersOf = ({ specs }: CompiledPolicy) => specs.flatMap(({ subject }) => [...subject.members]);
  return new Map(
    [...policies].map(([key, one]) => [key, new Set(membersOf(one).filter((number) => identities.has(number)))]),
  );
}

function decision(
  { allow, rule }: Outcome,
  direction: Direction,
  directory: RuleDirectory,
  specs: readonly CompiledSpec[],
): Decision {
  if (rule !== NO_RULE) return { rules: directory.rulesOf(rule), isolatedBy: [] };
  const isolating = allow ? [] : specs.filter(({ isolates }) => isolates.has(direction));
  return { rules: [], isolatedBy: [...new Set(isolating.map(({ policy }) => policy))].sort() };
}
