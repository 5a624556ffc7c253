/**
 * mesh_policy_sets, mesh_policy_peers, mesh_policy_ports and the words of pods as a part of the datapath: what is enforced.
 *
 * ```
 *   make:   classes ─► rows of identities ─► rows of others ─► words of pods that have a set
 *           (the part of identities)                         ─► words of pods that have none
 *   break:  (the part of identities) ─► grace period ─► rows of identities that no address has any more
 *   free:   sets that no pod has, classes that no row names
 * ```
 * A pod that has no set is asked about nothing. It gets one when identities are known, so that a node which begins to enforce
 * policies drops nothing that they allow.
 *
 * A set that pods have follows identities in place: its row of an identity is there before any address has the identity, and
 * goes after the last one. Everything else is another set, and one store of the pod's word. The word gets another revision if
 * the pod may be allowed less than before, or leaves audit mode; so does one that another process wrote, unless its set says the
 * same, and one of a pod that had no set.
 *
 * Until the local cluster is in sync nothing is written. What the maps hold of a pod stays while its desired set is not known.
 * Rows that a pod's former set has of identities that are not known, and that addresses still have, are kept in its next one.
 */
import { PodPolicyWord, type PolicyPort } from "@isthmus/bpf";
import type { IdentityNumber } from "@isthmus/identity";
import { addressFromBytes, bytesKey, formatAddress, keyBytes, parseAddress } from "@isthmus/model";
import { isOpen, type PolicySet } from "@isthmus/policy";
import { createStatusTable, isMapFull } from "@isthmus/reconcile";
import type { Part } from "../../apply/part.js";
import type { DesiredPolicy, DesiredSubject, PolicyChanges } from "@isthmus/node-policy";
import { createFollowedRows } from "./followed-rows.js";
import type { IdentityMove, IdentityUses, PodPolicies, PolicyRows, PolicySync } from "./modules.js";
import type { Revisions } from "./revisions.js";
import { mayAllowLess, type RowWords } from "./row-words.js";
import type { SetFailures, SetStore, StoredSet } from "./set-store.js";
import { createSetUsers } from "./set-users.js";
import { createUnknownIdentities } from "./unknown-identities.js";

