/**
 * One agent's stream: a cursor per source, the local cluster first, and the agent's requests.
 *
 *   Writable ── the stream is full ──► Blocked ── drained ──► Writable        any ── close ──► Closed
 *
 * `pump` writes until nothing is pending or the stream is full. Content is never queued: a slow agent gets the latest state
 * once its stream has room. Only cursors that may have something to send are polled.
 */
import type { Buckets, Hello, Position, SourceState } from "@isthmus/proto";
import { nodeConfigKey } from "@isthmus/records";
import type { StreamSource } from "../../ports/stream-source.js";
import { clientPositions } from "./client-positions.js";
import { createCursor } from "./cursor.js";
import { createPendingStates, SOURCE_STATES } from "./pending-states.js";
import { createSessionSlots, type Slot } from "./session-slots.js";
import type { SharedStates } from "./shared-sources.js";
import type { SnapshotGate } from "./snapshot-gate.js";
import type { SourceEncoder } from "./source-encoder.js";

/** Why a session ends, and when the agent may connect again. */
export interface Leaving {
  /** How long the agent waits before it connects again; it has a maximum of its own. */
  readonly retryAfterMs: number;
  /** One of a few fixed sentences, since it is also a label of a metric. */
  readonly reason: string;
}

export interface SessionModules {
  /** False when the stream is full; `drained` is called when it has room again. */
  readonly write: (bytes: Buffer) => boolean;
  /** The encoder that all sessions share. */
  readonly encoderOf: (source: StreamSource) => SourceEncoder;
  /** State of a source that is not withheld: the same for every agent. */
  readonly sourceStateMessage: (source: StreamSource) => SourceState;
  /** Shared by all sessions; each takes at most one slot. */
  readonly gate: SnapshotGate;
  /** Called when a first sync may not begin; must close the session. */
  readonly leave: (leaving: Leaving) => void;
  /** Called for an error in a task that is not awaited. */
  readonly fail: (thrown: unknown) => void;
  /** Called after a message with a position or a time was written; `observedMicros` 0 or absent: unknown. */
  readonly onSent: (source: StreamSource, message: { readonly observedMicros?: number; readonly to?: unknown }) => void;
  /** Called when a source begins to be withheld from the agent. */
  readonly onBehind: (source: StreamSource) => void;
  /** Called when a part of the Hello was ignored. */
  readonly onIgnored: (reason: string) => void;
  /** Aborts when the server closes: ends reads on behalf of the agent. */
  readonly signal: AbortSignal;
}

export interface Session {
  /** Returns the agent's position of the source, by its Hello. */
  addSource(source: StreamSource): Position | undefined;
  /** The operator removed the peer: its removal is sent with the next pump. */
  removeSource(source: StreamSource): void;
  /** Reports clusters that the agent has and this server does not as removed. */
  removeUnknown(known: ReadonlyMap<number, unknown>): void;
  /** These sources may have changed: writes unless the stream is full. */
  wake(sources: ReadonlySet<StreamSource>): void;
  /** Writes what is pending. */
  pump(): void;
  /** The stream has room again. */
  drained(): void;
  /** Sends status and ages of sources, with the next pump at the latest. */
  sendStates(states: SharedStates): void;
  /** Schedules a Mark of each of these sources. */
  mark(sources: ReadonlySet<StreamSource>): void;
  /** Schedules the answer for the next pump; ignored for a source that the session does not have. */
  buckets(asked: Buckets): void;
  /** Writes nothing any more and ends reads; does not end the stream. May be called twice. */
  close(): void;
}

/** Without sources; the caller ends the stream, not the session. */
export function createSession(hello: Hello, modules: SessionModules): Session {
  const { node } = hello;
  const personalKey = nodeConfigKey(node);
  /** The agent's positions, without clusters whose removal was sent to it: the agent has dropped those. */
  const client = clientPositions(hello.sources, modules.onIgnored);
  const batched = hello.capabilities.includes(SOURCE_STATES);
  const slots = createSessionSlots();
  const states = createPendingStates(batched, sourceStateMessage);
  let blocked = false;
  /** True while this session has a slot of the gate for first syncs. */
  let syncing = false;
  let closed = false;
  /** Aborts reads on behalf of this agent when its stream or the server ends. */
  const life = new AbortController();
  modules.signal.addEventListener("abort", () => life.abort(), { once: true, signal: life.signal });

  function mayBegin(): boolean {
    syncing = modules.gate.take(life);
    return syncing;
  }

  function write(bytes: Buffer): void {
    if (!modules.write(bytes)) blocked = true;
  }

  function sourceStateMessage({ source, behind }: Slot): SourceState {
    const state = modules.sourceStateMessage(source);
    return behind ? { ...state, behind } : state;
  }

  /** The client's position is newer than this server's: reports the source as behind until it has caught up, then retries. */
  function withhold(slot: Slot): void {
    const phase = slot.cursor.phase;
    if (phase.is !== "Behind" || !slots.setBehind(slot, true)) return;
    states.add(slot);
    modules.onBehind(slot.source);
    slot.source
      .catchUp(phase.floor, life.signal, node)
      .then(() => {
        if (closed || slots.get(slot.source.clusterId) !== slot) return;
        slots.setBehind(slot, false);
        slot.cursor.caughtUp();
        states.add(slot);
        slots.wake(slot);
        pump();
      })
      // Without this the source would stay withheld silently. The agent connects again and starts over.
      .catch((thrown: unknown) => life.signal.aborted || modules.fail(thrown));
  }

  /** Writes until the slot has nothing to send; false when the stream is full or ends. */
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
    if (is === "Snapshot" || is === "Live") slot.source.onServed?.(node);
    withhold(slot);
    return !blocked && !closed;
  }

  function pumpStates(): void {
    while (!blocked && !closed) {
      const bytes = states.next();
      if (bytes === undefined) return;
      write(bytes);
    }
  }

  function pump(): void {
    // States come first: a source's state must arrive before its content.
    pumpStates();
    for (let slot = slots.nextReady(); slot !== undefined && !blocked && !closed; slot = slots.nextReady()) {
      if (!pumpSlot(slot)) break;
      slots.rest(slot);
      pumpStates();
    }
    if (!syncing || slots.syncing) return;
    syncing = false;
    modules.gate.release(life);
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
          isVerified: () => source.isVerified(),
          verifiesAbsence: (kind) => source.verifiesAbsence(kind),
        },
      );
      states.add(slots.add(source, cursor));
      return known?.have;
    },
    removeSource({ clusterId, cluster }) {
      client.delete(clusterId);
      states.remove(slots.remove(clusterId), clusterId, cluster);
    },
    removeUnknown(known) {
      for (const clusterId of [...client.keys()]) {
        if (clusterId === 0 || known.has(clusterId)) continue;
        client.delete(clusterId);
        states.remove(undefined, clusterId, "");
      }
    },
    wake(sources) {
      slots.allOf(sources, slots.wake);
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
      if (batched && !blocked && slots.withheld === 0 && states.empty) write(shared.bytes());
      else slots.allOf(shared.sources, states.add);
    },
    mark(sources) {
      slots.allOf(sources, (slot) => {
        if (slot.cursor.phase.is !== "Live") return;
        slot.cursor.mark();
        slots.wake(slot);
      });
    },
    buckets(asked) {
      const slot = slots.get(asked.clusterId);
      if (slot === undefined) return;
      slot.cursor.buckets(asked);
      slots.wake(slot);
    },
    close() {
      closed = true;
      life.abort();
      modules.gate.release(life);
    },
  };
}
