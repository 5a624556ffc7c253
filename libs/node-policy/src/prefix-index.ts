/** Finds the longest prefix that contains an address: one look-up for each length that some prefix has. */
import type { Prefix } from "@isthmus/model";
import { maskedKey } from "@isthmus/policy";

export interface PrefixIndex<T> {
  /** Replaces the value of this prefix. Bits beyond its length count for nothing. */
  set(prefix: Prefix, value: T): void;
  /** Nothing happens for one that is not there. */
  delete(prefix: Prefix): void;
  /** The value of the longest prefix of at most `most` bits that contains the address. */
  longest(address: Uint8Array, most?: number): T | undefined;
}

/** Has no prefix. */
export function createPrefixIndex<T>(): PrefixIndex<T> {
  /** By length, by the masked address. */
  const byLength = new Map<number, Map<string, T>>();
  /** Those in `byLength`, longest first. */
  let lengths: readonly number[] = [];

  function sortLengths(): void {
    lengths = [...byLength.keys()].sort((a, b) => b - a);
  }

  return {
    set({ address, length }, value) {
      const values = byLength.get(length) ?? new Map<string, T>();
      values.set(maskedKey(address, length), value);
      if (byLength.has(length)) return;
      byLength.set(length, values);
      sortLengths();
    },
    delete({ address, length }) {
      const values = byLength.get(length);
      values?.delete(maskedKey(address, length));
      if (values?.size !== 0) return;
      byLength.delete(length);
      sortLengths();
    },
    longest(address, most = 128) {
      for (const length of lengths) {
        if (length > most) continue;
        const value = byLength.get(length)?.get(maskedKey(address, length));
        if (value !== undefined) return value;
      }
      return undefined;
    },
  };
}
