/**
 * Encodes one source for all its clients: snapshots and deltas are encoded once and shared.
 *
 * Clients differ only in their node's configuration, which no shared chunk contains. The snapshot is kept while clients begin
 * with it and the index still has all changes since; deltas are kept until the index changes.
 */
import { toUint64 } from "@isthmus/model";
import type { Batch, Kind, KindSum, Position } from "@isthmus/proto";
import {
  type HashedRecord,
  type IndexDelta,
  isAtMost,
  KINDS,
  type SourceIndex,
  sameBytes,
  versionsOf,
} from "@isthmus/records";
import { encodeBatch, isPersonal, wireRecord } from "./messages.js";

/** The shared chunks of a first sync at `seq`; the chunk with `last` is encoded for each client. */
export interface Snapshot {
  /** Cursor of a client that has all chunks. */
  readonly seq: number;
  /** Position of a client that has all chunks. */
  readonly to: Position;
  /** Encoded messages, in apply order of their records; none has personal records. */
  readonly chunks: readonly Buffer[];
}

export interface SharedDelta {
  /** Cursor of a client that has taken it. */
  readonly toSeq: number;
  /** Position of a client that has taken it. */
  readonly to: Position;
  /** Wall clock in microseconds at which the newest change was observed at its origin; 0 = unknown. */
  readonly observedMicros: number;
  /** Undefined: it has only personal records. */
  readonly bytes: Buffer | undefined;
  /** Keys of its personal records. */
  readonly personal: ReadonlySet<string>;
  /** As the index returned it, with the personal records of all nodes. */
  readonly delta: IndexDelta;
}

export interface SourceEncoder {
  /** A snapshot at `floor` or later. Undefined while the index has no position. */
  snapshot(floor: Position | undefined): Snapshot | undefined;
  /** The changes for a client at `seq` and `from`; undefined when the index no longer has them. */
  delta(seq: number, from: Position): SharedDelta | undefined;
  /** The same with one client's personal records. */
  personalDelta(shared: SharedDelta, from: Position, key: string): Buffer;
  /** The last chunk of a first sync. */
  lastChunk(snapshot: Snapshot, key: string): Buffer;
  /** Sums that one client's records must have. */
  sums(key: string): KindSum[];
  /** 256 sums of a kind, computed once per state of the index. */
  buckets(kind: Kind): readonly Uint8Array[];
  /** Called periodically: drops the snapshot if no client began with it since the last call. */
  trim(): void;
}

const CHUNK_RECORDS = 256;
const CHUNK_BYTES = 64 << 10;
const MAX_SNAPSHOT_LAG = 2000;

/** Encodes nothing before a client needs it; one for all clients of the source. */
export function createSourceEncoder(clusterId: number, index: SourceIndex): SourceEncoder {
  let kept: Snapshot | undefined;
  let used = false;
  let deltas = new Map<string, SharedDelta>();
  let deltasAt = -1;
  const bucketSums = new Map<Kind, { readonly seq: number; readonly sums: readonly Uint8Array[] }>();

  function build(to: Position): Snapshot {
    const chunks: Buffer[] = [];
    let upserts: HashedRecord[] = [];
    let bytes = 0;
    const cut = () => {
      if (upserts.length > 0) chunks.push(encodeBatch(batch(to, { upserts })));
      upserts = [];
      bytes = 0;
    };
    for (const record of index.records()) {
      if (isPersonal(record)) continue;
      upserts.push(record);
      bytes += record.key.length + record.value.length;
      if (upserts.length >= CHUNK_RECORDS || bytes >= CHUNK_BYTES) cut();
    }
    cut();
    return { seq: index.seq, to, chunks };
  }

  /** True when its position is of the current store and not below the floor, and the index still has all changes since. */
  function usable(snapshot: Snapshot, now: Position, floor: Position | undefined): boolean {
    if (!sameBytes(snapshot.to.storeId, now.storeId)) return false;
    if (floor !== undefined && sameBytes(floor.storeId, now.storeId) && !isAtMost(floor, snapshot.to)) return false;
    return index.seq - snapshot.seq <= MAX_SNAPSHOT_LAG && index.after(snapshot.seq) !== undefined;
  }

  function batch(to: Position, parts: Partial<Pick<IndexDelta, "upserts" | "deletes" | "observedMicros">>): Batch {
    return {
      clusterId,
      from: undefined,
      to,
      upserts: (parts.upserts ?? []).map(wireRecord),
      deletes: (parts.deletes ?? []).map(({ kind, key }) => ({ kind, key })),
      observedUs: toUint64(parts.observedMicros ?? 0),
      last: false,
    };
  }

  return {
    snapshot(floor) {
      const to = index.announced;
      if (to === undefined) return undefined;
      used = true;
      if (kept === undefined || !usable(kept, to, floor)) kept = build(to);
      return kept;
    },
    delta(seq, from) {
      if (deltasAt !== index.seq) deltas = new Map();
      deltasAt = index.seq;
      const id = `${seq}/${positionText(from)}/${positionText(index.announced)}`;
      const known = deltas.get(id);
      if (known !== undefined) return known;
      const delta = index.after(seq);
      if (delta === undefined) return undefined;
      const shared = share(delta, from);
      deltas.set(id, shared);
      return shared;
    },
    personalDelta({ delta }, from, key) {
      const mine = (record: { readonly kind: Kind; readonly key: string }) => !isPersonal(record) || record.key === key;
      const { upserts, deletes, observedMicros } = delta;
      const parts = { upserts: upserts.filter(mine), deletes: deletes.filter(mine), observedMicros };
      return encodeBatch({ ...batch(delta.position, parts), from });
    },
    lastChunk(snapshot, key) {
      const own = index.get(key);
      return encodeBatch({ ...batch(snapshot.to, own === undefined ? {} : { upserts: [own] }), last: true });
    },
    trim() {
      if (!used) kept = undefined;
      used = false;
      deltas = new Map();
      bucketSums.clear();
    },
    buckets(kind) {
      const known = bucketSums.get(kind);
      if (known?.seq === index.seq) return known.sums;
      const sums = index.buckets(kind);
      bucketSums.set(kind, { seq: index.seq, sums });
      return sums;
    },
    sums(key) {
      const own = index.get(key);
      return index.sums(KINDS).map((sum) => {
        if (!isPersonal(sum)) return sum;
        return {
          ...sum,
          count: own === undefined ? 0 : 1,
          sum: own === undefined ? Buffer.alloc(16) : Buffer.from(own.hash),
        };
      });
    },
  };

  function share(delta: IndexDelta, from: Position): SharedDelta {
    const upserts = delta.upserts.filter((record) => !isPersonal(record));
    const deletes = delta.deletes.filter((record) => !isPersonal(record));
    const personal = [...delta.upserts, ...delta.deletes].filter(isPersonal).map(({ key }) => key);
    const { observedMicros, position, toSeq } = delta;
    const empty = upserts.length === 0 && deletes.length === 0;
    const bytes = empty ? undefined : encodeBatch({ ...batch(position, { upserts, deletes, observedMicros }), from });
    return { toSeq, to: position, observedMicros, bytes, personal: new Set(personal), delta };
  }
}

/** Equal for equal positions only, so it can be a key of a map; "" for undefined. */
export function positionText(position: Position | undefined): string {
  if (position === undefined) return "";
  return `${position.storeId.toString("hex")}:${position.revision}:${versionsOf(position).join(",")}`;
}
