/** Finds the address blocks that select a prefix: one look-up for each length that some block has. */
import type { Prefix } from "@isthmus/model";
import { type AddressBlock, blockSelects, maskedKey } from "../model/address-block.js";

interface Entry<T> {
  readonly block: AddressBlock;
  readonly value: T;
}

export interface BlockIndex<T> {
  /** Each block text at most once. */
  add(block: AddressBlock, value: T): void;
  /** Nothing happens for one that is not there. */
  delete(block: AddressBlock): void;
  /** Appends the values of all blocks that select the prefix to `into`, each once, in no order. */
  collect(prefix: Prefix, into: T[]): void;
}

/** An empty index; `T` is what is found. */
export function createBlockIndex<T>(): BlockIndex<T> {
  /** By length, by the masked address, by text. */
  const lengths = new Map<number, Map<string, Map<string, Entry<T>>>>();
  return {
    add(block, value) {
      const { address, length } = block.cidr;
      const prefixes = lengths.get(length) ?? new Map<string, Map<string, Entry<T>>>();
      lengths.set(length, prefixes);
      const key = maskedKey(address, length);
      const blocks = prefixes.get(key) ?? new Map<string, Entry<T>>();
      prefixes.set(key, blocks);
      blocks.set(block.text, { block, value });
    },
    delete(block) {
      const { address, length } = block.cidr;
      const prefixes = lengths.get(length);
      const key = maskedKey(address, length);
      const blocks = prefixes?.get(key);
      blocks?.delete(block.text);
      if (blocks?.size === 0) prefixes?.delete(key);
      if (prefixes?.size === 0) lengths.delete(length);
    },
    collect(prefix, into) {
      for (const [length, prefixes] of lengths) {
        if (length > prefix.length) continue;
        const blocks = prefixes.get(maskedKey(prefix.address, length));
        if (blocks === undefined) continue;
        for (const { block, value } of blocks.values()) if (blockSelects(block, prefix)) into.push(value);
      }
    },
  };
}
