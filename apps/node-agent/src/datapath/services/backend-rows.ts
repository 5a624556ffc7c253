/**
 * The agent's copy of mesh_backends, 32 bytes per row as in the map, and a hash table that finds the row of a backend.
 *
 * A backend is identified by (cluster, address, port, protocol), its name. The hash table holds row indexes (open
 * addressing) and compares with the rows themselves. There is no object or string per backend: 100,000 of them cost a
 * first load 40 % of its CPU time.
 */
import { randomInt } from "node:crypto";
import { BackendFlag, BackendRow, Rank } from "@isthmus/bpf";
import type { AddressWords, MergedBackend } from "@isthmus/clustermesh";

/** Number of words of a row; they are little endian, as in the map. */
const WORDS = BackendRow.size / 4;
const AT = BackendRow.offsets;
/** Places of the words in a row. */
export const Word = {
  id: AT.id / 4,
  port: AT.port / 4,
  node: AT.node / 4,
  cluster: AT.cluster / 4,
  address: AT.addr / 4,
} as const;
const { portWord: PortWord, clusterWord: ClusterWord } = BackendRow;
/** Mask of word `port`: port and protocol, not the state. */
const PLACE = ~PortWord.masks.state;
/** Peers choose addresses and ports: without a secret they could choose them so that all hash to one slot. */
const SEED = randomInt(2 ** 32);

export interface BackendRows {
  /** The row of this backend; 0 = none. `place`: as in the row, see `portWord`. */
  find(cluster: number, address: AddressWords, place: number): number;
  /** Sets all words of a row; `find` returns it only after `link`. */
  fill(index: number, row: NewRow): void;
  /** Adds the row to the hash table, unless a row with the same name is there. */
  link(index: number): void;
  /** Takes the row out of the hash table, unless another one with its name is there; its words stay. */
  unlink(index: number): void;
  /** Unsigned. */
  get(index: number, word: number): number;
  /** Sets one word. What is part of the name must not change while the row is in the hash table. */
  set(index: number, word: number, value: number): void;
  /** Copies rows from bytes of the map. */
  take(first: number, bytes: Uint8Array): void;
  /** The rows without their ids, one after the other. */
  bodies(indexes: readonly number[]): Uint8Array;
}

/** Words of a row, and its address. */
export interface NewRow {
  /** Index and generation, as `backendId` packs them. */
  readonly id: number;
  /** As the function `portWord` packs it. */
  readonly portWord: number;
  /** Index in mesh_nodes; 0 = not known. */
  readonly node: number;
  /** As the function `clusterWord` packs it. */
  readonly clusterWord: number;
  /** Its words are big endian; `fill` turns them round. */
  readonly address: AddressWords;
}

/** Word `port` of a row: port and protocol, and no state. */
export function portWord(port: number, protocol: number): number {
  return PortWord.toWord({ port, proto: protocol, state: Rank.Up });
}

/** Bits of `BackendFlag`. */
export function backendFlags(backend: MergedBackend): number {
  return backend.ready ? 0 : BackendFlag.Terminating;
}

/** Word `cluster` of a row. */
export function clusterWord(cluster: number, flags: number): number {
  return ClusterWord.toWord({ cluster, zone: 0, flags });
}

/** The cluster id in word `cluster` of a row. */
export function clusterOf(word: number): number {
  return ClusterWord.fromWord(word).cluster;
}

