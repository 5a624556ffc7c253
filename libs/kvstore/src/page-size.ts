/**
 * How many keys the next page of a listing asks for, so that a page stays near `PAGE_BYTES`: etcd bounds pages by keys alone.
 *
 * Begins small, follows the size of what came, grows by four at most; an answer that was too large to be taken is asked for
 * again with a quarter of the keys.
 */
/** Bytes that a page should have. */
export const PAGE_BYTES = 2 << 20;
const FIRST_KEYS = 100;

export interface PageSize {
  readonly keys: number;
  /** Takes the size of a received page: its number of keys, and the bytes of keys and values. */
  came(keys: number, bytes: number): void;
  /** The answer was larger than a message may be; false: it cannot get smaller. */
  tooLarge(): boolean;
}

export function createPageSize(most: number): PageSize {
  let keys = Math.min(FIRST_KEYS, most);
  return {
    get keys() {
      return keys;
    },
    came(count, bytes) {
      if (count === 0) return;
      const fitting = Math.floor(PAGE_BYTES / (bytes / count));
      keys = Math.max(1, Math.min(fitting, keys * 4, most));
    },
    tooLarge() {
      if (keys === 1) return false;
      keys = Math.max(1, keys >> 2);
      return true;
    },
  };
}
