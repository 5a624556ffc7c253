/** One peer's part of the store, read: everything at one revision, the store's id, the head, and what its watch tells. */
import {
  authEnabled,
  claimKey,
  clusterPrefix,
  HEAD_KEY,
  STORE_KEY,
  type Store,
  type StoreEntry,
  StoreError,
  type StoreEvent,
} from "@isthmus/kvstore";
import { type ClusterId, type ClusterName, parseClusterId, parseClusterName } from "@isthmus/model";
import type { ClusterClaim } from "@isthmus/proto";
import { type HashedRecord, hashRecord, kindOfKey, readClaim } from "@isthmus/records";
import type { EventOf, Meta, NewReaderEvent, Seen } from "./events.js";

export interface PeerStoreOptions {
  readonly cluster: ClusterName;
  readonly id: ClusterId;
  /** Read although the store checks nobody who writes (tests, a store of one's own). */
  readonly allowOpenStore?: boolean;
}

/** Every call rejects with what the store said. Keys that come out are relative to `prefix`. */
export interface PeerStore {
  readonly prefix: string;
  /** Everything under the prefix at one revision, and who has claimed the peer's id. */
  range(signal: AbortSignal | undefined): Promise<NewReaderEvent<EventOf<"ranged">>>;
  /** By quorum; undefined: it has none. */
  storeId(): Promise<{ readonly storeId: Uint8Array | undefined; readonly revision: bigint }>;
  /** The store does not check who writes, and that is not allowed. */
  isUnchecked(): Promise<boolean>;
  /** Of the newest head, by quorum; 0n: it has none. */
  headRevision(): Promise<bigint>;
  seen(event: StoreEvent): Seen;
}

export function createPeerStore(options: PeerStoreOptions, store: Store): PeerStore {
  const prefix = clusterPrefix(parseClusterName(options.cluster));

  function relative<E extends StoreEntry>(entry: E): E {
    return { ...entry, key: entry.key.slice(prefix.length) };
  }

  async function isUnchecked(): Promise<boolean> {
    return options.allowOpenStore !== true && !(await authEnabled(store));
  }

  async function readIdClaim(): Promise<ClusterClaim | undefined> {
    const { entry } = await store.get(claimKey(parseClusterId(options.id)));
    const claim = entry && readClaim(entry.value);
    if (entry === undefined || claim !== undefined) return claim;
    const action = `read who has claimed id ${options.id}`;
    throw new StoreError({ code: "STORE_ERROR", action }, `Cannot ${action}: what stands in the store is no claim`);
  }

  return {
    prefix,
    isUnchecked,
    async range(signal) {
      const claim = await readIdClaim();
      const records: HashedRecord[] = [];
      const metas: Meta[] = [];
      let revision = 0n;
      for await (const page of store.list(prefix, signal && { signal })) {
        revision = page.revision;
        for (const entry of page.entries) sort(relative(entry), records, metas);
      }
      const unchecked = await isUnchecked();
      return { type: "ranged", records, metas, claim, revision, unchecked };
    },
    async storeId() {
      const { entry, revision } = await store.get(prefix + STORE_KEY);
      return { storeId: entry?.value, revision };
    },
    async headRevision() {
      const { entry } = await store.get(prefix + HEAD_KEY);
      return entry?.modRevision ?? 0n;
    },
    seen(event) {
      const { key, value, modRevision } = relative(event);
      const deleted = event.type === "delete";
      const kind = kindOfKey(key);
      if (deleted || kind === undefined) return { key, value, modRevision, deleted };
      return { key, value, modRevision, deleted, record: hashRecord(kind, key, value) };
    },
  };
}

/** Records by kind; the keys beside them; what no version knows is no one's. */
function sort(entry: StoreEntry, records: HashedRecord[], metas: Meta[]): void {
  const kind = kindOfKey(entry.key);
  if (kind !== undefined) records.push(hashRecord(kind, entry.key, entry.value));
  else if (!entry.key.includes("/")) metas.push(entry);
}
