/**
 * One agent's stream: a cursor per source, the local cluster first, and what the agent asks.
 *
 * Driven from outside: `pump` writes until there is nothing or the stream is full. It never queues content: a slow agent
 * gets the latest state when it has room. Only cursors for which something may be there are looked at.
 */
import type { Buckets, Hello, Position, SourceState } from "@isthmus/proto";
import { nodeConfigKey } from "@isthmus/records";
import { clientPositions } from "./client-positions.js";
import { type Cursor, createCursor } from "./cursor.js";
import { createPendingStates, SOURCE_STATES } from "./pending-states.js";
import type { SnapshotGate } from "./snapshot-gate.js";
import type { SourceEncoder } from "./source-encoder.js";
import type { SharedStates } from "./source-feeds.js";
import type { StreamSource } from "./stream-source.js";

/** Why a session ends itself: with a time to come back. */
export interface Leaving {
  readonly retryAfterMs: number;
  readonly reason: string;
}

export interface SessionModules {
  /** False when the stream is full; `drained` is called when it has room again. */
  readonly write: (bytes: Buffer) => boolean;
  readonly encoderOf: (source: StreamSource) => SourceEncoder;
  /** State of a source that is not withheld: the same for every agent. */
  readonly stateOf: (source: StreamSource) => SourceState;
  readonly gate: SnapshotGate;
  readonly leave: (leaving: Leaving) => void;
  /** Something threw that nobody was waiting for. */
  readonly fail: (thrown: unknown) => void;
  readonly onSent: (source: StreamSource, message: { readonly observedMicros?: number; readonly to?: unknown }) => void;
  readonly onBehind: (source: StreamSource) => void;
  /** Part of the Hello was left out. */
  readonly onIgnored: (reason: string) => void;
  readonly signal: AbortSignal;
}

export interface Session {
  /** Returns the agent's position of the source, by its Hello. */
  addSource(source: StreamSource): Position | undefined;
  removeSource(source: StreamSource): void;
  /** Clusters that the agent holds and that no source here is: they were removed. */
  removeUnknown(known: ReadonlyMap<number, unknown>): void;
  /** Something may be new at these sources: writes unless the stream is full. */
  wake(sources: ReadonlySet<StreamSource>): void;
  /** Writes what is pending. */
  pump(): void;
  /** The stream has room again. */
  drained(): void;
  /** Status and ages of sources, with the next pump at the latest. */
  sendStates(states: SharedStates): void;
  /** A Mark of each of these. */
  mark(sources: ReadonlySet<StreamSource>): void;
  buckets(asked: Buckets): void;
  close(): void;
}

interface Slot {
  readonly source: StreamSource;
  readonly cursor: Cursor;
  behind: boolean;
}

