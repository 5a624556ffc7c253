/**
 * What deltas say of each record in the end, in the order in which kinds are applied.
 *
 * In: the deltas of each cluster, oldest first. Out: groups of one kind and cluster; deletions are applied in reverse.
 */
import type { Kind } from "@isthmus/proto";
import { type HashedRecord, KINDS } from "@isthmus/records";
import type { RecordName, SourceDelta } from "../sync/source-types.js";

const RANKS: ReadonlyMap<Kind, number> = new Map(KINDS.map((kind, rank) => [kind, rank]));
const rankOf = (kind: Kind): number => RANKS.get(kind) ?? KINDS.length;

/** What was said of one record: itself, or only its name where it is to be deleted. */
type RecordUpdate = HashedRecord | RecordName;

export function isRecord(word: RecordUpdate): word is HashedRecord {
  return "value" in word;
}

/** Words of one kind about one cluster. */
export interface Group {
  readonly id: number;
  readonly words: RecordUpdate[];
}

/** In the apply order of kinds; within a kind the order has no meaning. */
export function inApplyOrder(clusters: ReadonlyMap<number, readonly SourceDelta[]>): Group[] {
  const byRank: Group[][] = Array.from({ length: KINDS.length + 1 }, () => []);
  for (const [id, deltas] of clusters) {
    const own = byRank.map((groups) => {
      const group: Group = { id, words: [] };
      groups.push(group);
      return group;
    });
    for (const word of lastWords(deltas)) own[rankOf(word.kind)]?.words.push(word);
  }
  return byRank.flat();
}

/** The last word about each record of a cluster. */
function lastWords(deltas: readonly SourceDelta[]): Iterable<RecordUpdate> {
  const [only] = deltas;
  // A first load: every record once.
  if (only?.turn === "first" && deltas.length === 1 && only.deletes.length === 0) return only.upserts;
  const words = new Map<string, RecordUpdate>();
  for (const { upserts, deletes } of deltas) {
    for (const record of upserts) words.set(record.key, record);
    for (const name of deletes) words.set(name.key, name);
  }
  return words.values();
}
