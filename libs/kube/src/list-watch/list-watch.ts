/**
 * Follows one collection of the Kubernetes API and loses nothing.
 *
 *   list (stream or pages) ──► watch ──► watch … ──► 410, doubt, reach(floor) ──► list
 *
 * In: a resource and a projection. Out: the first change is the whole collection, each later one what differs. Broken
 * connections, refusals and silence are waited out with jittered back-off; the collection known so far stays.
 *
 * Only a quorum list (pages without a version) judges, and only what was known before it was asked for (ADR 10): below what
 * the API itself ever told us, Kubernetes was restored; below another's floor, that floor is beyond Kubernetes, and whether
 * that means a restore is not ours to say. A list from the API's cache that is below what we saw is not taken at all.
 */
import { type Clock, systemClock } from "@isthmus/model";
import { type Backoff, createBackoff, type Logger } from "@isthmus/observe";
import { hasStatus, KubeError } from "../errors.js";
import type { KubeObject } from "../objects.js";
import { resourcePath } from "../resources.js";
import type { Transport } from "../transport.js";
import { coalesce, createCache, type Step } from "./cache.js";
import { createGathering } from "./gather.js";
import { type Listed, listPages, quorumVersion } from "./list.js";
import type { Change, Item, ListWatch, ListWatchOptions } from "./types.js";
import { createWaiters, type Moment, type Outcome } from "./waiters.js";
import { type WatchEvent, watch } from "./watch.js";

/** An attempt that lasted this long resets the back-off: an answer alone does not, as an error may follow it each time. */
const SETTLED_MS = 5_000;
/** After an attempt that found the server set back: only a loop is stopped. */
const DOUBTED_MS = 100;

export interface ListWatchModules<T> {
  readonly transport: Transport;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Called in order; what it throws ends `run`. */
  readonly onChange: (change: Change<T>) => void;
  /** Kubernetes was restored from a backup, proved: the change that follows has an older position. */
  readonly onRestored?: () => void;
}

export function createListWatch<T>(options: ListWatchOptions<T>, modules: ListWatchModules<T>): ListWatch<T> {
  const { transport, log } = modules;
  const clock = modules.clock ?? systemClock;
  const path = resourcePath(options.resource, options.namespace);
  const cache = createCache(options.project);
  const retry = { minMs: 100, maxMs: 5000, ...options.retry };
  /** Attempts that failed, and ones that the server ended: a server that restarts does both, and is asked again no later for it. */
  const [failures, endings] = [createBackoff(retry), createBackoff(retry)];
  let streaming = options.read !== "pages";
  const waiters = createWaiters();
  let position = 0n;
  /** The newest version that the API ever told of this collection: lists, events, bookmarks. */
  let newest = 0n;
  /** A list from a cache lay below that: a quorum list must tell why. */
  let doubted = false;
  let inSync = false;
  /** Lists taken since the start. */
  let adopted = 0;
  let lastContact: number | undefined;
  let problem: string | undefined;
  /** Where the next watch begins; undefined: list first. */
  let resume: bigint | undefined;
  let attempt = new AbortController();
  /** The attempt has its collection and only follows: who waits for a list may end it. */
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

  /** A whole collection. `quorum`: when its list was asked for. False: it proves nothing and is not taken. */
  function adopt({ items, version }: Listed<T>, quorum: Moment | undefined): boolean {
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
    const gathering = createGathering(toItem);
    for await (const events of watch(options, transport, undefined, signal)) {
      contact();
      if (following) {
        follow(events);
        continue;
      }
      const whole = gathering.take(events);
      if (whole === undefined) continue;
      // Whoever is not served by it needs a list that is.
      if (!adopt(whole.listed, undefined) || waiters.size > 0) return;
      following = true;
      follow(whole.rest);
    }
  }

  /** From the cache of the API when that is enough for those who wait, else by quorum. */
  async function pagedList(signal: AbortSignal): Promise<void> {
    const floor = doubted ? undefined : waiters.floor();
    const cached = floor === undefined ? undefined : await cachedList(floor, signal);
    if (cached === undefined || !adopt(cached, undefined)) {
      const asked = waiters.now();
      adopt(await listPages(options, transport, toItem, undefined, signal), asked);
    }
    contact();
  }

  async function cachedList(floor: bigint, signal: AbortSignal): Promise<Listed<T> | undefined> {
    try {
      const listed = await listPages(options, transport, toItem, floor, signal);
      return listed.version >= floor ? listed : undefined;
    } catch (thrown) {
      if (!hasStatus(thrown, 504, 400, 410)) throw thrown;
      return undefined;
    }
  }

  /**
   * The API serves a watch from a version that it has not reached, as after a restore, and is silent until it gets there: each
   * stream is trusted once a quorum read says that nothing was set back.
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
    // A list that is on its way is not held up: many come, and each would begin it anew.
    if (following) attempt.abort(new Error("list again"));
    return outcome;
  }

  function failed(thrown: unknown): void {
    if (!(thrown instanceof KubeError)) throw thrown;
    // 410: our position is compacted. 504: it is ahead of the server, as after a restore. Both: read everything again.
    if (hasStatus(thrown, 410, 504)) resume = undefined;
    if (hasStatus(thrown, 410)) log.info("Position is compacted: listing again", { path });
    else if (problem === undefined) log.warn("Watch interrupted", { path, error: thrown });
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
          // A server, or a proxy before it, that ends lists or watches within seconds must not be asked in a tight loop; a list
          // that came is followed at once, and a watch that was given up for a quorum list has that list at once.
          const least = doubted ? DOUBTED_MS : SETTLED_MS;
          if (clock.now() - started < least && adopted === before && waiters.size === 0) pause = endings;
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
