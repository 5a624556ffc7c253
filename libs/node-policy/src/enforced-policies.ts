/**
 * Which policies are in force, and the prefixes that are told apart for them.
 *
 * ```
 *   prefixes of a new policy ─► one flush ─► the policy ─► …  ─► the policy goes ─► one flush ─► its prefixes
 * ```
 * Telling a prefix apart gives addresses other identities, of which no policy in force says anything else than of those before.
 * So whatever of it the maps have at a moment, no verdict changes; and when the policy is changed, no address does.
 *
 * The map of prefixes has room for so many. A policy that needs more is refused whole: what it replaces stays in force, and it is
 * tried again when prefixes were given up. So is one whose record cannot be read, until another record of it comes. What an earlier
 * process had in force of a refused policy is given to `keep`, since its record is gone.
 */
import { formatPrefix, MeshError, type Prefix } from "@isthmus/model";
import { type Policy, policyKey, policyPrefixes } from "@isthmus/policy";

export interface PolicySteps {
  /** Each new or in place of the one before. */
  readonly enforce: readonly Policy[];
  /** Names (`policyKey`) of those that are out of force. */
  readonly remove: readonly string[];
  /** Texts of prefixes that are told apart now, or not any more. */
  readonly prefixes: ReadonlySet<string>;
  /** More is to be done after the next flush. */
  readonly again: boolean;
}

export interface EnforcedPolicies {
  /** A policy by the key of its record; in force from a later `step` on. */
  set(key: string, policy: Policy): void;
  /** The record with this key has something else now, which cannot be enforced; what `set` got before stays. */
  refuse(key: string, error: Error): void;
  /** Stays in force while what the record with this key has is refused; to be called before the first `set` and `refuse`. */
  keep(key: string, policy: Policy): void;
  /** What `keep` got and is not in force is forgotten: every record has come. */
  endKeeping(): void;
  /** Nothing happens for an unknown one. */
  delete(key: string): void;
  /** Tells these apart from the next `step` on, for good, though no policy names them. */
  tellApart(prefixes: readonly Prefix[]): void;
  /** `atOnce`: policies need not wait for their prefixes, since nothing is in force yet. */
  step(atOnce: boolean): PolicySteps;
  /** Those that are told apart, by text. */
  readonly prefixes: ReadonlyMap<string, Prefix>;
  /** By the keys of records: those that are refused, each until it is in force or gone. */
  readonly errors: ReadonlyMap<string, Error>;
  /** Number of records whose policy is in force as the record has it, as of the last `step`. */
  readonly inForce: number;
  /** What is in force in place of what is refused. */
  replaced(): readonly Policy[];
}

export interface EnforcedPoliciesModules {
  /** Prefixes that there is room for now. */
  readonly room: () => number;
  /** Name and size of the map, for sentences. */
  readonly map: { readonly name: string; readonly maxEntries: number };
}

interface Entry {
  enforced: Policy | undefined;
  /** To be enforced; its prefixes are told apart already. */
  reserved: Policy | undefined;
  /** What the record has, or had before it was refused; undefined: it is gone, or was never taken. */
  wanted: Policy | undefined;
}