export interface PolicySetsModules {
  /** Read when it is planned; `touch` names what changed in it. */
  readonly desired: Pick<DesiredPolicy, "subjects" | "addresses" | "prefixes">;
  /** The pods of this node. */
  readonly pods: PodPolicies;
  /** What of the desired state is complete. */
  readonly sync: PolicySync;
  /** Of the same maps. */
  readonly revisions: Revisions;
  /** Identities in the maps, which the part of identities keeps. */
  readonly uses: IdentityUses;
  /** Resolves when no program that began before the call still runs. */
  readonly gracePeriod: () => Promise<void>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** What changed of the desired policies. */
export interface PolicyPartChanges {
  /** Absent: nothing. */
  readonly policy?: PolicyChanges | undefined;
}

export interface PolicySetsPart extends Part<PolicyPartChanges>, PolicyRows {
  /** Stores the words of pods that had no set: to be made after the part of identities. */
  readonly firstWords: Part<PolicyPartChanges>;
  /** The pod with this address has a row, and its word is that of its desired set. */
  isCurrent(address: string): boolean;
}

/** A pod as its row is. */
interface Pod {
  /** Undefined: everything is allowed, or denied for want of a set. */
  set: StoredSet | undefined;
  word: PodPolicyWord;
  identity: number;
  /** The desired set that `word` stands for; undefined: another process wrote it, or the pod's identity is not known. */
  enforced: PolicySet | undefined;
}

/** Rows that are planned before they are written. */
const ROWS_PER_SLICE = 4096;
/** Rows of sets that are freed in one round. */
const FREED_ROWS = 16_384;

/** `store` has adopted the maps of this port. */
export function createPolicySetsPart(port: PolicyPort, store: SetStore, modules: PolicySetsModules): PolicySetsPart {
  const { desired, sync, revisions, uses, now } = modules;
  const status = createStatusTable();
  const pods = new Map<string, Pod>();
  const users = createSetUsers(store.adopted.values());
  const unknown = createUnknownIdentities(desired, uses);
  const rows = createFollowedRows({
    ...{ store, users, uses, unknown },
    report: (error) => (error === undefined ? status.forget(ROWS) : status.failed(ROWS, error, now())),
  });
  const dirty = new Set<string>();
  /** Pods that may be allowed less by what was touched, until that is written. */
  const tightened = new Set<string>();
  /** Pods of the apply under way, the number of those that are planned, and those whose words the next `make` stores. */
  let batch: readonly string[] = [];
  let done = 0;
  let flips: string[] = [];
  /** Pods that get a set after they had none. */
  let firstFlips: string[] = [];

  /** Reads the row of the pod, which another module wrote. */
  function readPod(address: string): void {
    const before = pods.get(address);
    const row = modules.pods.policyOf(address);
    pods.delete(address);
    if (row === undefined) forget(address);
    else {
      const word = PodPolicyWord.fromWord(row.word);
      const set = users.withIndex(word.set);
      pods.set(address, { set, word, identity: row.identity, enforced: undefined });
      users.add(set);
    }
    users.remove(before?.set);
    dirty.add(address);
  }

  function forget(address: string): void {
    status.forget(nameOf(address));
    tightened.delete(address);
  }

  /** Makes sure that the maps hold the set, or will with the next `write`. Throws `MAP_FULL`. */
  function addSet(set: PolicySet, { set: held, enforced }: Pod): void {
    const isFree = held !== undefined && enforced === undefined && users.ownerOf(held) === undefined;
    const kept = held && unknown.keptRows(held, set, store.wordsOf(set.others));
    const stored = isFree && unknown.isSame(held, set, store.wordsOf) ? held : store.add(set, kept ?? new Map());
    users.own(set, stored);
    rows.begin(stored, set);
  }

  /** Returns the number of rows that are to be written for it. */
  function planPod(address: string): number {
    const [pod, subject] = [pods.get(address), desired.subjects.get(address)];
    if (subject === undefined) {
      forget(address);
      if (pod !== undefined) pod.enforced = undefined;
    }
    if (pod === undefined || subject === undefined) return 0;
    const isKnown = users.storedOf(subject.set) !== undefined || isOpen(subject.set);
    try {
      if (!isKnown) addSet(subject.set, pod);
    } catch (thrown) {
      if (!(thrown instanceof Error) || !isMapFull(thrown)) throw thrown;
      status.failed(nameOf(address), thrown, now());
      return 0;
    }
    flips.push(address);
    return isKnown || users.storedOf(subject.set) === pod.set ? 0 : subject.set.rows.size;
  }

  /** `revision`: makes the next one when it is needed. */
  function storeWord(address: string, revision: () => number): void {
    const [pod, subject] = [pods.get(address), desired.subjects.get(address)];
    if (pod === undefined || subject === undefined) return;
    const held = users.storedOf(subject.set);
    // One that allows everything now has rows until no address has their identities.
    const stored = held !== undefined && isOpen(subject.set) && held.rows.size === 0 ? undefined : held;
    if (stored === undefined && !isOpen(subject.set)) return;
    const index = stored?.index ?? 0;
    const audit = auditBit(subject, index);
    const isSame =
      pod.word.set === index && pod.word.audit === audit && (pod.enforced !== undefined || pod.set === stored);
    const tightens = tightened.has(address) || audit < pod.word.audit;
    const keeps = isSame || (pod.enforced !== undefined && pod.set !== undefined && !tightens);
    const word = isSame ? pod.word : { set: index, audit, revision: keeps ? pod.word.revision : revision() };
    if (!isSame || pod.identity !== subject.identity) {
      users.add(stored);
      const isStored = modules.pods.setPolicy(address, PodPolicyWord.toWord(word), subject.identity);
      users.remove(isStored ? pod.set : stored);
      if (!isStored) return;
    }
    Object.assign(pod, { set: stored, word, identity: subject.identity, enforced: subject.set });
    tightened.delete(address);
    status.done(nameOf(address), now());
  }

  function drop(stored: StoredSet): void {
    users.drop(stored);
    rows.drop(stored);
  }

  function reportFailures(failed: SetFailures): void {
    for (const { set, identity, error } of failed.rows) rows.block(set, identity as IdentityNumber, error);
    for (const [stored, error] of failed.sets) {
      const set = users.ownerOf(stored);
      for (const address of flips)
        if (set !== undefined && desired.subjects.get(address)?.set === set)
          status.failed(nameOf(address), error, now());
      drop(stored);
    }
  }

  /** At most one for all pods that need another one in a `make`. */
  function nextRevision(): () => number {
    let revision: number | undefined;
    return () => {
      revision ??= revisions.next();
      return revision;
    };
  }

  function storeWords(addresses: readonly string[]): void {
    const revision = nextRevision();
    for (const address of addresses) storeWord(address, revision);
  }

  function isFirst(address: string): boolean {
    const [pod, subject] = [pods.get(address), desired.subjects.get(address)];
    return pod?.word.set === 0 && subject !== undefined && users.storedOf(subject.set) !== undefined;
  }

  function judgeAgain(moves: readonly IdentityMove[] | "all"): void {
    const revision = nextRevision();
    const concerned = new Map<StoredSet, boolean>();
    for (const [address, pod] of pods) {
      if (pod.set === undefined) continue;
      const isConcerned = concerned.get(pod.set) ?? mayLose(pod.set, moves);
      concerned.set(pod.set, isConcerned);
      if (!isConcerned) continue;
      const word = { ...pod.word, revision: revision() };
      if (modules.pods.setPolicy(address, PodPolicyWord.toWord(word), pod.identity)) pod.word = word;
    }
  }

  for (const address of modules.pods.addresses) readPod(address);
  modules.pods.onChange(readPod);

  return {
    status,
    isBlocked: rows.isBlocked,
    get isEnforcing() {
      return [...pods.values()].some(({ set }) => set !== undefined);
    },
    isCurrent(address) {
      const [pod, subject] = [pods.get(address), desired.subjects.get(address)];
      if (pod === undefined || subject === undefined) return false;
      const isMode = pod.word.audit === auditBit(subject, pod.word.set);
      return pod.enforced === subject.set && pod.identity === subject.identity && isMode;
    },
    judgeAgain,
    touch({ policy }) {
      if (policy === undefined) return;
      for (const [address, { tightens }] of policy.subjects) {
        dirty.add(address);
        if (tightens) tightened.add(address);
        if (desired.subjects.has(address)) status.pending(nameOf(address), now());
      }
      // A set that is not in the maps is taken as it is when it is added; one that allowed everything needs that now.
      for (const [set, changes] of policy.rows) if (users.storedOf(set) !== undefined) rows.touch(set, changes);
      for (const [address, { set }] of desired.subjects)
        if (policy.rows.has(set) && users.storedOf(set) === undefined) dirty.add(address);
      rows.reset();
    },
    async plan() {
      if (!sync.localInSync) return false;
      if (done === 0) {
        unknown.reset();
        const due = status.due(now());
        rows.plan(due.includes(ROWS));
        for (const name of due) if (name !== ROWS) dirty.add(addressOf(name));
        batch = [...dirty];
        dirty.clear();
      }
      flips = [];
      let planned = 0;
      while (done < batch.length && planned < ROWS_PER_SLICE) planned += planPod(batch[done++] ?? "");
      const more = done < batch.length;
      if (!more) done = 0;
      return more;
    },
    async make(check) {
      if (!sync.localInSync) return;
      reportFailures(await store.write(check));
      check();
      storeWords(flips.filter((address) => !isFirst(address)));
      firstFlips.push(...flips.filter(isFirst));
      flips = [];
    },
    async break(check) {
      if (!sync.localInSync) return;
      unknown.reset();
      const { empty, ofKnown } = await rows.deleteRows(modules.gracePeriod);
      check();
      if (ofKnown) judgeAgain("all");
      // The next apply takes a set that allows everything now from its pods.
      const open = new Set(empty.map(users.ownerOf));
      if (open.size > 0) for (const [address, { set }] of desired.subjects) if (open.has(set)) dirty.add(address);
    },
    takeGarbage(most) {
      if (!sync.localInSync) return undefined;
      const sets: StoredSet[] = [];
      let count = 0;
      for (const stored of [...users.unused]) {
        if (count > 0 && count + stored.rows.size > FREED_ROWS) break;
        count += stored.rows.size;
        sets.push(stored);
        drop(stored);
      }
      const classes = store.takeClasses(most);
      if (sets.length === 0 && classes === undefined) return undefined;
      return {
        async free() {
          await store.free(sets);
          await classes?.free();
        },
      };
    },
    firstWords: {
      status: createStatusTable(),
      touch: () => undefined,
      async make() {
        storeWords(firstFlips);
        firstFlips = [];
      },
      fill: () => [],
    },
    fill: () => [
      { map: port.sets.name, used: store.usedSets, capacity: port.sets.maxEntries - 1 },
      { map: port.peers.name, used: store.usedPeers, capacity: port.peers.maxEntries },
      { map: port.ports.name, used: store.usedPorts, capacity: port.ports.maxEntries },
    ],
  };
}

/** A word without a set has none. */
function auditBit({ audited }: DesiredSubject, set: number): number {
  return Number(audited && set !== 0);
}

/** True unless the set allows of the second identity of each move all that it allows of the first one. */
function mayLose({ rows, others }: StoredSet, moves: readonly IdentityMove[] | "all"): boolean {
  const rowOf = (identity: number): RowWords => rows.get(identity) ?? others;
  return moves === "all" || moves.some(({ before, now }) => mayAllowLess(rowOf(before), rowOf(now)));
}

const ROWS = "rows of identities";
const POD = "policy of ";

function nameOf(address: string): string {
  return POD + formatAddress(addressFromBytes(keyBytes(address)));
}

function addressOf(name: string): string {
  return bytesKey(parseAddress(name.slice(POD.length)));
}
