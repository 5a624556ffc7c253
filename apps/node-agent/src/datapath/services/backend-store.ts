/**
 * The rows of mesh_backends: an index and an id for each backend that a table names.
 *
 * backend-uses.ts draws the states of a row, and backend-writes.ts writes it. A row is freed by id = 0, and its index is
 * used again only after one more grace period, because programs keep ids for longer than one run (UDP sockets). A free
 * row keeps its last generation in `node`, with cluster 0, from which a restarted agent continues.
 */
import { BackendRow, backendGeneration, backendId, backendIndex, nextGeneration } from "@isthmus/bpf";
import type { MergedBackend } from "@isthmus/clustermesh";
import type { ArrayPort } from "@isthmus/reconcile";
import { inSlices, type Slices } from "@isthmus/runtime";
import type { NodeName } from "../../desired/nodes/nodes.js";
import { createRowPool } from "../rows/row-pool.js";
import { adoptBackends } from "./adopt-backends.js";
import { createBackendNodes, type NodeIndexOf } from "./backend-nodes.js";
import { backendFlags, clusterWord, createBackendRows, portWord, Word } from "./backend-rows.js";
import { createBackendUses } from "./backend-uses.js";
import { BODY, createBackendWrites } from "./backend-writes.js";

export interface BackendStore {
  /** Returns the id of a backend and counts one more user; creates a row when there is none. Throws `MAP_FULL`. */
  acquire(backend: MergedBackend): number;
  /** The backend has a row, so `acquire` needs no room. */
  has(backend: MergedBackend): boolean;
  /** Counts one user less. */
  release(id: number): void;
  /** Counts one more user of an id in a table; an id without a live row is ignored. */
  adoptUse(id: number): void;
  /** Sets the new index of these nodes in the rows of their backends, which `write` writes. */
  updateNodes(names: readonly NodeName[]): Slices<void>;
  /** Sets the node to 0 (not known) in rows that still have one of these indexes: no record has named the node yet. */
  clearNodes(indexes: readonly number[]): Slices<void>;
  /** Writes new rows, all bodies before the first id, then words that changed, some in each slice. */
  write(): Slices<void>;
  /** True when `retire` or `recycle` have work. */
  readonly garbage: boolean;
  /** After a grace period: id = 0 for rows without users, at most `most` of them. */
  retire(most: number): void;
  /** Indexes that `retire` has freed and `recycle` has not. */
  readonly cooling: readonly number[];
  /** After a further grace period: these indexes, the first of `cooling`, may be used again. */
  recycle(indexes: readonly number[]): void;
  /** Clusters of the rows that were adopted. */
  readonly adoptedClusters: ReadonlySet<number>;
  /** Rows that are taken, those without users and those that cool included. */
  readonly used: number;
  /** Rows of the map without index 0, those that are reserved included. */
  readonly capacity: number;
}

const ROWS_PER_SLICE = 256;

/** Adopts the rows of the map. `own`: id of the local cluster, for which a part of the rows is reserved. */
export function* createBackendStore(port: ArrayPort, nodeIndexOf: NodeIndexOf, own?: number): Slices<BackendStore> {
  const { maxEntries } = port;
  const rows = createBackendRows(maxEntries);
  const adopted = yield* adoptBackends(port, rows);
  const pool = yield* createRowPool(port, adopted.taken, own);
  const uses = createBackendUses();
  const writes = createBackendWrites(port, rows, uses);
  const nodes = createBackendNodes({ rows, maxEntries, indexOf: nodeIndexOf, setWord: writes.set });
  yield* inSlices(adopted.taken, ROWS_PER_SLICE, adopt);

  /** Of two rows with one name only the first can be found; the other is freed when it has no users. */
  function adopt(index: number): void {
    rows.link(index);
    nodes.adopt(index);
    uses.adopt(index);
  }

  function add(backend: MergedBackend, place: number): number {
    const { clusterId, node } = backend;
    const index = pool.take(clusterId);
    uses.create(index);
    rows.fill(index, {
      id: backendId(nextGeneration(adopted.generations.get(index) ?? 0), index),
      portWord: place,
      node: 0,
      clusterWord: clusterWord(clusterId, backendFlags(backend)),
      address: backend,
    });
    nodes.set(index, node);
    rows.link(index);
    return index;
  }

  /** Counts one more user of an existing row, and updates the row from the backend. */
  function use(index: number, backend: MergedBackend): void {
    const cluster = clusterWord(backend.clusterId, backendFlags(backend));
    nodes.set(index, backend.node);
    writes.set(index, Word.cluster, cluster);
    uses.use(index);
  }

  /** The row of an id, new or live; 0 = none. */
  function rowOf(id: number): number {
    const index = backendIndex(id);
    return uses.isUsable(index) && rows.get(index, Word.id) === id ? index : 0;
  }

  function forget(index: number): void {
    rows.unlink(index);
    nodes.forget(index);
    writes.forget(index);
  }

  return {
    acquire(backend) {
      const place = portWord(backend.port, backend.protocol);
      let index = rows.find(backend.clusterId, backend, place);
      if (index === 0) index = add(backend, place);
      else use(index, backend);
      return rows.get(index, Word.id);
    },
    has: (backend) => rows.find(backend.clusterId, backend, portWord(backend.port, backend.protocol)) !== 0,
    release(id) {
      const index = rowOf(id);
      if (index === 0 || !uses.release(index)) return;
      forget(index);
      pool.give(index);
    },
    adoptUse(id) {
      const index = rowOf(id);
      if (index !== 0) uses.use(index);
    },
    updateNodes: nodes.update,
    clearNodes: nodes.clear,
    write: writes.write,
    get garbage() {
      return uses.garbage;
    },
    retire(most) {
      const retired = uses.retire(most);
      for (const index of retired) {
        forget(index);
        adopted.generations.set(index, backendGeneration(rows.get(index, Word.id)));
      }
      writes.clearIds(retired);
    },
    get cooling() {
      return uses.cooling;
    },
    recycle(indexes) {
      for (const index of indexes) {
        port.writeBody(index, tombstone(adopted.generations.get(index) ?? 0), BODY);
        pool.give(index);
      }
      uses.recycle(indexes.length);
    },
    adoptedClusters: adopted.clusters,
    get used() {
      return pool.used;
    },
    capacity: pool.capacity,
  };
}

/** Body of a free row, without its id. */
function tombstone(generation: number): Uint8Array {
  const none = { id: 0, port: 0, proto: 0, state: 0, cluster: 0, zone: 0, flags: 0, addr: new Uint8Array(16) };
  return BackendRow.encode({ ...none, node: generation }).subarray(BODY);
}
