/**
 * The rows of mesh_backends: the index of each backend, its number of users, and the writes that are pending.
 *
 * ```
 *   free ──acquire──► new ──write──► live ──release, grace──► retired (id = 0) ──grace──► free
 *                                     ▲──────── acquire ───────┘ only before it is retired
 * ```
 * A row is written body first, then the id by one store. It is freed by id = 0, and its index is used again only after
 * one more grace period, because programs keep ids for longer than one run (UDP sockets). A free row keeps its last
 * generation in `node`, with cluster 0, from which a restarted agent continues.
 */
import { BackendRow, backendGeneration, backendId, backendIndex, nextGeneration } from "@isthmus/bpf";
import type { MergedBackend } from "@isthmus/clustermesh";
import type { ArrayPort } from "@isthmus/reconcile";
import { backendNode, type NodeName } from "../../desired/nodes/nodes.js";
import { createRowPool } from "../rows/row-pool.js";
import { createWords32 } from "../rows/word-batch.js";
import { adoptBackends } from "./adopt-backends.js";
import { backendFlags, clusterOf, clusterWord, createBackendRows, portWord, Word } from "./backend-rows.js";

/** Turns a node's name into its index; 0 = not known. */
export type NodeIndexOf = (name: NodeName | undefined) => number;

export interface BackendStore {
  /** Returns the id of a backend and counts one more user; creates a row when there is none. Throws `MAP_FULL`. */
  acquire(backend: MergedBackend): number;
  /** The backend has a row, so `acquire` needs no room. */
  has(backend: MergedBackend): boolean;
  /** Counts one user less. */
  release(id: number): void;
  /** Counts one more user of an id in a table; an id without a live row is ignored. */
  adoptUse(id: number): void;
  /**
   * Writes the new index of these nodes to the rows of their backends. Reads all rows: indexes of nodes change seldom.
   */
  updateNodes(names: readonly NodeName[]): void;
  /** Sets the node to 0 (not known) in rows that still have one of these indexes: no record has named the node yet. */
  clearNodes(indexes: ReadonlySet<number>): void;
  /** Writes new rows, all bodies before the first id, then words that changed. */
  write(): void;
  /** True when `retire` or `recycle` have work. */
  readonly garbage: boolean;
  /** After a grace period: id = 0 for rows without users. */
  retire(): void;
  /** Indexes that `retire` has freed and `recycle` has not. */
  readonly cooling: readonly number[];
  /** After a further grace period: these indexes may be used again. */
  recycle(indexes: readonly number[]): void;
  /** Clusters of the rows that were adopted. */
  readonly adoptedClusters: ReadonlySet<number>;
  readonly used: number;
  readonly capacity: number;
}

/** Offset of what is written before the id. */
const BODY = BackendRow.offsets.port;

const FREE = 0;
/** Not in the map yet. */
const NEW = 1;
const LIVE = 2;

