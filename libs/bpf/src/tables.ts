/**
 * Implements TablesPort: an array of at most 64 mapped arrays of lines (segments), which can be added while programs
 * run. Segments have no pins; the outer map keeps them alive, and a new agent opens them by their ids.
 */
import { MeshError } from "@isthmus/model";
import type { ArrayPort } from "@isthmus/reconcile";
import { createMappedArray, type MappedArray } from "./array-map.js";
import type { TablesPort } from "./datapath-port.js";
import { mapFull } from "./errors.js";
import { Limit, MAP_NAMES } from "./gen/index.js";
import { innerMap, word } from "./map-of-maps.js";
import { type Fd, type MapShape, native } from "./native.js";

export interface Tables extends TablesPort {
  /** Unmaps the segments; they stay in the outer map, which stays the caller's. */
  close(): void;
}

/** Maps the existing segments into memory; creates the first one when there is none. `shape`: of a segment. */
export async function openTables(outer: Fd, shape: MapShape): Promise<Tables> {
  const segments: MappedArray[] = [];
  let last: Promise<unknown> = Promise.resolve();
  for (let i = 0; i < Limit.Segments; i++) {
    const inner = innerMap(outer, i);
    if (inner === undefined) break;
    segments.push(mapSegment(i, inner));
  }

  async function grow(): Promise<ArrayPort> {
    const index = segments.length;
    if (index >= Limit.Segments) throw mapFull(MAP_NAMES.tables, Limit.Segments, "add a segment to");
    const inner = native().mapCreate({ ...shape, name: "mesh_lines_v1" });
    try {
      await native().mapUpdateSlow(outer, word(index), word(inner.fd));
    } catch (cause) {
      inner.close();
      throw MeshError.from(cause, `Cannot add segment ${index} to map "${MAP_NAMES.tables}"`);
    }
    const segment = mapSegment(index, inner);
    segments.push(segment);
    return segment;
  }

  /** Adds segments one after another, also for concurrent calls. */
  function addSegment(): Promise<ArrayPort> {
    const next = last.then(grow, grow);
    last = next;
    return next;
  }

  if (segments.length === 0) await addSegment();
  return {
    linesPerSegment: Limit.SegmentLines,
    maxSegments: Limit.Segments,
    segments,
    addSegment,
    close: () => {
      for (const segment of segments) segment.close();
    },
  };
}

function mapSegment(index: number, inner: Fd): MappedArray {
  const segment = createMappedArray(`${MAP_NAMES.tables}[${index}]`, inner);
  inner.close();
  return segment;
}
