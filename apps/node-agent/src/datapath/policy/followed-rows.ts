/**
 * Rows of sets that pods have, which follow identities in place: added before any address has the identity, deleted a grace
 * period after the last one, since a program may have found the identity, and look the row up only then.
 */
import type { IdentityNumber } from "@isthmus/identity";
import type { PeerRow, PolicySet, RowChanges } from "@isthmus/policy";
import { isMapFull } from "@isthmus/reconcile";
import type { IdentityUses } from "./modules.js";
import type { SetStore, StoredSet } from "./set-store.js";
import type { SetUsers } from "./set-users.js";
import type { UnknownIdentities } from "./unknown-identities.js";

export interface FollowedRows {
  /** Rows of a desired set came or went. */
  touch(set: PolicySet, changes: RowChanges): void;
  /** The store's next `write` adds what came, and what found no room before if `retry`. */
  plan(retry: boolean): void;
  /** The maps hold this set for a desired one since now: rows that it has not are added, and those that it has besides are noted. */
  begin(stored: StoredSet, set: PolicySet): void;
  /** The row could not be written. */
  block(stored: StoredSet, identity: IdentityNumber, error: Error): void;
  /** A set has no room for its row of the identity. */
  isBlocked(identity: IdentityNumber): boolean;
  /** Addresses are written: deletes the rows of identities that none has any more, when programs that found one have ended. */
  deleteRows(gracePeriod: () => Promise<void>): Promise<DeletedRows>;
  /** The set is to be freed. */
  drop(stored: StoredSet): void;
  /** The desired state may know more identities: rows that sets have besides are looked at again. */
  reset(): void;
}

export interface DeletedRows {
  /** Sets that have no row left. */
  readonly empty: readonly StoredSet[];
  /** Rows of identities that addresses have were among them: what a process before knew of these is not so any more. */
  readonly ofKnown: boolean;
}

/** A row of a set, by its identity. */
type FollowedRow = readonly [set: StoredSet, identity: number];

export interface FollowedRowsModules {
  readonly store: SetStore;
  readonly users: SetUsers;
  readonly uses: IdentityUses;
  readonly unknown: UnknownIdentities;
  /** Rows find no room; undefined: all have. */
  readonly report: (error: Error | undefined) => void;
}

export function createFollowedRows({ store, users, uses, unknown, report }: FollowedRowsModules): FollowedRows {
  /** Not planned yet. */
  const touched = new Map<PolicySet, Map<IdentityNumber, PeerRow | undefined>>();
  const blocked = new Map<IdentityNumber, Set<StoredSet>>();
  /** To be deleted. */
  const leaving = new Map<StoredSet, Set<number>>();
  /** Rows that the desired set has not, since their identities were not known when it was written. */
  const extras = new Map<StoredSet, Set<number>>();
  let extrasMayGo = false;
  let departures = 0;

  function note(rows: Map<StoredSet, Set<number>>, stored: StoredSet, identity: number): void {
    rows.set(stored, (rows.get(stored) ?? new Set()).add(identity));
  }

  function set(stored: StoredSet, identity: IdentityNumber, row: PeerRow): void {
    try {
      store.setRow(stored, identity, row);
      unblock(stored, identity);
    } catch (thrown) {
      if (!(thrown instanceof Error) || !isMapFull(thrown)) throw thrown;
      block(stored, identity, thrown);
    }
  }

  function block(stored: StoredSet, identity: IdentityNumber, error: Error): void {
    blocked.set(identity, (blocked.get(identity) ?? new Set()).add(stored));
    report(error);
  }

  function unblock(stored: StoredSet, identity: IdentityNumber): void {
    const sets = blocked.get(identity);
    if (sets?.delete(stored) !== true) return;
    if (sets.size === 0) blocked.delete(identity);
    if (blocked.size === 0) report(undefined);
  }

  function change(stored: StoredSet, identity: IdentityNumber, row: PeerRow | undefined): void {
    if (row === undefined) {
      unblock(stored, identity);
      if (stored.rows.has(identity)) note(leaving, stored, identity);
      return;
    }
    leaving.get(stored)?.delete(identity);
    extras.get(stored)?.delete(identity);
    set(stored, identity, row);
  }

  /** Rows besides go when no address has their identities any more; at once if the desired sets know these. */
  function takeExtras(): FollowedRow[] {
    if (!extrasMayGo && departures === uses.departures) return [];
    extrasMayGo = false;
    departures = uses.departures;
    const known: FollowedRow[] = [];
    for (const [stored, identities] of extras) {
      for (const identity of identities) {
        if (uses.has(identity) && unknown.has(identity)) continue;
        identities.delete(identity);
        if (uses.has(identity)) known.push([stored, identity]);
        else note(leaving, stored, identity);
      }
      if (identities.size === 0) extras.delete(stored);
    }
    return known;
  }

  return {
    block,
    isBlocked: (identity) => blocked.has(identity),
    touch(desired, changes) {
      const rows = touched.get(desired) ?? new Map<IdentityNumber, PeerRow | undefined>();
      touched.set(desired, rows);
      for (const [identity, row] of changes) rows.set(identity, row);
    },
    plan(retry) {
      for (const [desired, rows] of touched) {
        const stored = users.storedOf(desired);
        if (stored !== undefined) for (const [identity, row] of rows) change(stored, identity, row);
      }
      touched.clear();
      if (!retry) return;
      for (const [identity, sets] of [...blocked]) {
        for (const stored of [...sets]) {
          const row = users.ownerOf(stored)?.rows.get(identity);
          if (row === undefined) unblock(stored, identity);
          else set(stored, identity, row);
        }
      }
    },
    begin(stored, desired) {
      for (const [identity, row] of desired.rows) if (!stored.rows.has(identity)) set(stored, identity, row);
      for (const identity of stored.rows.keys())
        if (!desired.rows.has(identity as IdentityNumber)) note(extras, stored, identity);
      extrasMayGo = true;
    },
    async deleteRows(gracePeriod) {
      const ofKnown = takeExtras();
      const rows = [...ofKnown];
      for (const [stored, identities] of leaving)
        for (const identity of identities) if (!uses.has(identity)) rows.push([stored, identity]);
      if (rows.length === 0) return { empty: [], ofKnown: false };
      if (!(await hasPassed(gracePeriod))) {
        for (const [stored, identity] of ofKnown) note(extras, stored, identity);
        extrasMayGo = true;
        return { empty: [], ofKnown: false };
      }
      // What cannot be deleted is tried again by the next apply.
      const kept = new Set((await store.deleteRows(rows)).map(([stored, identity]) => `${stored.index} ${identity}`));
      for (const [stored, identity] of rows) {
        if (kept.has(`${stored.index} ${identity}`)) continue;
        const left = leaving.get(stored);
        left?.delete(identity);
        if (left?.size === 0) leaving.delete(stored);
      }
      for (const [stored, identity] of ofKnown) if (stored.rows.has(identity)) note(extras, stored, identity);
      extrasMayGo ||= kept.size > 0;
      const empty = [...new Set(rows.map(([stored]) => stored))].filter((stored) => stored.rows.size === 0);
      return { empty, ofKnown: ofKnown.length > 0 };
    },
    drop(stored) {
      leaving.delete(stored);
      extras.delete(stored);
      for (const identity of [...blocked.keys()]) unblock(stored, identity);
    },
    reset() {
      extrasMayGo = extras.size > 0;
    },
  };
}

/** False when it cannot be known: rows stay until the next apply. */
async function hasPassed(gracePeriod: () => Promise<void>): Promise<boolean> {
  try {
    await gracePeriod();
    return true;
  } catch {
    return false;
  }
}
