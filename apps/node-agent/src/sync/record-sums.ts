/** What an agent's records of a source add up to, against what a mark says, and as the 256 sums of a kind. */
import type { Buckets, Kind, Mark } from "@isthmus/proto";
import { accumulate, bucketOf, emptySum, KINDS, type RecordTable, sameBytes, sumBytes } from "@isthmus/records";

/** Kinds whose records are not what the mark says; a kind that it does not name, or that is not exported, is empty. */
export function differingKinds(table: RecordTable, mark: Mark): Kind[] {
  return KINDS.filter((kind) => {
    const theirs = mark.sums.find((sum) => sum.kind === kind && sum.exported);
    const mine = table.digest(kind);
    if (theirs === undefined || theirs.count === 0) return mine.count > 0;
    return theirs.count !== mine.count || !sameBytes(theirs.sum, mine.sum);
  });
}

export function bucketSums(clusterId: number, table: RecordTable, kind: Kind): Buckets {
  const sums = Array.from({ length: 256 }, emptySum);
  for (const record of table.records(kind)) {
    const sum = sums[bucketOf(record.key)];
    if (sum !== undefined) accumulate(sum, record.hash, 1);
  }
  return { clusterId, kind, sums: sums.map((sum) => Buffer.from(sumBytes(sum))) };
}