/** `own`: id of the local cluster, for which a part of the rows is reserved. */
export function createBackendStore(port: ArrayPort, nodeIndexOf: NodeIndexOf, own?: number): BackendStore {
  const rows = createBackendRows(port.maxEntries);
  const adopted = adoptBackends(port, rows);
  const pool = createRowPool(port, adopted.taken, own);
  /** By index. */
  const states: number[] = [FREE];
  const users: number[] = [0];
  /** By index: the node's short name, "" = not known; null: adopted, and no record has named it yet. */
  const nodes: (string | null)[] = [null];
  const words = createWords32(port);
  const changed = new Set<number>();
  const unused = new Set<number>();
  let fresh: number[] = [];
  let cooling: number[] = [];
  for (const index of adopted.taken) adopt(index);

  /** Of two rows with one name only the first can be found; the other is freed when it has no users. */
  function adopt(index: number): void {
    rows.link(index);
    states[index] = LIVE;
    users[index] = 0;
    nodes[index] = null;
    unused.add(index);
  }

  function nodeWord(index: number): number {
    return nodeIndexOf(backendNode(clusterOf(rows.get(index, Word.cluster)), nodes[index] ?? ""));
  }

  function add(backend: MergedBackend, place: number): number {
    const { clusterId, node } = backend;
    const index = pool.take(clusterId);
    states[index] = NEW;
    users[index] = 1;
    nodes[index] = node;
    rows.fill(index, {
      id: backendId(nextGeneration(adopted.generations.get(index) ?? 0), index),
      portWord: place,
      node: nodeIndexOf(backendNode(clusterId, node)),
      clusterWord: clusterWord(clusterId, backendFlags(backend)),
      address: backend,
    });
    rows.link(index);
    fresh.push(index);
    return index;
  }

  /** Counts one more user of an existing row, and updates the row from the backend. */
  function use(index: number, backend: MergedBackend): void {
    const cluster = clusterWord(backend.clusterId, backendFlags(backend));
    if (nodes[index] !== backend.node) {
      nodes[index] = backend.node;
      setWord(index, Word.node, nodeWord(index));
    }
    setWord(index, Word.cluster, cluster);
    if (users[index] === 0) unused.delete(index);
    users[index] = (users[index] ?? 0) + 1;
  }

  function setWord(index: number, word: number, value: number): void {
    if (rows.get(index, word) === value) return;
    rows.set(index, word, value);
    if (states[index] === LIVE) changed.add(index);
  }

  /** The row of an id, new or live; 0 = none. */
  function rowOf(id: number): number {
    const index = backendIndex(id);
    return (states[index] ?? FREE) !== FREE && rows.get(index, Word.id) === id ? index : 0;
  }

  function forget(index: number): void {
    rows.unlink(index);
    states[index] = FREE;
    nodes[index] = null;
    changed.delete(index);
  }

  function writeNew(): void {
    const indexes: number[] = [];
    for (const index of fresh) {
      // Released meanwhile; or acquired again after that, and so twice in the list.
      if (states[index] !== NEW) continue;
      states[index] = LIVE;
      indexes.push(index);
      words.add(index, 4 * Word.id, rows.get(index, Word.id));
    }
    fresh = [];
    if (indexes.length > 0) port.writeBodies(new Uint32Array(indexes), rows.bodies(indexes), BODY);
    words.store();
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
      if (index === 0) return;
      const left = (users[index] ?? 0) - 1;
      users[index] = left;
      if (left > 0) return;
      if (states[index] === LIVE) unused.add(index);
      else {
        forget(index);
        pool.give(index);
      }
    },
    adoptUse(id) {
      const index = rowOf(id);
      if (index === 0) return;
      if (users[index] === 0) unused.delete(index);
      users[index] = (users[index] ?? 0) + 1;
    },
    updateNodes(names) {
      if (names.length === 0) return;
      const moved = new Set<NodeName | undefined>(names);
      for (let index = 1; index < states.length; index++) {
        const node = nodes[index];
        if (states[index] === FREE || node === null || node === undefined) continue;
        if (moved.has(backendNode(clusterOf(rows.get(index, Word.cluster)), node)))
          setWord(index, Word.node, nodeWord(index));
      }
    },
    clearNodes(indexes) {
      for (let index = 1; index < states.length; index++) {
        if (states[index] !== FREE && indexes.has(rows.get(index, Word.node))) setWord(index, Word.node, 0);
      }
    },
    write() {
      writeNew();
      for (const index of changed) {
        words.add(index, 4 * Word.node, rows.get(index, Word.node));
        words.add(index, 4 * Word.cluster, rows.get(index, Word.cluster));
      }
      words.store();
      changed.clear();
    },
    get garbage() {
      return unused.size > 0 || cooling.length > 0;
    },
    retire() {
      for (const index of unused) {
        forget(index);
        adopted.generations.set(index, backendGeneration(rows.get(index, Word.id)));
        words.add(index, 4 * Word.id, 0);
        cooling.push(index);
      }
      words.store();
      unused.clear();
    },
    get cooling() {
      return cooling;
    },
    recycle(indexes) {
      for (const index of indexes) {
        port.writeBody(index, tombstone(adopted.generations.get(index) ?? 0), BODY);
        pool.give(index);
      }
      const done = new Set(indexes);
      cooling = cooling.filter((index) => !done.has(index));
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
