/**
 * Keeps the policies of all kinds, decides which generation of each is in force, and makes their records (pure; work proportional
 * to the change).
 *
 * In: policy objects that were added, changed or deleted, in any order. Out of `flush`: the records that changed since the last
 * flush, and an Event for each policy whose present generation is newly not accepted. A generation that is not accepted leaves
 * the last accepted one in force, so what opens or closes for a pod changes only by a policy that is accepted whole.
 */
import { isDeepStrictEqual } from "node:util";
import type { ReportedEvent } from "@isthmus/kube";
import type { Finding, PolicyScope } from "@isthmus/policy";
import { type HashedRecord, POLICY_KIND, policyRecordKey } from "@isthmus/records";
import type { SavedLastGood } from "../feed/last-good.js";
import { createRecordDiff, type RecordChange } from "../feed/record-diff.js";
import type { ServiceJoin } from "../services/policy-service.js";
import { type AcceptedPolicy, contentFindings, type PolicyContext, policyContent } from "./accepted-policy.js";
import type { CidrGroupJoin } from "./cidr-groups.js";
import type { PolicyFacts } from "./policy-facts.js";
import { createServiceIndex } from "./service-index.js";

/** Policies of all kinds in one cluster; more are not accepted, the youngest first. */
export const MAX_POLICIES = 10_000;

export interface KnownPolicy {
  /** As of the last flush. */
  readonly facts: PolicyFacts;
  /** Undefined: nothing of it is in force. */
  readonly accepted: AcceptedPolicy | undefined;
  /** Why the present generation is not accepted; empty when it is. */
  readonly findings: readonly Finding[];
}

export interface PolicyTableModules {
  /** Name of the local one. */
  readonly cluster: string;
  /** Accepted generations by uid of the object, of which those that are needed outlive the process. */
  readonly lastGood: SavedLastGood<AcceptedPolicy>;
  /** `MAX_POLICIES` unless given. */
  readonly maxPolicies?: number;
}

export interface PolicyTableFlush {
  /** For this cluster's agents. */
  readonly local: RecordChange;
  /** One for each generation that is newly not accepted. */
  readonly notes: readonly ReportedEvent[];
  /** Keys of the policies that were set or deleted since the last flush. */
  readonly changed: readonly string[];
}

export interface PolicyTable extends CidrGroupJoin, ServiceJoin {
  /** Reads all policies of Cilium's kinds again. */
  setScope(scope: PolicyScope): void;
  /** A new object, or another state of one. */
  set(facts: PolicyFacts): void;
  /** Only when the uid is the known one: the object may have been recreated under the name. */
  delete(facts: PolicyFacts): void;
  /** By the key of its record, as of the last flush. */
  get(key: string): KnownPolicy | undefined;
  /** As of the last flush, in no order. */
  all(): Iterable<KnownPolicy>;
  /** What their next flush parses them with. */
  context(): PolicyContext;
  /** The first one follows the lists of all resources: what was saved of objects that are gone by then is forgotten. */
  flush(): PolicyTableFlush;
}

interface Entry {
  readonly facts: PolicyFacts;
  /** What was parsed last, and what was found: an object whose status changed is not parsed again. */
  parsed: { readonly content: AcceptedPolicy | Finding; readonly findings: readonly Finding[] } | undefined;
  /** As of the last flush. */
  known: KnownPolicy | undefined;
}

const NOTHING = { known: undefined, parsed: undefined };