/** Enforces nothing. */
export function createEnforcedPolicies({ room, map }: EnforcedPoliciesModules): EnforcedPolicies {
  const entries = new Map<string, Entry>();
  const prefixes = new Map<string, Prefix>();
  const uses = new Map<string, number>();
  const errors = new Map<string, Error>();
  /** Keys of entries that `step` must look at. */
  let due = new Set<string>();
  /** Keys of entries that wait for room. */
  const refused = new Set<string>();
  /** Keys of entries whose record cannot be read. */
  const unread = new Set<string>();
  /** What `keep` got. */
  const kept = new Map<string, Policy>();
  /** What `tellApart` got since the last `step`. */
  const asked = new Map<string, Prefix>();
  /** No policy has them any more: told apart for one flush more. */
  let ending = new Set<string>();

  function entryOf(key: string): Entry {
    const entry = entries.get(key) ?? { enforced: undefined, reserved: undefined, wanted: undefined };
    entries.set(key, entry);
    return entry;
  }

  function reserve(its: ReadonlyMap<string, Prefix>, fresh: Set<string>): void {
    for (const [text, prefix] of its) {
      uses.set(text, (uses.get(text) ?? 0) + 1);
      ending.delete(text);
      if (prefixes.has(text)) continue;
      prefixes.set(text, prefix);
      fresh.add(text);
    }
  }

  function release(policy: Policy | undefined): void {
    for (const text of policy === undefined ? [] : prefixesOf(policy).keys()) {
      const left = (uses.get(text) ?? 0) - 1;
      if (left > 0) uses.set(text, left);
      else {
        uses.delete(text);
        ending.add(text);
      }
    }
  }

  function missingOf(policy: Policy): number {
    return [...prefixesOf(policy).keys()].filter((text) => !prefixes.has(text)).length;
  }

  function fits(key: string, policy: Policy): boolean {
    const missing = missingOf(policy);
    if (missing <= room()) return true;
    if (unread.has(key)) return false;
    errors.set(
      key,
      new MeshError(
        { code: "MAP_FULL", map: map.name, maxEntries: map.maxEntries },
        `Cannot enforce ${policyKey(policy)}: it has ${missing} more address ranges, and ${map.name} has room for ${Math.max(0, room())} ` +
          `of ${map.maxEntries}; what it replaces stays in force`,
      ),
    );
    return false;
  }

  return {
    prefixes,
    errors,
    get inForce() {
      let others = errors.size;
      for (const key of due) if (entries.has(key) && !errors.has(key)) others++;
      return entries.size - others;
    },
    set(key, wanted) {
      entryOf(key).wanted = wanted;
      // Whether there is room for it is not known yet.
      unread.delete(key);
      due.add(key);
    },
    replaced: () =>
      [...errors.keys()].flatMap((key) => {
        const policy = entries.get(key)?.enforced;
        return policy === undefined ? [] : [policy];
      }),
    keep: (key, policy) => void kept.set(key, policy),
    endKeeping: () => kept.clear(),
    refuse(key, error) {
      const entry = entryOf(key);
      if (entry.wanted === undefined && kept.has(key)) {
        entry.wanted = kept.get(key);
        due.add(key);
      }
      unread.add(key);
      errors.set(key, error);
    },
    delete(key) {
      const entry = entries.get(key);
      if (entry === undefined) return;
      entry.wanted = undefined;
      unread.delete(key);
      due.add(key);
    },
    tellApart(its) {
      for (const prefix of its) asked.set(formatPrefix(prefix), prefix);
    },
    step(atOnce) {
      const changed = ending;
      for (const text of ending) prefixes.delete(text);
      ending = new Set();
      if (changed.size > 0) for (const key of refused) due.add(key);
      const fresh = new Set<string>();
      reserve(asked, fresh);
      asked.clear();
      const [enforce, remove]: [Policy[], string[]] = [[], []];
      const held = new Set<string>();
      for (const key of due) {
        const entry = entries.get(key);
        if (entry === undefined) continue;
        refused.delete(key);
        const { wanted, enforced } = entry;
        if (wanted !== entry.reserved) {
          release(entry.reserved);
          entry.reserved = undefined;
        }
        if (wanted === undefined) {
          entries.delete(key);
          errors.delete(key);
          release(enforced);
          if (enforced !== undefined) remove.push(policyKey(enforced));
          continue;
        }
        if (entry.reserved === undefined && !fits(key, wanted)) {
          refused.add(key);
          const before = kept.get(key);
          // Policies that wait for nothing may take their prefixes at once.
          if (atOnce && enforced === undefined && before !== undefined && missingOf(before) <= room()) {
            reserve(prefixesOf(before), fresh);
            entry.enforced = before;
            enforce.push(before);
          }
          continue;
        }
        if (entry.reserved === undefined) reserve(prefixesOf(wanted), fresh);
        entry.reserved = wanted;
        if (!atOnce && [...prefixesOf(wanted).keys()].some((text) => fresh.has(text))) {
          held.add(key);
          continue;
        }
        entry.reserved = undefined;
        entry.enforced = wanted;
        if (!unread.has(key)) errors.delete(key);
        release(enforced);
        enforce.push(wanted);
      }
      due = held;
      for (const text of fresh) if (!changed.delete(text)) changed.add(text);
      return { enforce, remove, prefixes: changed, again: held.size > 0 || ending.size > 0 };
    },
  };
}

/** By text, each once. */
function prefixesOf(policy: Policy): ReadonlyMap<string, Prefix> {
  return new Map(policyPrefixes(policy).map((prefix) => [formatPrefix(prefix), prefix]));
}
