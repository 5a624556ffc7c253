/**
 * This cluster's keys in the store: what the publisher reads, writes and watches there. Results are events of step.ts, with keys
 * relative to the cluster's prefix.
 */
import {
  authEnabled,
  claimKey,
  clusterPrefix,
  mayHaveHappened,
  type Store,
  storeError,
  type WatchMessage,
} from "@isthmus/kvstore";
import { type Clock, parseClusterId, parseClusterName } from "@isthmus/model";
import type { Metrics } from "@isthmus/observe";
import { ClusterClaim, type ClusterConfig } from "@isthmus/proto";
import { readIdClaim } from "../store/id-claim.js";
import type { NewPublisherEvent, PublisherEffect, StoredKey } from "./events.js";

export interface ClusterKeys {
  /** Reads everything that the start must know. Rejects with a StoreError. */
  inspect(signal: AbortSignal): Promise<NewPublisherEvent>;
  /** Claims the cluster's id; the next `inspect` reads which cluster holds it. */
  takeClaim(): Promise<NewPublisherEvent>;
  /** Reads head and fence. Rejects with a StoreError. */
  readHead(): Promise<NewPublisherEvent>;
  /** Never rejects: a failure is an event. */
  transact(txn: PublisherEffect & { readonly type: "txn" }): Promise<NewPublisherEvent>;
  /** Replaces the watch before. */
  watch(from: bigint, onEvent: (event: NewPublisherEvent) => void): void;
  /** Ends the watch. */
  close(): void;
}

/** Throws for a name or id that no cluster can have. */
export function createClusterKeys(
  config: ClusterConfig,
  { store, clock, metrics }: { readonly store: Store; readonly clock: Clock; readonly metrics?: Metrics | undefined },
): ClusterKeys {
  const prefix = clusterPrefix(parseClusterName(config.name));
  const id = parseClusterId(config.id);
  const txnSeconds = metrics?.histogram(
    "mesh_publish_txn_seconds",
    "Time of one txn of the publisher",
    [],
    [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3],
  );
  const records = metrics?.counter("mesh_publish_writes_total", "Keys written to the store, heads included");
  let watching = new AbortController();

  function relative(entry: StoredKey): StoredKey {
    return { key: entry.key.slice(prefix.length), value: entry.value, modRevision: entry.modRevision };
  }

  function watchEvent(message: WatchMessage): NewPublisherEvent | undefined {
    switch (message.type) {
      case "events":
        return {
          type: "seen",
          events: message.events.map((event) => ({ ...relative(event), deleted: event.type === "delete" })),
        };
      case "compacted":
      case "set-back":
      case "refused":
        return { type: "watch-over", sentence: `The watch of this cluster's records ended: ${message.type}` };
      default:
        return undefined;
    }
  }

  return {
    async inspect(signal) {
      const [authOn, claimed] = await Promise.all([authEnabled(store), readIdClaim(store, id)]);
      const entries: StoredKey[] = [];
      let revision = claimed.revision;
      for await (const page of store.list(prefix, { signal })) {
        for (const entry of page.entries) entries.push(relative(entry));
        revision = page.revision;
      }
      return { type: "inspected", authOn, claim: claimed.claim, entries, revision };
    },
    async takeClaim() {
      const key = claimKey(id);
      const value = ClusterClaim.encode({ name: config.name, uid: config.uid }).finish();
      await store.txn([{ key, modRevision: 0n }], [{ type: "put", key, value }]);
      return { type: "claimed" };
    },
    async readHead() {
      const [head, fence] = await Promise.all([store.get(`${prefix}head`), store.get(`${prefix}fence`)]);
      return { type: "head-read", head: head.entry, fence: fence.entry };
    },
    async transact({ id, compares, writes }) {
      const start = clock.now();
      try {
        const { committed, revision } = await store.txn(
          compares.map((compare) => ({ ...compare, key: prefix + compare.key })),
          writes.map((write) => ({ ...write, key: prefix + write.key })),
        );
        txnSeconds?.observe((clock.now() - start) / 1000);
        if (!committed) return { type: "rejected", id };
        records?.add({}, writes.length);
        return { type: "committed", id, revision };
      } catch (thrown) {
        const error = storeError(thrown, "write to the store");
        const full = error.code === "STORE_FULL";
        return { type: "failed", id, sentence: error.message, mayHaveHappened: mayHaveHappened(error), full };
      }
    },
    watch(from, onEvent) {
      watching.abort();
      watching = new AbortController();
      void store.watch({ prefix, from, signal: watching.signal }, (message) => {
        const event = watchEvent(message);
        if (event !== undefined) onEvent(event);
      });
    },
    close: () => watching.abort(),
  };
}