/** Empty; accepted generations of an earlier process are in `lastGood`. */
export function createPolicyTable({ cluster, lastGood, maxPolicies = MAX_POLICIES }: PolicyTableModules): PolicyTable {
  const entries = new Map<string, Entry>();
  const groups = new Map<string, readonly string[]>();
  const services = createServiceIndex();
  let scope: PolicyScope = "local";
  const dirty = new Set<string>();
  const records = createRecordDiff();
  /** Keys of those that are too many. */
  let surplus: ReadonlySet<string> = new Set();
  let isFirst = true;

  function judge(key: string, entry: Entry): KnownPolicy {
    const { facts } = entry;
    const { of, uid } = facts;
    const present = policyContent(facts, { groups, scope, services });
    const isParsed = isDeepStrictEqual(entry.parsed?.content, present);
    if (!isParsed) entry.parsed = { content: present, findings: contentFindings(of, present, cluster) };
    const findings = surplus.has(key) ? [tooMany(maxPolicies)] : (entry.parsed?.findings ?? []);
    if (findings.length === 0 && "object" in present) {
      lastGood.set(uid, present, false);
      return { facts, accepted: present, findings };
    }
    const accepted = lastAccepted(facts);
    if (accepted !== undefined) lastGood.set(uid, accepted, true);
    return { facts, accepted, findings };
  }

  /** What was saved is parsed again: this version may read it more strictly than the one that saved it. */
  function lastAccepted({ of, uid }: PolicyFacts): AcceptedPolicy | undefined {
    const saved = lastGood.get(uid);
    if (saved === undefined || !isWhole(saved)) return undefined;
    return contentFindings(of, saved, cluster).length === 0 ? saved : undefined;
  }

  function flushOne(key: string, notes: ReportedEvent[]): void {
    const entry = entries.get(key);
    if (entry === undefined) {
      records.set(key, []);
      return;
    }
    const known = judge(key, entry);
    const note = eventOf(known);
    if (note !== undefined && note.note !== (entry.known && eventOf(entry.known)?.note)) notes.push(note);
    entry.known = known;
    records.set(key, known.accepted === undefined ? [] : [policyRecord(known.facts, known.accepted)]);
  }

  function readAgain(concerns: (facts: PolicyFacts) => boolean): void {
    for (const [key, { facts }] of entries) if (!dirty.has(key) && concerns(facts)) dirty.add(key);
  }

  /** Older policies are accepted first, so a new one never displaces another. */
  function updateSurplus(): void {
    if (entries.size <= maxPolicies && surplus.size === 0) return;
    const age = ([key, { facts }]: [string, Entry]) => `${facts.created} ${facts.uid} ${key}`;
    const byAge = [...entries].sort((a, b) => (age(a) < age(b) ? -1 : 1)).map(([key]) => key);
    const now = new Set(byAge.slice(maxPolicies));
    for (const key of [...now, ...surplus]) if (now.has(key) !== surplus.has(key)) dirty.add(key);
    surplus = now;
  }

  function forgetUnknown(): void {
    const uids = new Set([...entries.values()].map(({ facts }) => facts.uid));
    for (const uid of Object.keys(lastGood.needed())) if (!uids.has(uid)) lastGood.delete(uid);
    isFirst = false;
  }

  return {
    set(facts) {
      const key = policyRecordKey(nameOf(facts));
      const before = entries.get(key);
      const { known, parsed } = before?.facts.uid === facts.uid ? before : NOTHING;
      if (before !== undefined && before.facts.uid !== facts.uid) lastGood.delete(before.facts.uid);
      entries.set(key, { facts, known, parsed });
      dirty.add(key);
    },
    delete(facts) {
      lastGood.delete(facts.uid);
      const key = policyRecordKey(nameOf(facts));
      if (entries.get(key)?.facts.uid !== facts.uid) return;
      entries.delete(key);
      dirty.add(key);
    },
    setGroup(name, cidrs) {
      groups.set(name, cidrs);
      readAgain(({ groups: names }) => names.includes(name));
    },
    deleteGroup(name) {
      groups.delete(name);
      readAgain(({ groups: names }) => names.includes(name));
    },
    setScope(now) {
      if (now === scope) return;
      scope = now;
      readAgain(({ of }) => of.isCustom);
    },
    get: (key) => entries.get(key)?.known,
    *all() {
      for (const { known } of entries.values()) if (known !== undefined) yield known;
    },
    context: () => ({ groups, scope, services }),
    setService: services.setService,
    deleteService: services.deleteService,
    flush() {
      const notes: ReportedEvent[] = [];
      const isConcerned = services.takeChanges();
      if (isConcerned !== undefined) readAgain((facts) => isConcerned(facts.services));
      if (isFirst) forgetUnknown();
      updateSurplus();
      const changed = [...dirty];
      for (const key of changed) flushOne(key, notes);
      dirty.clear();
      return { local: records.take(), notes, changed };
    },
  };
}

/** About a policy that is not among the oldest `most`. */
export function tooMany(most: number): Finding {
  const sentence = `The cluster has more than ${most} policies, and this is one of the youngest: delete some, or merge them`;
  return { path: "", sentence };
}

function nameOf({ of, namespace, name }: PolicyFacts) {
  return { resource: of.resource.plural, namespace, name };
}

function policyRecord(facts: PolicyFacts, accepted: AcceptedPolicy): HashedRecord {
  const name = nameOf(facts);
  const { cidrGroups, meshScope, services } = accepted;
  return POLICY_KIND.record(policyRecordKey(name), {
    ...{ ...name, uid: facts.uid, cidrGroups: [...cidrGroups], meshScope, services: [...services] },
    generation: BigInt(accepted.generation),
    object: Buffer.from(accepted.object),
  });
}

function isWhole(saved: Partial<AcceptedPolicy>): saved is AcceptedPolicy {
  return Object.keys(saved).length > 0;
}

/** Why the present generation is not accepted, and what is in force; undefined when it is. */
export function notAccepted({ facts: { generation }, accepted, findings }: KnownPolicy): string | undefined {
  const [first] = findings;
  if (first === undefined) return undefined;
  const more = findings.length === 1 ? "" : ` (and ${findings.length - 1} more)`;
  const stays =
    accepted === undefined ? "Nothing of it is in force" : `Generation ${accepted.generation} stays in force`;
  return `Generation ${generation} is not accepted: ${first.sentence}${more}. ${stays}`;
}

function eventOf(policy: KnownPolicy): ReportedEvent | undefined {
  const note = notAccepted(policy);
  if (note === undefined) return undefined;
  const { of, namespace, name, uid } = policy.facts;
  const about = { resource: of.resource, name, ...(namespace === "" ? {} : { namespace }), uid };
  return { ...about, type: "Warning", reason: "PolicyNotAccepted", action: "Validate", note };
}
