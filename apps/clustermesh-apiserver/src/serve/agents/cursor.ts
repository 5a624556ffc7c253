/**
 * The position of one client in one source, and the next message to send it.
 *
 *   Waiting ──► Snapshot ──► Live        the client has no records, or was away too long
 *   Waiting ──► Live                     resumed at `have`, or by Mark and buckets if `have` is too old
 *   Waiting ──► Behind ──► Waiting       the client's position is newer than this server's: the source is withheld
 *
 * `next` returns one message at a time, so a slow client costs one number and no queue.
 */
import type { Buckets, Kind, Position, SourcePosition } from "@isthmus/proto";
import { KINDS, type SourceIndex, sameBytes } from "@isthmus/records";
import { bucketMessages, noBuckets } from "./bucket-exchange.js";
import { encodeMark } from "./messages.js";
import type { Snapshot, SourceEncoder } from "./source-encoder.js";

export type CursorPhase =
  | { readonly is: "Waiting" }
  | { readonly is: "Behind"; readonly floor: Position }
  | { readonly is: "Snapshot"; readonly snapshot: Snapshot; readonly sent: number }
  | { readonly is: "Live"; readonly seq: number; readonly position: Position };

export interface CursorOptions {
  /** As in messages: 0 = local cluster. */
  readonly clusterId: number;
  /** Key of the client's own node configuration. */
  readonly personalKey: string;
  /** The client's position in its Hello; undefined for a source that it did not name. */
  readonly client: SourcePosition | undefined;
}

export interface CursorModules {
  /** Read at each `next`, so a client gets the latest state. */
  readonly index: SourceIndex;
  /** Shared by all clients of the source. */
  readonly encoder: SourceEncoder;
  /** True when a first sync may begin; false when too many run. */
  readonly mayBegin: () => boolean;
  /** True when absence from the index means deletion: Marks and buckets wait for that. */
  readonly isVerified: () => boolean;
  /** True when `isVerified()` covers this kind. */
  readonly verifiesAbsence: (kind: Kind) => boolean;
}

export interface Message {
  /** An encoded `ToAgent`, which other clients may share: not to be changed. */
  readonly bytes: Buffer;
  /** Set for content: when the change was observed, 0 = unknown. */
  readonly observedMicros?: number;
  /** The client's position after it; absent in Marks, buckets, and chunks before the last. */
  readonly to?: Position;
}

export interface Cursor {
  /** As of the last call of `next` or `caughtUp`. */
  readonly phase: CursorPhase;
  /** "refused": a first sync may not begin now. Undefined: nothing to send. */
  next(): Message | "refused" | undefined;
  /** The source has caught up with a newer client, or was verified to be another store. */
  caughtUp(): void;
  /** Schedules a Mark. */
  mark(): void;
  /** Schedules an answer with the buckets that differ. A newer request for the same kind replaces an older one. */
  buckets(asked: Buckets): void;
}

