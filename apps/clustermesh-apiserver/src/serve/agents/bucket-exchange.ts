/**
 * Answers a client's bucket sums of one kind with the whole buckets that differ from this server's.
 *
 * In: the client's 256 sums. Out: one message per differing bucket, the last one marked `last`. Each is encoded when the stream
 * takes it, so that a client that does not read costs references and no bytes. If no bucket differs, bucket 0 is sent so that
 * the exchange ends.
 */
import type { Buckets, Kind, Position } from "@isthmus/proto";
import { BUCKETS, bucketOf, type HashedRecord, type SourceIndex, sameBytes } from "@isthmus/records";
import { encodeBucket, isPersonal, wireRecord } from "./messages.js";

/** The server's side: the index, and its 256 sums of the requested kind. */
export interface ServedRecords {
  /** Has the personal records of all nodes. */
  readonly index: SourceIndex;
  /** 16 bytes each, by number of the bucket; not used for a personal kind. */
  readonly sums: readonly Uint8Array[];
}

/** Compares when the first message is taken. `personalKey`: of the one personal record that the client gets. */
export function* bucketMessages(
  held: ServedRecords,
  asked: Buckets,
  position: Position,
  personalKey: string,
): Generator<Buffer, void, undefined> {
  const { kind, clusterId } = asked;
  const { index } = held;
  const differing = new Set<number>();
  serverSums(held, kind, personalKey).forEach((sum, i) => {
    if (!sameBytes(sum, asked.sums[i] ?? new Uint8Array(0))) differing.add(i);
  });
  if (differing.size === 0) differing.add(0);
  const records = serverRecords(index, kind, differing, personalKey);
  const wanted = [...differing].sort((a, b) => a - b);
  for (const [i, bucket] of wanted.entries()) {
    const content = (records.get(bucket) ?? []).map(wireRecord);
    yield encodeBucket({ clusterId, kind, index: bucket, records: content, position, last: i === wanted.length - 1 });
  }
}

/** Ends the exchange without replacing anything: this version does not know the kind, or it is unverified. */
export function* noBuckets({ clusterId, kind }: Buckets, position: Position): Generator<Buffer, void, undefined> {
  yield encodeBucket({ clusterId, kind, index: NO_BUCKET, records: [], position, last: true });
}

/** One more than the last index of a bucket. */
const NO_BUCKET = BUCKETS;

function serverSums({ index, sums }: ServedRecords, kind: Kind, personalKey: string): readonly Uint8Array[] {
  if (!isPersonal({ kind })) return sums;
  const own = index.get(personalKey);
  const empty = new Uint8Array(16);
  return Array.from({ length: BUCKETS }, (_, i) => (own !== undefined && bucketOf(own.key) === i ? own.hash : empty));
}

function serverRecords(
  index: SourceIndex,
  kind: Kind,
  wanted: ReadonlySet<number>,
  personalKey: string,
): ReadonlyMap<number, readonly HashedRecord[]> {
  if (!isPersonal({ kind })) return index.bucketRecords(kind, wanted);
  const own = index.get(personalKey);
  return new Map(own === undefined ? [] : [[bucketOf(own.key), [own]]]);
}
