/**
 * The operations of a store: read, list at one revision, compare-and-write, watch.
 *
 * Keys are text (latin1: any bytes pass unchanged), values bytes, revisions bigint. Every failure is a `StoreError`.
 * Nothing is retried here: only the caller knows whether a repeated write is harmless.
 */
import type { ICompare, IKeyValue, IRangeRequest, IRangeResponse, IRequestOp } from "etcd3";
import { isAnswerTooLarge, type StoreError, storeError } from "./errors.js";
import { keyBytes, keyText, prefixEnd } from "./layout.js";
import { createPageSize } from "./page-size.js";
import { type StoreOptions, Transport } from "./transport.js";
import { runWatch, type WatchMessage, type WatchOptions } from "./watch.js";

export interface StoreEntry {
  /** The absolute key, one character for each byte. */
  readonly key: string;
  /** Not reused: the caller may keep it. */
  readonly value: Buffer;
  /** Revision of the last write of the key; at most that of the answer. */
  readonly modRevision: bigint;
}

export interface Page {
  /** In the order of their keys' bytes; may be empty. */
  readonly entries: readonly StoreEntry[];
  /** The revision at which all pages of this listing are read. */
  readonly revision: bigint;
  /** Another page follows. */
  readonly more: boolean;
}

/** `modRevision` 0: the key must be absent. */
export interface Compare {
  /** An absolute key. */
  readonly key: string;
  /** Of the key's last write, as in `StoreEntry`. */
  readonly modRevision: bigint;
}

export type Write =
  | { readonly type: "put"; readonly key: string; readonly value: Uint8Array }
  | { readonly type: "delete"; readonly key: string };

export interface TxnResult {
  /** False: a compare failed, and nothing was written. */
  readonly committed: boolean;
  /** Revision of the store after the txn: that of the writes when committed. */
  readonly revision: bigint;
}

export interface Store {
  /** Reads a key by quorum. */
  get(key: string): Promise<{ readonly entry: StoreEntry | undefined; readonly revision: bigint }>;
  /**
   * Lists all keys under `prefix` in pages at one revision, by quorum: the newest unless `revision` is given. A page
   * has at most `pageSize` keys, fewer where they are large (page-size.ts), and never more bytes than a message may
   * have.
   */
  list(prefix: string, options?: ListOptions): AsyncGenerator<Page, void, undefined>;
  /** How many keys there are under `prefix`, by quorum. */
  count(prefix: string): Promise<number>;
  /** All writes or none; a key at most once, at most 128 operations. */
  txn(compares: readonly Compare[], writes: readonly Write[]): Promise<TxnResult>;
  /** Follows `prefix` until the signal aborts or the watch cannot continue; never rejects. */
  watch(options: WatchOptions, onMessage: (message: WatchMessage) => void): Promise<void>;
  /** For users, roles and raw calls (auth.ts); closed with the store. */
  readonly transport: Transport;
  /** Closes the connections, also those that are still being made. End watches by their signals first. */
  close(): void;
}

export interface ListOptions {
  /** 2,000 when absent. */
  readonly pageSize?: number;
  /** The newest when absent. A compacted one is rejected with `STORE_COMPACTED`. */
  readonly revision?: bigint;
  /** Checked before each page: the listing throws its reason. A page in progress is not ended. */
  readonly signal?: AbortSignal;
}

const PAGE_SIZE = 2000;

/** Opens no connection before the first call. The caller closes it. */
export function createStore(options: StoreOptions): Store {
  const transport = new Transport(options);
  const range = (request: IRangeRequest, action: string): Promise<IRangeResponse> =>
    transport.kv.range(request).catch((thrown: unknown) => {
      throw storeError(thrown, action);
    });
  return {
    async get(key) {
      const { kvs, header } = await range({ key: keyBytes(key) }, `read "${key}" from the store`);
      return { entry: kvs.map(toEntry)[0], revision: BigInt(header.revision) };
    },
    async *list(prefix, { pageSize = PAGE_SIZE, revision, signal } = {}) {
      const size = createPageSize(pageSize);
      let [start, at] = [keyBytes(prefix), revision];
      for (let more = true; more; ) {
        signal?.throwIfAborted();
        const request: IRangeRequest = {
          key: start,
          range_end: keyBytes(prefixEnd(prefix)),
          limit: size.keys,
          ...(at === undefined ? {} : { revision: String(at) }),
        };
        const page = await range(request, `list "${prefix}" in the store`).catch((error: StoreError) => {
          if (!isAnswerTooLarge(error) || !size.shrink()) throw error;
        });
        if (page === undefined) continue;
        at ??= BigInt(page.header.revision);
        // By the bytes of the key: a key that is not text must not move the start back.
        start = Buffer.concat([page.kvs.at(-1)?.key ?? start, Buffer.of(0)]);
        more = page.more;
        size.recordPage(page.kvs.length, bytesOf(page.kvs));
        yield { entries: page.kvs.map(toEntry), revision: at, more };
      }
    },
    async count(prefix) {
      const request: IRangeRequest = {
        key: keyBytes(prefix),
        range_end: keyBytes(prefixEnd(prefix)),
        count_only: true,
      };
      return Number((await range(request, `count "${prefix}" in the store`)).count);
    },
    async txn(compares, writes) {
      const request = { compare: compares.map(toCompare), success: writes.map(toOperation), failure: [] };
      const answer = await transport.kv.txn(request).catch((thrown: unknown) => {
        throw storeError(thrown, "write to the store");
      });
      return { committed: answer.succeeded, revision: BigInt(answer.header.revision) };
    },
    watch: (watchOptions, onMessage) => runWatch(transport.calls, watchOptions, onMessage),
    transport,
    close: () => transport.close(),
  };
}

function bytesOf(kvs: readonly IKeyValue[]): number {
  let bytes = 0;
  for (const { key, value } of kvs) bytes += key.length + value.length;
  return bytes;
}

/** Keeps the value's bytes without a copy. */
export function toEntry(kv: IKeyValue): StoreEntry {
  return { key: keyText(kv.key), value: kv.value, modRevision: BigInt(kv.mod_revision) };
}

function toCompare({ key, modRevision }: Compare): ICompare {
  return { key: keyBytes(key), target: "Mod", result: "Equal", mod_revision: String(modRevision) };
}

function toOperation(write: Write): IRequestOp {
  const key = keyBytes(write.key);
  if (write.type === "delete") return { request_delete_range: { key } };
  return { request_put: { key, value: Buffer.from(write.value) } };
}