/** In Waiting: the first `next` decides how the client begins. */
export function createCursor(
  options: CursorOptions,
  { index, encoder, mayBegin, isVerified, verifiesAbsence }: CursorModules,
): Cursor {
  const { clusterId, personalKey } = options;
  let phase: CursorPhase = { is: "Waiting" };
  /** A floor that no longer counts: the source was verified to be of another store. */
  let ignoredFloor: Position | undefined;
  let mustMark = false;
  const asked = new Map<Kind, Buckets>();
  let exchange: Iterator<Buffer, void> | undefined;

  /** Waiting -> Behind | Snapshot | Live */
  function begin(): "refused" | undefined {
    if (index.announced === undefined) return undefined;
    const floor = options.client?.floor;
    if (floor !== undefined && floor !== ignoredFloor) {
      const known = index.since(floor);
      if (known === "behind" || known === "other-store") {
        phase = { is: "Behind", floor };
        return undefined;
      }
    }
    const have = options.client?.have;
    const since = have === undefined ? undefined : index.since(have);
    mustMark = true;
    if (have !== undefined && since !== undefined && typeof since !== "string") {
      phase = { is: "Live", seq: since.fromSeq, position: have };
      return undefined;
    }
    // The client was away too long but has records: it compares them with the Mark and requests only the buckets that differ.
    // The Mark must cover every kind.
    if (have !== undefined && isVerified() && KINDS.every(verifiesAbsence)) {
      phase = { is: "Live", seq: index.seq, position: index.announced };
      return undefined;
    }
    return beginSnapshot();
  }

  /** Waiting | Live -> Snapshot */
  function beginSnapshot(): "refused" | undefined {
    const snapshot = encoder.snapshot(options.client?.floor);
    if (snapshot === undefined) return undefined;
    if (!mayBegin()) return "refused";
    phase = { is: "Snapshot", snapshot, sent: 0 };
    return undefined;
  }

  /** The next chunk of a first sync. Snapshot -> Live with the last one. */
  function snapshotChunk({ snapshot, sent }: CursorPhase & { is: "Snapshot" }): Message {
    const chunk = snapshot.chunks[sent];
    if (chunk !== undefined) {
      phase = { is: "Snapshot", snapshot, sent: sent + 1 };
      return { bytes: chunk };
    }
    phase = { is: "Live", seq: snapshot.seq, position: snapshot.to };
    mustMark = true;
    return { bytes: encoder.lastChunk(snapshot, personalKey), to: snapshot.to };
  }

  function live({ seq, position }: CursorPhase & { is: "Live" }): Message | "refused" | undefined {
    const bucket = exchange?.next();
    if (bucket?.done === false) return { bytes: bucket.value };
    exchange = undefined;
    if (seq !== index.seq) return delta(seq, position);
    if (!isVerified()) return undefined;
    const [first] = asked.values();
    if (first !== undefined) {
      asked.delete(first.kind);
      exchange = answers(first, position);
      return live({ is: "Live", seq, position });
    }
    if (!mustMark) return undefined;
    mustMark = false;
    const sums = encoder.sums(personalKey).map((sum) => ({ ...sum, exported: verifiesAbsence(sum.kind) }));
    return { bytes: encodeMark(clusterId, position, sums) };
  }

  function answers(question: Buckets, position: Position): Iterator<Buffer, void> {
    const { kind } = question;
    if (!isKnown(kind) || !verifiesAbsence(kind)) return noBuckets(question, position);
    return bucketMessages({ index, sums: encoder.buckets(kind) }, question, position, personalKey);
  }

  function delta(seq: number, position: Position): Message | "refused" | undefined {
    const shared = encoder.delta(seq, position);
    if (shared === undefined) {
      const refused = beginSnapshot();
      return refused ?? (phase.is === "Snapshot" ? snapshotChunk(phase) : undefined);
    }
    const personal = shared.personal.has(personalKey);
    const bytes = personal ? encoder.personalDelta(shared, position, personalKey) : shared.bytes;
    // Content for other clients only moves the cursor, not this client's position.
    phase = { is: "Live", seq: shared.toSeq, position: bytes === undefined ? position : shared.to };
    if (bytes === undefined) return live(phase);
    return { bytes, observedMicros: shared.observedMicros, to: shared.to };
  }

  return {
    get phase() {
      return phase;
    },
    next() {
      if (phase.is === "Waiting") {
        const refused = begin();
        if (refused !== undefined) return refused;
      }
      if (phase.is === "Snapshot") return snapshotChunk(phase);
      return phase.is === "Live" ? live(phase) : undefined;
    },
    caughtUp() {
      if (phase.is !== "Behind") return;
      const { floor } = phase;
      const now = index.position;
      if (now !== undefined && !sameBytes(now.storeId, floor.storeId)) ignoredFloor = floor;
      phase = { is: "Waiting" };
    },
    mark() {
      mustMark = true;
    },
    buckets(request) {
      if (asked.size < MAX_ASKED || asked.has(request.kind)) asked.set(request.kind, request);
    },
  };
}

/** Maximum number of pending kinds: the known ones, and those of newer agents. */
const MAX_ASKED = 64;

function isKnown(kind: Kind): boolean {
  return KINDS.some((each) => each === kind);
}
