/**
 * The sources of one agent's session, and which of them may have something to send (pure).
 *
 *   Idle ──── woken ────► Ready ──── nothing left to send ────► Idle
 *
 * A slot is withheld beside that while the agent's position is newer than this server's.
 */
import type { StreamSource } from "../../ports/stream-source.js";
import type { Cursor } from "./cursor.js";

export interface Slot {
  /** The same object in all sessions. */
  readonly source: StreamSource;
  /** Of this session alone. */
  readonly cursor: Cursor;
  /** The agent's position is newer than this server's: the source is withheld from it. */
  readonly behind: boolean;
}

export interface SessionSlots {
  /** Adds a source as ready. */
  add(source: StreamSource, cursor: Cursor): Slot;
  /** Undefined when the session does not have the source. */
  remove(clusterId: number): Slot | undefined;
  /** Undefined when the session does not have the source. */
  get(clusterId: number): Slot | undefined;
  /** Calls `take` with the slot of each of these sources. */
  allOf(sources: Iterable<StreamSource>, take: (slot: Slot) => void): void;
  /** The slot may have something to send. */
  wake(slot: Slot): void;
  /** The next ready slot, the local cluster first; it stays ready. */
  nextReady(): Slot | undefined;
  /** The slot has nothing to send. */
  rest(slot: Slot): void;
  /** True when a ready slot is in its first sync. */
  readonly syncing: boolean;
  /** Returns false when it was so already. */
  setBehind(slot: Slot, behind: boolean): boolean;
  /** Number of slots that are behind. */
  readonly withheld: number;
}

/** The local cluster's id on the stream. */
const LOCAL = 0;

/** Without sources. */
export function createSessionSlots(): SessionSlots {
  const slots = new Map<number, Slot & { behind: boolean }>();
  const ready = new Set<Slot>();
  let withheld = 0;
  return {
    add(source, cursor) {
      const slot = { source, cursor, behind: false };
      slots.set(source.clusterId, slot);
      ready.add(slot);
      return slot;
    },
    remove(clusterId) {
      const slot = slots.get(clusterId);
      if (slot === undefined) return undefined;
      ready.delete(slot);
      slots.delete(clusterId);
      if (slot.behind) withheld--;
      return slot;
    },
    get: (clusterId) => slots.get(clusterId),
    allOf(sources, take) {
      for (const { clusterId } of sources) {
        const slot = slots.get(clusterId);
        if (slot !== undefined) take(slot);
      }
    },
    wake: (slot) => void ready.add(slot),
    nextReady() {
      const local = slots.get(LOCAL);
      if (local !== undefined && ready.has(local)) return local;
      const [first] = ready;
      return first;
    },
    rest: (slot) => void ready.delete(slot),
    get syncing() {
      return [...ready].some(({ cursor }) => cursor.phase.is === "Snapshot");
    },
    setBehind({ source }, behind) {
      const slot = slots.get(source.clusterId);
      if (slot === undefined || slot.behind === behind) return false;
      slot.behind = behind;
      withheld += behind ? 1 : -1;
      return true;
    },
    get withheld() {
      return withheld;
    },
  };
}
