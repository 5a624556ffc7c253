/**
 * The valid positions in an agent's Hello: per cluster one floor and one position, each well-formed for its source.
 *
 * Others are ignored: a floor that no source can reach would withhold the source forever.
 */
import { MAX_CLUSTER_ID } from "@isthmus/model";
import type { SourcePosition } from "@isthmus/proto";
import { isPositionOf } from "@isthmus/records";

/** By cluster id. `ignored` gets the reason of each entry or position that is left out. */
export function clientPositions(
  sources: readonly SourcePosition[],
  ignored: (reason: string) => void,
): Map<number, SourcePosition> {
  const positions = new Map<number, SourcePosition>();
  for (const { clusterId, floor, have } of sources) {
    if (clusterId > MAX_CLUSTER_ID) {
      ignored("no cluster");
      continue;
    }
    const kept = (position: SourcePosition["have"]) => {
      if (isPositionOf(clusterId, position)) return position;
      if (position !== undefined) ignored("malformed position");
      return undefined;
    };
    positions.set(clusterId, { clusterId, floor: kept(floor), have: kept(have) });
  }
  return positions;
}
