/** A list of ranges in memory; one write replaces all of it. */
import { MeshError, type Prefix } from "@isthmus/model";
import type { RangesPort } from "@isthmus/reconcile";
import { Killed, type Write, type Writer } from "./write-log.js";

export interface RangesMemory {
  list: readonly Prefix[];
}

export function createMemoryRanges(
  shape: Pick<RangesPort, "name" | "maxEntries">,
  memory: RangesMemory,
  writer: Writer,
): RangesPort {
  const { name: map, maxEntries } = shape;
  const write: Write = { map, what: "list", at: 0 };
  return {
    ...shape,
    load: async () => memory.list,
    read: () => memory.list,
    async replace(ranges) {
      if (ranges.length > maxEntries) {
        throw new MeshError(
          { code: "MAP_FULL", map, maxEntries },
          `Cannot replace the list of ${map}: too many ranges`,
        );
      }
      try {
        writer.begin(write);
        memory.list = [...ranges];
        writer.end(write);
      } catch (thrown) {
        if (thrown instanceof Killed || !(thrown instanceof Error)) throw thrown;
        throw new MeshError({ code: "MAP_IO", map }, `Cannot replace the list of ${map}: ${thrown.message}`);
      }
    },
  };
}
