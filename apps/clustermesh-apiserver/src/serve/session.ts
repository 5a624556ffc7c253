/**
 * One agent's stream: a cursor per source, the own cluster first, and what the agent asks.
 *
 * Driven from outside: `pump` writes until there is nothing or the stream is full. It never queues content: a slow agent
 * gets the latest state when it has room.
 */
import type { Buckets, Hello, Position } from "@isthmus/proto";
import { nodeConfigKey } from "@isthmus/records";
import { clientPositions } from "./client-positions.js";
import { type Cursor, createCursor } from "./cursor.js";
import { encodeRemoved, encodeState } from "./messages.js";
import type { SnapshotGate } from "./snapshot-gate.js";
import type { SourceEncoder } from "./source-encoder.js";
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
  /** The SourceState of a source that is not withheld: the same bytes for everyone. */
  readonly stateOf: (source: StreamSource) => Buffer;
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
  /** Returns what the agent's memory holds of it, by its Hello. */
  addSource(source: StreamSource): Position | undefined;
  removeSource(source: StreamSource): void;
  /** Clusters that the agent holds and that no source here is: they were removed. */
  removeUnknown(known: ReadonlyMap<number, unknown>): void;
  /** Something is new, at these sources or at any: writes unless the stream is full. */
  pump(at?: ReadonlySet<StreamSource>): void;
  /** The stream has room again. */
  drained(): void;
  /** Status and ages of a source; and a Mark where content went out since the last. */
  tellState(source: StreamSource): void;
  mark(): void;
  buckets(asked: Buckets): void;
  close(): void;
}

interface Slot {
  readonly source: StreamSource;
  readonly cursor: Cursor;
  behind: boolean;
  markedSeq: number;
}

export function createSession(hello: Hello, modules: SessionModules): Session {
  const { node } = hello;
  const personalKey = nodeConfigKey(node);
  /** Of clusters that the agent was told are removed, nothing: it has forgotten them, too. */
  const client = clientPositions(hello.sources, modules.onIgnored);
  const slots = new Map<number, Slot>();
  const control: Buffer[] = [];
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

  function stateOf({ source, behind }: Slot): Buffer {
    const { clusterId, cluster } = source;
    return behind ? encodeState({ clusterId, cluster, behind, ...source.state() }) : modules.stateOf(source);
  }

  /** The client knows more than we do: say so, read the source again, then look again. */
  function withhold(slot: Slot): void {
    const phase = slot.cursor.phase;
    if (phase.is !== "Behind" || slot.behind) return;
    slot.behind = true;
    control.push(stateOf(slot));
    modules.onBehind(slot.source);
    slot.source
      .catchUp(phase.floor, life.signal, node)
      .then(() => {
        if (closed || slots.get(slot.source.clusterId) !== slot) return;
        slot.behind = false;
        slot.cursor.caughtUp();
        control.push(stateOf(slot));
        pump();
      })
      // Withheld for good would be silent: the agent comes back and asks anew.
      .catch((thrown: unknown) => life.signal.aborted || modules.fail(thrown));
  }

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

  function pump(at?: ReadonlySet<StreamSource>): void {
    while (!blocked) {
      for (let bytes = control.shift(); bytes !== undefined && !closed; bytes = control.shift()) {
        write(bytes);
        if (blocked) return;
      }
      for (const slot of slots.values()) {
        if ((at === undefined || at.has(slot.source)) && !pumpSlot(slot)) return;
      }
      if (syncing && [...slots.values()].every(({ cursor }) => cursor.phase.is !== "Snapshot")) {
        syncing = false;
        modules.gate.release(life);
      }
      if (control.length === 0 || closed) return;
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
        },
      );
      const slot = { source, cursor, behind: false, markedSeq: -1 };
      slots.set(clusterId, slot);
      control.push(stateOf(slot));
      return known?.have;
    },
    removeSource({ clusterId, cluster }) {
      slots.delete(clusterId);
      client.delete(clusterId);
      control.push(encodeRemoved(clusterId, cluster));
    },
    removeUnknown(known) {
      for (const clusterId of [...client.keys()]) {
        if (clusterId === 0 || known.has(clusterId)) continue;
        client.delete(clusterId);
        control.push(encodeRemoved(clusterId, ""));
      }
    },
    pump(at) {
      if (!closed) pump(at);
    },
    drained() {
      blocked = false;
      if (!closed) pump();
    },
    tellState(source) {
      const slot = slots.get(source.clusterId);
      // A full stream hears the latest state when it has drained, not each of them.
      if (slot !== undefined && control.length < 2 * slots.size + 2) control.push(stateOf(slot));
    },
    mark() {
      for (const slot of slots.values()) {
        const { phase } = slot.cursor;
        if (phase.is !== "Live" || phase.seq === slot.markedSeq) continue;
        slot.markedSeq = phase.seq;
        slot.cursor.mark();
      }
    },
    buckets(asked) {
      slots.get(asked.clusterId)?.cursor.buckets(asked);
    },
    close() {
      closed = true;
      life.abort();
      modules.gate.release(life);
    },
  };
}
