/**
 * The number of keys to request in the next page of a listing, so that pages stay near `PAGE_BYTES`: etcd limits only
 * the number of keys.
 *
 * It begins small, follows the size of the received pages, and grows fourfold at most. A page that was too large to be
 * received is requested again with a quarter of the keys.
 */
/** Target size of a page. */
export const PAGE_BYTES = 2 << 20;
const FIRST_KEYS = 100;

export interface PageSize {
  /** From 1 to the `most` of `createPageSize`. */
  readonly keys: number;
  /** Takes the size of a received page: its number of keys, and the bytes of keys and values. */
  recordPage(keys: number, bytes: number): void;
  /** Reduces the size after an answer larger than a message may be; false: it is already one key. */
  shrink(): boolean;
}

/** `most`: no page has more keys. One object for each listing. */
export function createPageSize(most: number): PageSize {
  let keys = Math.min(FIRST_KEYS, most);
  return {
    get keys() {
      return keys;
    },
    recordPage(count, bytes) {
      if (count === 0) return;
      const fitting = Math.floor(PAGE_BYTES / (bytes / count));
      keys = Math.max(1, Math.min(fitting, keys * 4, most));
    },
    shrink() {
      if (keys === 1) return false;
      keys = Math.max(1, keys >> 2);
      return true;
    },
  };
}
