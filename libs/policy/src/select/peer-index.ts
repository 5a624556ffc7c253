/** Finds the peers, selectors and address blocks alike, that match an identity. */

import type { Labels } from "@isthmus/identity";
import type { Prefix } from "@isthmus/model";
import type { Peer } from "../model/policy.js";
import { createBlockIndex } from "./block-index.js";
import { createLabelIndex } from "./label-index.js";

/** What peers are compared with. */
export interface Matchable {
  /** Empty for what has none. */
  readonly labels: Labels;
  /** Contains all addresses of the identity, and no longer prefix that some policy names does; absent: none is in any. */
  readonly prefix?: Prefix;
}

export interface PeerIndex<T> {
  /** Each peer text at most once. */
  add(peer: Peer, value: T): void;
  /** Nothing happens for one that is not there. */
  delete(peer: Peer): void;
  /** The values of all peers that match, each once, in no order. */
  matching(identity: Matchable): T[];
}

/** An empty index; `T` is what is found. */
export function createPeerIndex<T>(): PeerIndex<T> {
  const labels = createLabelIndex<T>();
  const blocks = createBlockIndex<T>();
  return {
    add(peer, value) {
      if (peer.kind === "labels") labels.add(peer.selector, value);
      else blocks.add(peer, value);
    },
    delete(peer) {
      if (peer.kind === "labels") labels.delete(peer.selector);
      else blocks.delete(peer);
    },
    matching(identity) {
      const found: T[] = [];
      labels.collect(identity.labels, found);
      if (identity.prefix !== undefined) blocks.collect(identity.prefix, identity.labels, found);
      return found;
    },
  };
}
