/**
 * A part of the datapath: one family of objects in kernel maps of its own, brought from what the maps hold to what is
 * desired. What it is created from are its maps: it adopts what they hold.
 *
 * ```
 *   touch … ─► retract ─► (plan ─► make)… ─► break ─► takeGarbage ── grace period ──► free
 * ```
 * Only `retract`, `make`, `break` and `free` write what programs can reach, each in an order that programs may read at
 * any moment: an object before what refers to it, and then the words that programs read, each by one store.
 */
import type { MapFill } from "@isthmus/proto";
import type { StatusTable } from "@isthmus/reconcile";
import type { Slices } from "@isthmus/runtime";
import type { Round } from "./garbage.js";

/** Throws when a round of freeing has failed: nothing may be written any more. */
export type Check = () => void;

/** The work, which is checked whenever it goes on. */
export function* checked<T>(work: Slices<T>, check: Check): Slices<T> {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    yield;
    check();
  }
}

/** `Changes`: what of the desired state changed, of all parts; each takes its own and ignores the rest. */
export interface Part<Changes> {
  /** The part's objects by name. */
  readonly status: Pick<StatusTable, "get" | "errors" | "nextDue" | "retryNow">;
  /** Takes what changed. Memory only; the next apply writes it. */
  touch(changes: Changes): void;
  /** Takes out what judges by the absence of other rows, as far as it is no longer desired: before any part writes. */
  retract?(): Promise<void>;
  /**
   * Plans the next slice of what was touched and of what is due again; true = a further slice is left, which is planned
   * after this one is made. Writes nothing that a program can reach.
   */
  plan?(): Promise<boolean>;
  /** Writes what was planned. `check`: to be called when other work may have run meanwhile, before more is written. */
  make(check: Check): Promise<void>;
  /** Removes what is no longer desired from where programs find it. All parts have made theirs. `check`: as in `make`. */
  break?(check: Check): Promise<void>;
  /**
   * Takes what is out of use, at most `most` objects of each kind: freed after a grace period that begins now. Undefined =
   * nothing. What is left is taken for the next round.
   */
  takeGarbage?(most: number): Round | undefined;
  /** Entries in use, per map. */
  fill(): readonly MapFill[];
}
