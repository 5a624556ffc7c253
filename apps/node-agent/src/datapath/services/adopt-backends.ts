/** Reads mesh_backends at the start: the live rows, and the last generation of each free row. */
import { BackendRow, backendIndex } from "@isthmus/bpf";
import { type ArrayPort, readChunks } from "@isthmus/reconcile";
import type { Slices } from "@isthmus/runtime";
import type { BackendRows } from "./backend-rows.js";

export interface AdoptedBackends {
  /** Indexes of the live rows, in order. */
  readonly taken: ReadonlySet<number>;
  /** The last generation of each free row that had one, by index. */
  readonly generations: Map<number, number>;
  /** Real ids of the clusters that have a live row. */
  readonly clusters: ReadonlySet<number>;
}

const AT = BackendRow.offsets;
const ROWS_PER_SLICE = 1024;

/** Copies live rows into `rows`. */
export function* adoptBackends(port: ArrayPort, rows: BackendRows): Slices<AdoptedBackends> {
  const taken = new Set<number>();
  const clusters = new Set<number>();
  const generations = new Map<number, number>();

  function readRow(view: DataView, at: number, index: number): void {
    const id = view.getUint32(at + AT.id, true);
    const cluster = view.getUint16(at + AT.cluster, true);
    if (id !== 0 && backendIndex(id) === index) {
      taken.add(index);
      clusters.add(cluster);
      return;
    }
    const node = view.getUint32(at + AT.node, true);
    if (node === 0 && cluster === 0) return;
    // A crash came before the tombstone, so the generation is lost: take one that differs from the likely, small ones.
    generations.set(index, cluster === 0 ? node & 0xff : 128 + (index % 100));
  }

  for (const { first, count, bytes, view } of readChunks(port, ROWS_PER_SLICE)) {
    const before = taken.size;
    for (let i = first === 0 ? 1 : 0; i < count; i++) readRow(view, i * BackendRow.size, first + i);
    if (taken.size > before) rows.take(first, bytes);
    yield;
  }
  return { taken, generations, clusters };
}
