/**
 * The rows of mesh_backends: who has which index, who uses it, what is still to be written.
 *
 * ```
 *   free ──acquire──► new ──write──► live ──release, grace──► retired (id = 0) ──grace──► free
 *                                     ▲──────── acquire ───────┘ only before it is retired
 * ```
 * Body first, then the id by one store; freed by id = 0 first, and the index is used again only a grace period later,
 * because programs keep ids for longer than one run (UDP sockets). A free row keeps its last generation in `node`, with
 * cluster 0: how a fresh agent goes on counting.
 */
import { BackendRow, backendGeneration, backendId, backendIndex, nextGeneration } from "@isthmus/bpf";
import type { ArrayPort } from "@isthmus/reconcile";
import { backendKey, type DesiredBackend } from "../desired/backends.js";
import type { NodeName } from "../desired/nodes.js";
import { mapFull } from "./full.js";
import { createIndexPool, type IndexPool } from "./index-pool.js";

/** Turns a node's name into its index; 0 = not known. */
export type NodeIndexOf = (name: NodeName | undefined) => number;

export interface BackendStore {
  /** The id of a backend, counted once more; makes a row when there is none. Throws `MAP_FULL`. */
  acquire(backend: DesiredBackend): number;
  /** One user less. */
  release(id: number): void;
  /** Counts a user of an id found in a table; ids of no living row are ignored. */
  adoptUse(id: number): void;
  /** Rows of these nodes take their (new) index. One pass over all rows: nodes move seldom. */
  moveNodes(names: readonly NodeName[]): void;
  /** Adopted rows whose node nobody has said yet, and that name one of these indexes: from now on on no known node. */
  leaveNodes(indexes: ReadonlySet<number>): void;
  /** Writes new rows, then words that changed. */
  write(): void;
  /** True when `retire` or `recycle` have work. */
  readonly garbage: boolean;
  /** After a grace period: id = 0 for rows without users. */
  retire(): void;
  /** What `retire` has freed before the last grace period began. */
  readonly cooling: readonly number[];
  /** After a further grace period: these indexes may be used again. */
  recycle(indexes: readonly number[]): void;
  /** Clusters of the rows that were adopted. */
  readonly foundClusters: ReadonlySet<number>;
  readonly used: number;
  readonly capacity: number;
}

interface Entry {
  readonly key: string;
  id: number;
  users: number;
  /** Null: adopted, and nobody has said yet. */
  node: NodeName | undefined | null;
  /** Bytes 8..11: index of the node. */
  nodeWord: number;
  /** Bytes 12..15: cluster | zone << 16 | flags << 24. */
  attributes: number;
  /** The row to be written; undefined once it stands in the map. */
  body: DesiredBackend | undefined;
}

const AT = BackendRow.offsets;
const CHUNK = 4096;
const row = scratch();

