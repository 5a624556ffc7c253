/**
 * Follows one collection of the Kubernetes API without losing a change.
 *
 *   list (stream or pages) ──► watch ──► watch … ──► 410, doubt, reach(floor) ──► list
 *
 * In: a resource and a projection. Out: the first change is the whole collection, each later one the difference. After
 * broken connections, refusals and idle timeouts it retries with jittered back-off; the known collection stays
 * meanwhile.
 *
 * Only a quorum list (pages without a version) is evidence of a restore, and only against versions known before it was
 * requested (ADR 10). If it is below the newest version that the API reported for this collection, Kubernetes was
 * restored. If it is below a floor from elsewhere, that floor is beyond Kubernetes; the caller decides whether that
 * means a restore. A list from the API's cache that is below the newest known version is discarded.
 */
import { type Clock, systemClock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { type Backoff, createBackoff } from "@isthmus/runtime";
import { hasStatus, KubeError } from "../errors.js";
import type { KubeObject } from "../objects.js";
import { resourcePath } from "../resources.js";
import type { Transport } from "../transport.js";
import { coalesce, createCache, type Step } from "./cache.js";
import { createInitialEventCollector } from "./initial-event-collector.js";
import { type ListResult, listPages, quorumVersion } from "./list.js";
import type { Change, Item, ListWatch, ListWatchOptions } from "./types.js";
import { createWaiters, type Outcome, type RegistrationIndex } from "./waiters.js";
import { type WatchEvent, watch } from "./watch.js";

/** An attempt that lasted this long resets the back-off. An answer alone does not: an error may follow each one. */
const SETTLED_MS = 5_000;
/** In doubt, an attempt that lasted this long is followed by the quorum list at once: only tight loops are slowed. */
const DOUBTED_MS = 100;

export interface ListWatchModules<T> {
  readonly transport: Transport;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Called in order; an error that it throws ends `run`. */
  readonly onChange: (change: Change<T>) => void;
  /** Kubernetes was restored from a backup, as a quorum list shows: the change that follows has an older position. */
  readonly onRestored?: () => void;
}

export function createListWatch<T>(options: ListWatchOptions<T>, modules: ListWatchModules<T>): ListWatch<T> {
  const { transport, log } = modules;
  const clock = modules.clock ?? systemClock;
  const path = resourcePath(options.resource, options.namespace);
  const cache = createCache(options.project);
  const retry = { minMs: 100, maxMs: 5000, ...options.retry };
  /** Back-offs of failed and of ended attempts: a restarting server causes both, and the waits must not add up. */
  const [failures, endings] = [createBackoff(retry), createBackoff(retry)];
  let streaming = options.read !== "pages";
  const waiters = createWaiters();
  let position = 0n;
  /** The newest version that the API reported for this collection, in lists, events and bookmarks. */
  let newest = 0n;
  /** A list from the cache, or a read of the version, was below `newest`: a quorum list must show why. */
  let doubted = false;
  let inSync = false;
  /** Number of lists adopted since the start. */
  let adopted = 0;
  let lastContact: number | undefined;
  let problem: string | undefined;
  /** The version after which the next watch begins; undefined: list first. */
  let resume: bigint | undefined;
  let attempt = new AbortController();
  /** The attempt has its collection and only watches: a request for a list may end it. */
  let following = false;

  function toItem(object: KubeObject): Item<T> | undefined {
    try {
      return cache.toItem(object);
    } catch (error) {
      log.error("Object refused", { path, name: object.metadata?.name, namespace: object.metadata?.namespace, error });
      return undefined;
    }
  }

  function contact(): void {
    lastContact = clock.now();
    problem = undefined;
  }

  function emit(step: Step<T>, relist: boolean): void {
    const { deletes, sets } = coalesce(step, cache.items);
    if (deletes.length === 0 && sets.length === 0 && !relist) return;
    modules.onChange({ deletes, sets, position, relist, observedMicros: clock.wallMicros() });
  }

  /** Adopts a collection. `quorum`: when its quorum list was requested. False: it is older, no evidence, and discarded. */
  function adopt({ items, version }: ListResult<T>, quorum: RegistrationIndex | undefined): boolean {
    const setBack = version < newest;
    if (setBack && quorum === undefined) {
      doubted = true;
      return false;
    }
    if (setBack) {
      log.warn("Kubernetes was restored from an older state", { path, version, seen: newest });
      modules.onRestored?.();
    }
    doubted = false;
    position = newest = resume = version;
    inSync = true;
    adopted++;
    emit(cache.replace(items), true);
    waiters.settle(position, quorum);
    return true;
  }

  function follow(events: readonly WatchEvent[]): void {
    const step: Step<T> = { deletes: [], sets: [] };
    for (const event of events) {
      const version = BigInt(event.object.metadata.resourceVersion ?? "0");
      if (resume === undefined || version > resume) resume = version;
      if (version > newest) newest = version;
      if (event.type === "BOOKMARK") continue;
      if (version > position) position = version;
      const item = toItem(event.object);
      if (item !== undefined) cache.event(event.type === "DELETED" ? "delete" : "set", item, step);
    }
    emit(step, false);
  }

  async function streamList(signal: AbortSignal): Promise<void> {
    const gathering = createInitialEventCollector(toItem);
    for await (const events of watch(options, transport, undefined, signal)) {
      contact();
      if (following) {
        follow(events);
        continue;
      }
      const whole = gathering.take(events);
      if (whole === undefined) continue;
      // Waiters that this list does not satisfy need another one.
      if (!adopt(whole.listed, undefined) || waiters.size > 0) return;
      following = true;
      follow(whole.rest);
    }
  }

  /** Lists from the API's cache when that satisfies all waiters, else by quorum. */
  async function pagedList(signal: AbortSignal): Promise<void> {
    const floor = doubted ? undefined : waiters.floor();
    const cached = floor === undefined ? undefined : await cachedList(floor, signal);
    if (cached === undefined || !adopt(cached, undefined)) {
      const requestedAt = waiters.now();
      adopt(await listPages(options, transport, toItem, undefined, signal), requestedAt);
    }
    contact();
  }

  async function cachedList(floor: bigint, signal: AbortSignal): Promise<ListResult<T> | undefined> {
    try {
      const listed = await listPages(options, transport, toItem, floor, signal);
      return listed.version >= floor ? listed : undefined;
    } catch (thrown) {
      if (!hasStatus(thrown, 504, 400, 410)) throw thrown;
      return undefined;
    }
  }

  /**
   * The API accepts a watch from a version that it has not reached, as after a restore, and sends nothing until it gets
   * there. So each stream is trusted only after a quorum read shows that the version is not older.
   */
  async function resumed(from: bigint, signal: AbortSignal): Promise<void> {
    for await (const events of watch(options, transport, from, signal)) {
      contact();
      if (!following) {
        doubted = (await quorumVersion(options, transport, signal)) < newest;
        if (doubted || waiters.size > 0) return;
        following = true;
      }
      follow(events);
    }
  }

  async function once(signal: AbortSignal): Promise<void> {
    if (resume !== undefined && waiters.size === 0 && !doubted) {
      return resumed(resume, signal);
    }
    if (!streaming || waiters.size > 0 || doubted) return pagedList(signal);
    try {
      await streamList(signal);
    } catch (thrown) {
      if (!hasStatus(thrown, 400, 422)) throw thrown;
      streaming = false;
    }
  }

  function listAgain(floor: bigint | undefined): Promise<Outcome> {
    const outcome = waiters.wait(floor);
    // A list in progress is not aborted: if there are many requests, each would restart it.
    if (following) attempt.abort(new Error("list again"));
    return outcome;
  }

  function failed(thrown: unknown): void {
    if (!(thrown instanceof KubeError)) throw thrown;
    // 410: the position is compacted. 504: it is ahead of the server, as after a restore. Both need a new list.
    if (hasStatus(thrown, 410, 504)) resume = undefined;
    if (hasStatus(thrown, 410)) log.info("Watch position compacted, relisting", { path });
    else if (problem === undefined) log.warn("Watch failed, retrying", { path, error: thrown });
    problem = thrown.message;
  }

  return {
    items: cache.items,
    get position() {
      return position;
    },
    get inSync() {
      return inSync;
    },
    get lastContact() {
      return lastContact;
    },
    get problem() {
      return problem;
    },
    reach: (floor) => (inSync && position >= floor ? Promise.resolve("reached") : listAgain(floor)),
    async refresh() {
      await listAgain(undefined);
    },
    async run(signal) {
      const stop = () => attempt.abort(signal.reason);
      signal.addEventListener("abort", stop);
      while (!signal.aborted) {
        attempt = new AbortController();
        following = false;
        const started = clock.now();
        const before = adopted;
        let pause: Backoff | undefined;
        try {
          await once(attempt.signal);
          // A server or proxy that ends lists or watches within seconds must not be retried in a tight loop. No pause
          // precedes the watch that follows an adopted list, or a list that waiters requested.
          const minMs = doubted ? DOUBTED_MS : SETTLED_MS;
          if (clock.now() - started < minMs && adopted === before && waiters.size === 0) pause = endings;
        } catch (thrown) {
          if (signal.aborted) break;
          if (!attempt.signal.aborted) {
            failed(thrown);
            pause = failures;
          }
        }
        if (clock.now() - started > SETTLED_MS) for (const backoff of [failures, endings]) backoff.reset();
        if (pause !== undefined && !attempt.signal.aborted) {
          await clock.delay(pause.nextMs(), attempt.signal).catch(() => undefined);
        }
      }
      signal.removeEventListener("abort", stop);
    },
  };
}
