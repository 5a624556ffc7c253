/** Finds the address blocks that select a prefix: one look-up for each length that some block has. */

import type { Labels } from "@isthmus/identity";
import type { Prefix } from "@isthmus/model";
import { blockSelects, maskedKey } from "../model/address-block.js";
import { type BlockPeer, peerText } from "../model/policy.js";
import { selects } from "../model/selector.js";

interface Entry<T> {
  readonly peer: BlockPeer;
  readonly value: T;
}

export interface BlockIndex<T> {
  /** Each peer text at most once. */
  add(peer: BlockPeer, value: T): void;
  /** Nothing happens for one that is not there. */
  delete(peer: BlockPeer): void;
  /** Appends the values of all peers that select the prefix and the labels to `into`, each once, in no order. */
  collect(prefix: Prefix, labels: Labels, into: T[]): void;
}

/** An empty index; `T` is what is found. */
export function createBlockIndex<T>(): BlockIndex<T> {
  /** By length, by the masked address, by text. */
  const lengths = new Map<number, Map<string, Map<string, Entry<T>>>>();
  return {
    add(peer, value) {
      const { address, length } = peer.block.cidr;
      const prefixes = lengths.get(length) ?? new Map<string, Map<string, Entry<T>>>();
      lengths.set(length, prefixes);
      const key = maskedKey(address, length);
      const peers = prefixes.get(key) ?? new Map<string, Entry<T>>();
      prefixes.set(key, peers);
      peers.set(peerText(peer), { peer, value });
    },
    delete(peer) {
      const { address, length } = peer.block.cidr;
      const prefixes = lengths.get(length);
      const key = maskedKey(address, length);
      const peers = prefixes?.get(key);
      peers?.delete(peerText(peer));
      if (peers?.size === 0) prefixes?.delete(key);
      if (prefixes?.size === 0) lengths.delete(length);
    },
    collect(prefix, labels, into) {
      for (const [length, prefixes] of lengths) {
        if (length > prefix.length) continue;
        const peers = prefixes.get(maskedKey(prefix.address, length));
        if (peers === undefined) continue;
        for (const { peer, value } of peers.values())
          if (blockSelects(peer.block, prefix) && selects(peer.selector, labels)) into.push(value);
      }
    },
  };
}
