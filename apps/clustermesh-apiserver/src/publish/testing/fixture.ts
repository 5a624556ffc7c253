/** For tests: an export set in memory, and a publisher over a real store. */
import { clusterPrefix, createStore, type Store } from "@isthmus/kvstore";
import type { EtcdServer } from "@isthmus/kvstore/testing";
import { parseClusterName, systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { type ClusterConfig, Head, Kind } from "@isthmus/proto";
import {
  createRecordTable,
  type HashedRecord,
  hashRecord,
  kindOfKey,
  type RecordTable,
  STORE_KINDS,
  sameSums,
} from "@isthmus/records";
import { createEmitter } from "@isthmus/runtime";
import { until } from "@isthmus/testing";
import type { ExportChange, ExportSource } from "../export-source.js";
import { createPublisher, type Publisher, type PublisherSettings } from "../publisher.js";

export interface MemoryExport extends ExportSource {
  readonly table: RecordTable;
  change(upserts: readonly HashedRecord[], deletes?: readonly { readonly key: string }[]): void;
}

export function createMemoryExport(records: readonly HashedRecord[] = []): MemoryExport {
  const table = createRecordTable();
  const changes = createEmitter<ExportChange>();
  for (const record of records) table.set(record);
  return {
    table,
    records: () => table.records(),
    onChange: changes.subscribe,
    change(upserts, deletes = []) {
      for (const record of upserts) table.set(record);
      for (const { key } of deletes) table.delete(key);
      changes.emit({ upserts, deletes, observedMicros: systemClock.wallMicros() });
    },
  };
}

export function clusterConfig(name: string, id: number, uid = `uid-${name}`): ClusterConfig {
  const none = Buffer.alloc(0);
  return { name, id, uid, podCidrs: [], serviceCidrs: [], labelFilterDigest: none, version: "test" };
}

export interface Running {
  readonly publisher: Publisher;
  stop(): Promise<void>;
}

export function runPublisher(
  store: Store,
  source: ExportSource,
  settings: Partial<PublisherSettings> & Pick<PublisherSettings, "config">,
  hasLease = false,
): Running {
  const controller = new AbortController();
  const publisher = createPublisher(
    { instance: `instance-${Math.random()}`, allowOpenStore: true, ...settings },
    {
      ...{ store, source, clock: systemClock, log: silentLogger, kubeAgeMs: () => 0, epoch: () => "of-a-test" },
      hasLease: () => hasLease,
    },
  );
  const over = publisher.run(controller.signal);
  return {
    publisher,
    stop: async () => {
      controller.abort();
      await over;
    },
  };
}

/** A record of any kind by its key; `value` need not mean anything. */
export function anyRecord(key: string, value: string | Uint8Array): HashedRecord {
  return hashRecord(kindOfKey(key) ?? Kind.KIND_UNSPECIFIED, key, Buffer.from(value));
}

/** Reads a cluster's head and records from the store. */
export async function readPublished(store: Store, cluster: string): Promise<{ head?: Head; table: RecordTable }> {
  const prefix = clusterPrefix(parseClusterName(cluster));
  const table = createRecordTable();
  let head: Head | undefined;
  for await (const page of store.list(prefix)) {
    for (const { key, value } of page.entries) {
      const relative = key.slice(prefix.length);
      if (relative === "head") head = Head.decode(value);
      if (kindOfKey(relative) !== undefined) table.set(anyRecord(relative, value));
    }
  }
  return head === undefined ? { table } : { head, table };
}

/** Waits until the store holds exactly the exported records, with a LIVE head whose sums match them. */
export async function untilPublished(
  store: Store,
  cluster: string,
  source: MemoryExport,
  limitMs?: number,
): Promise<void> {
  await until(
    `${cluster} is published`,
    async () => {
      const { head, table } = await readPublished(store, cluster).catch(() => ({
        head: undefined,
        table: source.table,
      }));
      const wanted = source.table.sums(STORE_KINDS);
      return head?.state === 2 && sameSums(head.sums, wanted) && sameSums(table.sums(STORE_KINDS), wanted);
    },
    limitMs,
  );
}

export async function openStore(etcd: EtcdServer, user = "root", port?: number): Promise<Store> {
  return createStore(await etcd.options(user, port));
}
