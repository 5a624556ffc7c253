/** Reads one peer's part of the store: all keys at one revision, the store's id, the head, and the events of its watch. */
import {
  authEnabled,
  clusterPrefix,
  HEAD_KEY,
  STORE_KEY,
  type Store,
  type StoreEntry,
  type StoreEvent,
  storeError,
} from "@isthmus/kvstore";
import { type ClusterId, type ClusterName, parseClusterId, parseClusterName } from "@isthmus/model";
import { type HashedRecord, kindOfKey, peerKey, peerRecord } from "@isthmus/records";
import { readIdClaim } from "../store/id-claim.js";
import { type Budget, DEFAULT_BUDGET, overBudget } from "./budget.js";
import type { EventOf, Meta, NewReaderEvent, WatchedChange } from "./events.js";

export interface PeerStoreOptions {
  /** The peer's name, which determines its prefix in the store. */
  readonly cluster: ClusterName;
  /** Its claim in the store is read with each listing: a claim of another cluster refuses the peer. */
  readonly id: ClusterId;
  /** Allows a store that does not authenticate its writers (tests, a private store). */
  readonly allowOpenStore?: boolean;
  /** DEFAULT_BUDGET when absent. */
  readonly budget?: Budget;
}

/** Every call but `check` rejects with the store's error. Returned keys are relative to `prefix`. */
export interface PeerStore {
  /** Of all keys of the peer: `/mesh/v1/c/east/`. */
  readonly prefix: string;
  /** Lists the prefix at one revision and reads the claim of the peer's id; the listing ends once it is over budget. */
  list(signal: AbortSignal | undefined): Promise<NewReaderEvent<EventOf<"listed" | "over-budget">>>;
  /** Reads the store's id by quorum; undefined: the store has none. */
  storeId(): Promise<{ readonly storeId: Uint8Array | undefined; readonly revision: bigint }>;
  /** Checks the store's id and authentication for the watch stream of this number. Never rejects: a failure is an event. */
  check(open: number): Promise<NewReaderEvent<EventOf<"store-checked" | "check-failed">>>;
  /** Reads the revision of the newest head by quorum; 0n: there is no head. */
  headRevision(): Promise<bigint>;
  /** Converts an event of a watch of `prefix`; a put of a known kind has a record. */
  seen(event: StoreEvent): WatchedChange;
}

/** Throws for a name that no cluster can have. Does not close `store`. */
export function createPeerStore(options: PeerStoreOptions, store: Store): PeerStore {
  const prefix = clusterPrefix(parseClusterName(options.cluster));
  const { budget = DEFAULT_BUDGET } = options;

  function relative<E extends StoreEntry>(entry: E): E {
    return { ...entry, key: entry.key.slice(prefix.length) };
  }

  /** True when the store does not authenticate its writers and `allowOpenStore` is not set. */
  async function isUnchecked(): Promise<boolean> {
    return options.allowOpenStore !== true && !(await authEnabled(store));
  }

  /** Returns why the listing was stopped; undefined: it is complete. */
  async function fill(listing: Listing, signal: AbortSignal | undefined): Promise<string | undefined> {
    for await (const page of store.list(prefix, signal && { signal })) {
      listing.revision = page.revision;
      for (const entry of page.entries) add(listing, relative(entry));
      const sentence = overBudget(listing.used, budget, options.cluster);
      if (sentence !== undefined) return sentence;
    }
    return undefined;
  }

  /** Reads the store's id by quorum. */
  async function storeId(): Promise<{ readonly storeId: Uint8Array | undefined; readonly revision: bigint }> {
    const { entry, revision } = await store.get(prefix + STORE_KEY);
    return { storeId: entry?.value, revision };
  }

  return {
    prefix,
    storeId,
    async check(open) {
      try {
        const found = await storeId();
        return { type: "store-checked", open, ...found, unchecked: await isUnchecked() };
      } catch (thrown) {
        return { type: "check-failed", open, sentence: storeError(thrown, "read the store's id").message };
      }
    },
    async list(signal) {
      const { claim } = await readIdClaim(store, parseClusterId(options.id));
      const keys = await store.count(prefix);
      const listing: Listing = { records: [], metas: [], used: { records: 0, bytes: 0 }, revision: 0n };
      const tooMany = overBudget({ records: keys, bytes: 0 }, budget, options.cluster);
      const sentence = tooMany ?? (await fill(listing, signal));
      if (sentence !== undefined) return { type: "over-budget", sentence };
      const { records, metas, revision } = listing;
      return { type: "listed", records, metas, claim, revision, unchecked: await isUnchecked() };
    },
    async headRevision() {
      const { entry } = await store.get(prefix + HEAD_KEY);
      return entry?.modRevision ?? 0n;
    },
    seen(event) {
      const { key, value, modRevision } = relative(event);
      const deleted = event.type === "delete";
      const kind = kindOfKey(key);
      if (kind === undefined) return { key, value, modRevision, deleted };
      if (deleted) return { key: peerKey(key), value, modRevision, deleted };
      const record = peerRecord(kind, key, value);
      return { key: record.key, value: record.value, modRevision, deleted, record };
    },
  };
}

interface Listing {
  readonly records: HashedRecord[];
  readonly metas: Meta[];
  used: Budget;
  revision: bigint;
}

/** Keeps records of known kinds and the meta keys that a reader uses; other keys are only counted. */
function add(listing: Listing, entry: StoreEntry): void {
  const { key, value } = entry;
  const { records, bytes } = listing.used;
  listing.used = { records: records + 1, bytes: bytes + key.length + value.length };
  const kind = kindOfKey(key);
  if (kind !== undefined) listing.records.push(peerRecord(kind, key, value));
  else if (key === HEAD_KEY || key === STORE_KEY) listing.metas.push(entry);
}
