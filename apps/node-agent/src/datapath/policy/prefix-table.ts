/** Prefixes with their identities, as the map holds them: the longest one that contains an address answers. */
import { IpcachePrefixKey } from "@isthmus/bpf";
import { bytesKey, type Prefix, prefixMask } from "@isthmus/model";

export interface PrefixRow {
  /** Of the addresses that have none of their own. */
  readonly identity: number;
  /** Each known address of it has a row of its own. */
  readonly exact: boolean;
}

export interface PrefixTable {
  /** By key of the map, latin1. */
  readonly rows: ReadonlyMap<string, PrefixRow>;
  /** Adds or replaces a row. */
  set(key: string, row: PrefixRow): void;
  /** Nothing happens if there is none. */
  delete(key: string): void;
  /** Undefined when no prefix contains the address. */
  find(address: Uint8Array): PrefixRow | undefined;
}

/** Bits of the key before the address. */
const SPACE_BITS = 32;

/** Key of mesh_ipcache_prefixes, latin1, as the kernel compares it: two texts of one prefix have one. */
export function prefixKey({ address, length }: Prefix): string {
  const mask = prefixMask(length);
  const addr = address.map((byte, i) => byte & (mask[i] ?? 0));
  return bytesKey(IpcachePrefixKey.encode({ length: SPACE_BITS + length, space: 0, addr }));
}

/** Without any. */
export function createPrefixTable(): PrefixTable {
  const rows = new Map<string, PrefixRow>();
  /** Number of prefixes of each length. */
  const lengths = new Map<number, number>();
  const lengthOf = (key: string): number => key.charCodeAt(0) + 256 * key.charCodeAt(1) - SPACE_BITS;
  return {
    rows,
    set(key, row) {
      if (!rows.has(key)) lengths.set(lengthOf(key), (lengths.get(lengthOf(key)) ?? 0) + 1);
      rows.set(key, row);
    },
    delete(key) {
      if (!rows.delete(key)) return;
      const left = (lengths.get(lengthOf(key)) ?? 0) - 1;
      if (left > 0) lengths.set(lengthOf(key), left);
      else lengths.delete(lengthOf(key));
    },
    find(address) {
      for (const length of [...lengths.keys()].sort((a, b) => b - a)) {
        const row = rows.get(prefixKey({ address: address as Prefix["address"], length }));
        if (row !== undefined) return row;
      }
      return undefined;
    },
  };
}
