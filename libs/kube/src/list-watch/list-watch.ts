/**
 * Follows one collection of the Kubernetes API and loses nothing.
 *
 *   list (stream or pages) ──► watch ──► watch … ──► 410, restored, reach(floor) ──► list
 *
 * In: a resource and a projection. Out: the first change is the whole collection, each later one what differs. Broken
 * connections, refusals and silence are waited out with jittered back-off; the collection known so far stays.
 */
import { type Clock, systemClock } from "@isthmus/model";
import { createBackoff, type Logger } from "@isthmus/observe";
import { hasStatus, KubeError } from "../errors.js";
import type { KubeObject } from "../objects.js";
import { resourcePath } from "../resources.js";
import type { Transport } from "../transport.js";
import { coalesce, createCache, type Step } from "./cache.js";
import { type Listed, listPages } from "./list.js";
import type { Change, Item, ListWatch, ListWatchOptions } from "./types.js";
import { endsInitialEvents, type WatchEvent, watch } from "./watch.js";

export interface ListWatchModules<T> {
  readonly transport: Transport;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Called in order; what it throws ends `run`. */
  readonly onChange: (change: Change<T>) => void;
  /** Kubernetes was restored from a backup: the change that follows has an older position. */
  readonly onRestored?: () => void;
}

interface Waiter {
  /** Undefined: whatever a quorum read gives. */
  readonly floor: bigint | undefined;
  done(outcome: "reached" | "restored"): void;
}

export function createListWatch<T>(options: ListWatchOptions<T>, modules: ListWatchModules<T>): ListWatch<T> {
  const { transport, log } = modules;
  const clock = modules.clock ?? systemClock;
  const path = resourcePath(options.resource, options.namespace);
  const cache = createCache(options.project);
  const backoff = createBackoff({ minMs: 100, maxMs: 5000, ...options.retry });
  let streaming = options.read !== "pages";
  let position = 0n;
  let inSync = false;
  let lastContact: number | undefined;
  let problem: string | undefined;
  /** Where the next watch begins; undefined: list first. */
  let resume: bigint | undefined;
  let waiters: Waiter[] = [];
  let attempt = new AbortController();

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
    backoff.reset();
  }

  function emit(step: Step<T>, relist: boolean): void {
    const { deletes, sets } = coalesce(step, cache.items);
    if (deletes.length === 0 && sets.length === 0 && !relist) return;
    modules.onChange({ deletes, sets, position, relist, observedMicros: clock.wallMicros() });
  }

  /** A complete collection is here. Below what we had means restored, but only a quorum read proves it. */
  function adopt(listed: Listed<T>): void {
    const floor = highest([position, ...waiters.flatMap(({ floor: f }) => f ?? [])]);
    const restored = listed.version < floor;
    if (restored) {
      log.warn("Kubernetes was restored from an older state", { path, version: listed.version, floor });
      modules.onRestored?.();
    }
    const step = cache.replace(listed.items, restored);
    position = restored || listed.version > position ? listed.version : position;
    resume = listed.version;
    inSync = true;
    emit(step, true);
    const reached = waiters;
    waiters = [];
    for (const { floor: f, done } of reached) done(f !== undefined && f > position ? "restored" : "reached");
  }

  function follow(events: readonly WatchEvent[]): void {
    const step: Step<T> = { deletes: [], sets: [] };
    for (const event of events) {
      const version = BigInt(event.object.metadata.resourceVersion ?? "0");
      if (resume === undefined || version > resume) resume = version;
      if (event.type === "BOOKMARK") continue;
      if (version > position) position = version;
      const item = toItem(event.object);
      if (item !== undefined) cache.event(event.type === "DELETED" ? "delete" : "set", item, step);
    }
    emit(step, false);
  }

  async function streamList(signal: AbortSignal): Promise<void> {
    let collected: Map<string, Item<T>> | undefined = new Map();
    for await (const events of watch(options, transport, undefined, signal)) {
      contact();
      let rest = events;
      if (collected !== undefined) {
        const end = events.findIndex(endsInitialEvents);
        for (const event of end === -1 ? events : events.slice(0, end)) {
          const item = event.type === "BOOKMARK" ? undefined : toItem(event.object);
          if (item !== undefined) collected.set(item.key, item);
        }
        if (end === -1) continue;
        adopt({ items: collected, version: BigInt(events[end]?.object.metadata.resourceVersion ?? "0") });
        collected = undefined;
        rest = events.slice(end + 1);
      }
      follow(rest);
    }
  }

  async function pagedList(signal: AbortSignal): Promise<void> {
    adopt(await listAtFloor(signal));
    contact();
  }

  /** From the cache of the API when it has reached the floor, else by quorum. */
  async function listAtFloor(signal: AbortSignal): Promise<Listed<T>> {
    const floor = highest(waiters.flatMap(({ floor: f }) => f ?? []));
    if (floor > 0n && waiters.every((waiter) => waiter.floor !== undefined)) {
      try {
        const listed = await listPages(options, transport, toItem, floor, signal);
        if (listed.version >= floor) return listed;
      } catch (thrown) {
        if (!hasStatus(thrown, 504, 400, 410)) throw thrown;
      }
    }
    return listPages(options, transport, toItem, undefined, signal);
  }

  async function once(signal: AbortSignal): Promise<void> {
    if (resume !== undefined && waiters.length === 0) {
      for await (const events of watch(options, transport, resume, signal)) {
        contact();
        follow(events);
      }
      return;
    }
    if (!streaming || waiters.length > 0) return pagedList(signal);
    try {
      await streamList(signal);
    } catch (thrown) {
      if (!hasStatus(thrown, 400, 422)) throw thrown;
      streaming = false;
    }
  }

  function listAgain(floor: bigint | undefined): Promise<"reached" | "restored"> {
    return new Promise((done) => {
      waiters.push({ floor, done });
      attempt.abort(new Error("list again"));
    });
  }

  function failed(thrown: unknown): void {
    if (!(thrown instanceof KubeError)) throw thrown;
    // 410: our position is compacted. 504: it is ahead of the server, as after a restore. Both: read everything again.
    if (hasStatus(thrown, 410, 504)) resume = undefined;
    if (problem === undefined) log.warn("Watch interrupted", { path, error: thrown });
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
        const started = clock.now();
        let wait = false;
        try {
          await once(attempt.signal);
          // A server that closes watches at once must not be asked in a tight loop.
          wait = resume !== undefined && clock.now() - started < 100 && inSync && waiters.length === 0;
        } catch (thrown) {
          if (signal.aborted) break;
          if (!attempt.signal.aborted) {
            failed(thrown);
            wait = true;
          }
        }
        if (wait && !attempt.signal.aborted) await clock.delay(backoff.nextMs(), attempt.signal).catch(() => undefined);
      }
      signal.removeEventListener("abort", stop);
    },
  };
}

function highest(versions: readonly bigint[]): bigint {
  let max = 0n;
  for (const version of versions) if (version > max) max = version;
  return max;
}