export function createBackendStore(port: ArrayPort, nodeIndexOf: NodeIndexOf): BackendStore {
  const byIndex: (Entry | undefined)[] = [];
  const byKey = new Map<string, Entry>();
  const generations = new Map<number, number>();
  let fresh: Entry[] = [];
  const changed = new Set<Entry>();
  const unused = new Set<Entry>();
  const foundClusters = new Set<number>();
  let cooling: number[] = [];
  const pool = load();

  /** Adopts what the map holds. Of two rows with one name the first is taken; the other goes when its users do. */
  function load(): IndexPool {
    const taken = new Set<number>();
    for (let first = 0; first < port.maxEntries; first += CHUNK) {
      const count = Math.min(CHUNK, port.maxEntries - first);
      const bytes = port.read(first, count);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let i = 0; i < count; i++) {
        const at = i * BackendRow.size;
        const id = view.getUint32(at + AT.id, true);
        const index = first + i;
        if (index > 0 && id !== 0 && backendIndex(id) === index) taken.add(adopt(bytes, view, at));
        else if (index > 0) adoptFree(view, at, index);
      }
    }
    return createIndexPool(port.maxEntries, taken);
  }

  function adopt(bytes: Uint8Array, view: DataView, at: number): number {
    const id = view.getUint32(at + AT.id, true);
    const attributes = view.getUint32(at + AT.cluster, true);
    const proto = view.getUint8(at + AT.proto);
    const key = backendKey(attributes & 0xffff, bytes, view.getUint16(at + AT.port), proto, at + AT.addr);
    const nodeWord = view.getUint32(at + AT.node, true);
    const entry: Entry = { key, id, users: 0, node: null, nodeWord, attributes, body: undefined };
    if (!byKey.has(key)) byKey.set(key, entry);
    byIndex[backendIndex(id)] = entry;
    unused.add(entry);
    foundClusters.add(attributes & 0xffff);
    return backendIndex(id);
  }

  function adoptFree(view: DataView, at: number, index: number): void {
    if (view.getUint32(at + AT.node, true) === 0 && view.getUint16(at + AT.cluster, true) === 0) return;
    const tombstone = view.getUint16(at + AT.cluster, true) === 0;
    // A crash came before the tombstone: the generation is lost, and any other than the likely small ones will do.
    generations.set(index, tombstone ? view.getUint32(at + AT.node, true) & 0xff : 128 + (index % 100));
  }

  function add(backend: DesiredBackend): Entry {
    const index = pool.take();
    if (index === undefined) throw mapFull(port.name, port.maxEntries);
    const id = backendId(nextGeneration(generations.get(index) ?? 0), index);
    const entry: Entry = {
      key: backend.key,
      id,
      users: 1,
      node: backend.node,
      nodeWord: nodeIndexOf(backend.node),
      attributes: attributesOf(backend),
      body: backend,
    };
    byIndex[index] = entry;
    byKey.set(backend.key, entry);
    fresh.push(entry);
    return entry;
  }

  function refresh(entry: Entry, backend: DesiredBackend): void {
    const nodeWord = entry.node === backend.node ? entry.nodeWord : nodeIndexOf(backend.node);
    entry.node = backend.node;
    const attributes = attributesOf(backend);
    if (entry.nodeWord === nodeWord && entry.attributes === attributes) return;
    entry.nodeWord = nodeWord;
    entry.attributes = attributes;
    if (entry.body === undefined) changed.add(entry);
  }

  function forget(entry: Entry): number {
    const index = backendIndex(entry.id);
    if (byKey.get(entry.key) === entry) byKey.delete(entry.key);
    byIndex[index] = undefined;
    changed.delete(entry);
    entry.body = undefined;
    return index;
  }

  function writeNew(entry: Entry, backend: DesiredBackend): void {
    row.view.setUint16(AT.port, backend.port);
    row.view.setUint16(AT.proto, backend.protocol, true);
    row.view.setUint32(AT.node, entry.nodeWord, true);
    row.view.setUint32(AT.cluster, entry.attributes, true);
    row.bytes.set(backend.address, AT.addr);
    const index = backendIndex(entry.id);
    port.writeBody(index, row.body, 4);
    port.storeWord32(index, AT.id, entry.id);
    entry.body = undefined;
  }

  return {
    acquire(backend) {
      const known = byKey.get(backend.key);
      if (known === undefined) return add(backend).id;
      refresh(known, backend);
      if (known.users++ === 0) unused.delete(known);
      return known.id;
    },
    release(id) {
      const entry = byIndex[backendIndex(id)];
      if (entry?.id !== id || --entry.users > 0) return;
      if (entry.body !== undefined) pool.give(forget(entry));
      else unused.add(entry);
    },
    adoptUse(id) {
      const entry = byIndex[backendIndex(id)];
      if (entry?.id !== id) return;
      if (entry.users++ === 0) unused.delete(entry);
    },
    moveNodes(names) {
      const moved = new Map(names.map((name) => [name, nodeIndexOf(name)]));
      if (moved.size === 0) return;
      for (const entry of byIndex) {
        const index = entry?.node == null ? undefined : moved.get(entry.node);
        if (entry === undefined || index === undefined || index === entry.nodeWord) continue;
        entry.nodeWord = index;
        if (entry.body === undefined) changed.add(entry);
      }
    },
    leaveNodes(indexes) {
      for (const entry of byIndex) {
        if (entry === undefined || entry.node !== null || !indexes.has(entry.nodeWord)) continue;
        entry.nodeWord = 0;
        changed.add(entry);
      }
    },
    write() {
      for (const entry of fresh) if (entry.body !== undefined) writeNew(entry, entry.body);
      fresh = [];
      for (const entry of changed) {
        const index = backendIndex(entry.id);
        port.storeWord32(index, AT.node, entry.nodeWord);
        port.storeWord32(index, AT.cluster, entry.attributes);
      }
      changed.clear();
    },
    get garbage() {
      return unused.size > 0 || cooling.length > 0;
    },
    retire() {
      for (const entry of unused) {
        const index = forget(entry);
        port.storeWord32(index, AT.id, 0);
        generations.set(index, backendGeneration(entry.id));
        cooling.push(index);
      }
      unused.clear();
    },
    get cooling() {
      return cooling;
    },
    recycle(indexes) {
      for (const index of indexes) {
        port.writeBody(index, tombstone(generations.get(index) ?? 0), 4);
        pool.give(index);
      }
      const done = new Set(indexes);
      cooling = cooling.filter((index) => !done.has(index));
    },
    foundClusters,
    get used() {
      return pool.used;
    },
    capacity: port.maxEntries - 1,
  };
}

function attributesOf(row: { readonly cluster: number; readonly flags: number; readonly zone?: number }): number {
  return (row.cluster | ((row.zone ?? 0) << 16) | (row.flags << 24)) >>> 0;
}

/** Body of a free row, without its id. */
function tombstone(generation: number): Uint8Array {
  const none = { id: 0, port: 0, proto: 0, state: 0, cluster: 0, zone: 0, flags: 0, addr: new Uint8Array(16) };
  return BackendRow.encode({ ...none, node: generation }).subarray(4);
}

/** One row's bytes, filled anew for each write. */
function scratch(): { readonly bytes: Uint8Array; readonly view: DataView; readonly body: Uint8Array } {
  const bytes = new Uint8Array(BackendRow.size);
  return { bytes, view: new DataView(bytes.buffer), body: bytes.subarray(4) };
}
