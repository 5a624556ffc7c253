/**
 * A store whose connection can be replaced while it is used: by none, or by one with other endpoints or a new certificate.
 *
 * Without a store every call fails with STORE_UNAVAILABLE. A watch on the replaced store ends as "set-back", so its user lists
 * again.
 */
import { createStore, type Store, StoreError, type StoreOptions, type WatchMessage } from "@isthmus/kvstore";
import { createEmitter, waitFor } from "@isthmus/runtime";

export interface ReloadableStore extends Store {
  /** False: there is no store, so calls fail, and a watch waits for one. */
  readonly configured: boolean;
  /** Replaces the store; undefined: by none. */
  swap(options: StoreOptions | undefined): void;
}

/** Without a store before `swap`. Each store that `create` makes is closed when it is replaced. */
export function createReloadableStore(create: (options: StoreOptions) => Store = createStore): ReloadableStore {
  let inner: Store | undefined;
  let generation = new AbortController();
  const swaps = createEmitter();

  function store(): Store {
    if (inner !== undefined) return inner;
    const sentence = 'Cannot reach the store: none is configured, run "mesh connect"';
    throw new StoreError({ code: "STORE_UNAVAILABLE", action: "reach the store" }, sentence);
  }

  async function watch(
    options: Parameters<Store["watch"]>[0],
    onMessage: (message: WatchMessage) => void,
  ): Promise<void> {
    const { signal } = options;
    while (inner === undefined && !signal.aborted) await arrival(signal);
    if (signal.aborted || inner === undefined) return;
    const now = generation;
    const both = new AbortController();
    const stop = () => both.abort();
    // Both signals outlive the watch, so its listeners are removed from them.
    for (const each of [signal, now.signal]) each.addEventListener("abort", stop, { once: true });
    try {
      await inner.watch({ ...options, signal: both.signal }, onMessage);
    } finally {
      for (const each of [signal, now.signal]) each.removeEventListener("abort", stop);
    }
    if (now.signal.aborted && !signal.aborted) onMessage({ type: "set-back", storeRevision: 0n });
  }

  /** Resolves when there is a store, or when aborted. */
  async function arrival(signal: AbortSignal): Promise<void> {
    const isThere = () => inner !== undefined;
    await waitFor("a store", isThere, { changes: swaps.subscribe, signal }).catch(() => undefined);
  }

  return {
    get configured() {
      return inner !== undefined;
    },
    swap(options) {
      const [old, oldGeneration] = [inner, generation];
      inner = options === undefined ? undefined : create(options);
      generation = new AbortController();
      oldGeneration.abort();
      old?.close();
      swaps.emit();
    },
    get: async (key) => store().get(key),
    list: (prefix, options) => listing(store, prefix, options),
    count: async (prefix) => store().count(prefix),
    txn: async (compares, writes) => store().txn(compares, writes),
    watch,
    get transport() {
      return store().transport;
    },
    close() {
      generation.abort();
      inner?.close();
      inner = undefined;
    },
  };
}

async function* listing(store: () => Store, ...args: Parameters<Store["list"]>): ReturnType<Store["list"]> {
  yield* store().list(...args);
}
