/** What an agent's records of a source add up to, against what a mark says. */
import type { Kind, Mark } from "@isthmus/proto";
import { KINDS, type RecordTable, sameBytes } from "@isthmus/records";

/** Kinds whose records are not what the mark says; a kind that it does not name, or that is not exported, is empty. */
export function differingKinds(table: RecordTable, mark: Mark): Kind[] {
  return KINDS.filter((kind) => {
    const theirs = mark.sums.find((sum) => sum.kind === kind && sum.exported);
    const mine = table.digest(kind);
    if (theirs === undefined || theirs.count === 0) return mine.count > 0;
    return theirs.count !== mine.count || !sameBytes(theirs.sum, mine.sum);
  });
}
