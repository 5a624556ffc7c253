/** The records that a verdict of a node may depend on and that the node has not acknowledged (pure). */
import { Kind, type Position, type UnappliedRecords } from "@isthmus/proto";
import { kindOfKey, newestRevision } from "@isthmus/records";
import type { StreamSource } from "../../ports/stream-source.js";

/** The position of a source (`clusterId` as on the wire) that the node has applied; undefined: nothing of it. */
export type AppliedPositions = (node: string, clusterId: number) => Position | undefined;

/** Keys in one report. */
const MAX_KEYS = 5;
/** Every verdict may depend on each of them. */
const ALWAYS: ReadonlySet<Kind | undefined> = new Set([Kind.KIND_POLICY, Kind.KIND_NODE]);

/** One for each source of which the node lacks something. `keys`: of the records of both ends. */
export function unappliedRecords(
  sources: readonly StreamSource[],
  node: string,
  keys: ReadonlySet<string>,
  applied: AppliedPositions,
): UnappliedRecords[] {
  return sources.flatMap(({ cluster, clusterId, index }) => {
    const position = applied(node, clusterId);
    const lacking = changedAfter(index, position).filter((key) => keys.has(key) || ALWAYS.has(kindOfKey(key)));
    if (lacking.length === 0) return [];
    return {
      cluster,
      appliedRevision: newestRevision(position),
      revision: newestRevision(index.announced),
      keys: lacking.slice(0, MAX_KEYS),
      more: Math.max(0, lacking.length - MAX_KEYS),
    };
  });
}

/** Keys of records that came, changed or went after a position; all, if it is not one of this server's. */
function changedAfter(index: StreamSource["index"], position: Position | undefined): readonly string[] {
  if (index.announced === undefined) return [];
  const since = position === undefined ? "too-old" : index.since(position);
  // The node has newer records than this server.
  if (since === "behind") return [];
  const records = typeof since === "string" ? index.records() : [...since.upserts, ...since.deletes];
  return Array.from(records, ({ key }) => key);
}