export function createSession(hello: Hello, modules: SessionModules): Session {
  const { node } = hello;
  const personalKey = nodeConfigKey(node);
  /** Without clusters whose removal was sent to the agent: it has forgotten them, too. */
  const client = clientPositions(hello.sources, modules.onIgnored);
  const batched = hello.capabilities.includes(SOURCE_STATES);
  const slots = new Map<number, Slot>();
  const states = createPendingStates(batched, stateOf);
  /** Their cursors may have something to send. */
  const ready = new Set<Slot>();
  let withheld = 0;
  let blocked = false;
  /** Holds a slot for first syncs. */
  let syncing = false;
  let closed = false;
  /** What is looked for on this agent's behalf ends with it, or with the server. */
  const life = new AbortController();
  modules.signal.addEventListener("abort", () => life.abort(), { once: true, signal: life.signal });

  function mayBegin(): boolean {
    syncing = modules.gate.take(life);
    return syncing;
  }

  function write(bytes: Buffer): void {
    if (!modules.write(bytes)) blocked = true;
  }

  function stateOf({ source, behind }: Slot): SourceState {
    const state = modules.stateOf(source);
    return behind ? { ...state, behind } : state;
  }

  function setBehind(slot: Slot, behind: boolean): void {
    if (slot.behind === behind) return;
    slot.behind = behind;
    withheld += behind ? 1 : -1;
  }

  /** The client knows more than we do: say so, read the source again, then look again. */
  function withhold(slot: Slot): void {
    const phase = slot.cursor.phase;
    if (phase.is !== "Behind" || slot.behind) return;
    setBehind(slot, true);
    states.add(slot);
    modules.onBehind(slot.source);
    slot.source
      .catchUp(phase.floor, life.signal, node)
      .then(() => {
        if (closed || slots.get(slot.source.clusterId) !== slot) return;
        setBehind(slot, false);
        slot.cursor.caughtUp();
        states.add(slot);
        ready.add(slot);
        pump();
      })
      // Withheld for good would be silent: the agent comes back and asks anew.
      .catch((thrown: unknown) => life.signal.aborted || modules.fail(thrown));
  }

  /** Until it has nothing to send; false when the stream is full or ends. */
  function pumpSlot(slot: Slot): boolean {
    while (!blocked && !closed) {
      const message = slot.cursor.next();
      if (message === "refused") {
        modules.leave({ retryAfterMs: 500 + Math.random() * 1500, reason: "too many first syncs at once" });
        return false;
      }
      if (message === undefined) break;
      write(message.bytes);
      if (message.to !== undefined || message.observedMicros !== undefined) modules.onSent(slot.source, message);
    }
    const { is } = slot.cursor.phase;
    if (is === "Snapshot" || is === "Live") slot.source.served?.(node);
    withhold(slot);
    return !blocked && !closed;
  }

  /** The local cluster before all others. */
  function nextReady(): Slot | undefined {
    const local = slots.get(0);
    if (local !== undefined && ready.has(local)) return local;
    const [first] = ready;
    return first;
  }

  function pumpStates(): void {
    while (!blocked && !closed) {
      const bytes = states.next();
      if (bytes === undefined) return;
      write(bytes);
    }
  }

  function pump(): void {
    // Before its content: a source is announced by its state.
    pumpStates();
    for (let slot = nextReady(); slot !== undefined && !blocked && !closed; slot = nextReady()) {
      if (!pumpSlot(slot)) break;
      ready.delete(slot);
      pumpStates();
    }
    if (!syncing || [...ready].some(({ cursor }) => cursor.phase.is === "Snapshot")) return;
    syncing = false;
    modules.gate.release(life);
  }

  function allOf(sources: ReadonlySet<StreamSource>, take: (slot: Slot) => void): void {
    for (const { clusterId } of sources) {
      const slot = slots.get(clusterId);
      if (slot !== undefined) take(slot);
    }
  }

  return {
    addSource(source) {
      const { clusterId } = source;
      const known = client.get(clusterId);
      const cursor = createCursor(
        { clusterId, personalKey, client: known },
        {
          index: source.index,
          encoder: modules.encoderOf(source),
          mayBegin,
          proved: () => source.proved(),
          proves: (kind) => source.proves(kind),
        },
      );
      const slot = { source, cursor, behind: false };
      slots.set(clusterId, slot);
      states.add(slot);
      ready.add(slot);
      return known?.have;
    },
    removeSource({ clusterId, cluster }) {
      const slot = slots.get(clusterId);
      if (slot !== undefined) {
        setBehind(slot, false);
        ready.delete(slot);
      }
      slots.delete(clusterId);
      client.delete(clusterId);
      states.remove(slot, clusterId, cluster);
    },
    removeUnknown(known) {
      for (const clusterId of [...client.keys()]) {
        if (clusterId === 0 || known.has(clusterId)) continue;
        client.delete(clusterId);
        states.remove(undefined, clusterId, "");
      }
    },
    wake(sources) {
      allOf(sources, (slot) => ready.add(slot));
      if (!closed) pump();
    },
    pump() {
      if (!closed) pump();
    },
    drained() {
      blocked = false;
      if (!closed) pump();
    },
    sendStates(shared) {
      if (closed) return;
      if (batched && !blocked && withheld === 0 && states.empty) write(shared.bytes());
      else allOf(shared.sources, (slot) => states.add(slot));
    },
    mark(sources) {
      allOf(sources, (slot) => {
        if (slot.cursor.phase.is !== "Live") return;
        slot.cursor.mark();
        ready.add(slot);
      });
    },
    buckets(asked) {
      const slot = slots.get(asked.clusterId);
      if (slot === undefined) return;
      slot.cursor.buckets(asked);
      ready.add(slot);
    },
    close() {
      closed = true;
      life.abort();
      modules.gate.release(life);
    },
  };
}