/** Has room for all entries from the start, so that nothing grows or is rehashed; untouched pages take no memory. */
export function createBackendRows(maxEntries: number): BackendRows {
  /** Signed, so that V8 never allocates a heap number for a word. */
  const rows = new Int32Array(maxEntries * WORDS);
  /** At most half full. */
  const slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * maxEntries)));

  const nameHash = (cluster: number, place: number, a: number, b: number, c: number, d: number): number => {
    let hash = Math.imul(d ^ SEED ^ Math.imul(cluster, 0x9e3779b1), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15) ^ place, 0xc2b2ae35);
    hash = Math.imul(hash ^ (hash >>> 13) ^ c, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15) ^ b, 0xc2b2ae35);
    hash = Math.imul(hash ^ (hash >>> 13) ^ a, 0x85ebca6b);
    return (hash ^ (hash >>> 16)) >>> 0;
  };

  const word = (index: number, at: number): number => rows[index * WORDS + at] ?? 0;

  const clusterAt = (index: number): number => clusterOf(word(index, Word.cluster));
  const hostPortOf = (index: number): number => word(index, Word.port) & PLACE;

  function hashOf(index: number): number {
    const at = Word.address;
    const [a, b, c, d] = [word(index, at), word(index, at + 1), word(index, at + 2), word(index, at + 3)];
    return nameHash(clusterAt(index), hostPortOf(index), a, b, c, d);
  }

  /** The slot that holds the row of this name, or the empty one where it would be. */
  function slotOf(cluster: number, place: number, a: number, b: number, c: number, d: number): number {
    const mask = slots.length - 1;
    for (let slot = nameHash(cluster, place, a, b, c, d) & mask; ; slot = (slot + 1) & mask) {
      const at = (slots[slot] ?? 0) * WORDS;
      if (at === 0) return slot;
      if (
        rows[at + Word.address + 3] === d &&
        ((rows[at + Word.port] ?? 0) & PLACE) === place &&
        clusterOf(rows[at + Word.cluster] ?? 0) === cluster &&
        rows[at + Word.address + 2] === c &&
        rows[at + Word.address + 1] === b &&
        rows[at + Word.address] === a
      )
        return slot;
    }
  }

  function slotOfRow(index: number): number {
    const at = Word.address;
    const [a, b, c, d] = [word(index, at), word(index, at + 1), word(index, at + 2), word(index, at + 3)];
    return slotOf(clusterAt(index), hostPortOf(index), a, b, c, d);
  }

  /** Empties a slot, and moves up the rows behind it that were put there because it was taken. */
  function emptySlot(empty: number): void {
    const mask = slots.length - 1;
    let hole = empty;
    for (let slot = (hole + 1) & mask; ; slot = (slot + 1) & mask) {
      const index = slots[slot] ?? 0;
      if (index === 0) break;
      if (((slot - hashOf(index)) & mask) < ((slot - hole) & mask)) continue;
      slots[hole] = index;
      hole = slot;
    }
    slots[hole] = 0;
  }

  return {
    find(cluster, { word0, word1, word2, word3 }, place) {
      const slot = slotOf(cluster, place, swapped(word0), swapped(word1), swapped(word2), swapped(word3));
      return slots[slot] ?? 0;
    },
    fill(index, { id, portWord, node, clusterWord: cluster, address }) {
      const at = index * WORDS;
      rows[at + Word.id] = id;
      rows[at + Word.port] = portWord;
      rows[at + Word.node] = node;
      rows[at + Word.cluster] = cluster;
      rows[at + Word.address] = swapped(address.word0);
      rows[at + Word.address + 1] = swapped(address.word1);
      rows[at + Word.address + 2] = swapped(address.word2);
      rows[at + Word.address + 3] = swapped(address.word3);
    },
    link(index) {
      const slot = slotOfRow(index);
      if (slots[slot] === 0) slots[slot] = index;
    },
    unlink(index) {
      const slot = slotOfRow(index);
      if (slots[slot] === index) emptySlot(slot);
    },
    get: (index, at) => word(index, at) >>> 0,
    set(index, at, value) {
      rows[index * WORDS + at] = value;
    },
    take(first, bytes) {
      new Uint8Array(rows.buffer).set(bytes, first * BackendRow.size);
    },
    bodies(indexes) {
      const body = WORDS - 1;
      const words = new Int32Array(indexes.length * body);
      let out = 0;
      for (const index of indexes) for (let i = 1; i <= body; i++) words[out++] = rows[index * WORDS + i] ?? 0;
      return new Uint8Array(words.buffer);
    },
  };
}

/** A word of the other byte order, signed. */
function swapped(word: number): number {
  return (word >>> 24) | ((word >>> 8) & 0xff00) | ((word & 0xff00) << 8) | (word << 24);
}
