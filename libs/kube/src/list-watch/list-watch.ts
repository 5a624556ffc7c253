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
import { resourcePath } from "../resources.js";
import type { Transport } from "../transport.js";
import { runAttempt } from "./attempt.js";
import { createCollection } from "./collection.js";
import { endedTooSoon, SETTLED_MS } from "./state.js";
import type { Change, ListWatch, ListWatchOptions } from "./types.js";
import type { Outcome } from "./waiters.js";

/** A resource that existed: its objects are gone after this time, since one answer may come from a server that just starts. */
const GONE_MS = 60_000;

export interface ListWatchModules<T> {
  /** Stays open when `run` ends. */
  readonly transport: Transport;
  /** Gets a warning for the first of several failures in a row, and an error for each refused object. */
  readonly log: Logger;
  /** The system's unless given. */
  readonly clock?: Clock;
  /** Called in order; an error that it throws ends `run`. */
  readonly onChange: (change: Change<T>) => void;
  /** Kubernetes was restored from a backup, as a quorum list shows: the change that follows has an older position. */
  readonly onRestored?: () => void;
}

/** Sends nothing before `run`. */
export function createListWatch<T>(options: ListWatchOptions<T>, modules: ListWatchModules<T>): ListWatch<T> {
  const { transport, log, onChange } = modules;
  const clock = modules.clock ?? systemClock;
  const path = resourcePath(options.resource, options.namespace);
  const collection = createCollection<T>(options.read !== "pages", {
    ...{ project: options.project, path, clock, log, onChange },
    onRestored: () => modules.onRestored?.(),
  });
  const { waiters } = collection;
  const retry = { minMs: 100, maxMs: 5000, ...options.retry };
  /** Back-offs of failed and of ended attempts: a restarting server causes both, and the waits must not add up. */
  const [failures, endings] = [createBackoff(retry), createBackoff(retry)];
  let lastContact: number | undefined;
  let problem: string | undefined;
  let attempt = new AbortController();
  /** Since when each attempt was answered that the resource does not exist. */
  let absentSince: number | undefined;
  /** The attempt has its collection and only watches: a request for a list may end it. */
  let following = false;

  function onContact(): void {
    lastContact = clock.now();
    problem = undefined;
    absentSince = undefined;
  }

  function onFollowing(): void {
    following = true;
  }

  function isGone(): boolean {
    return absentSince !== undefined && clock.now() - absentSince >= GONE_MS;
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
    if (hasStatus(thrown, 410, 504)) collection.forgetResume();
    absentSince = hasStatus(thrown, 404) ? (absentSince ?? clock.now()) : undefined;
    if (hasStatus(thrown, 410)) log.info("Watch position compacted, relisting", { path });
    else if (problem === undefined) log.warn("Watch failed, retrying", { path, error: thrown });
    problem = thrown.message;
  }

  /** Runs one attempt. Returns the back-off to pause for; undefined when the next attempt may follow at once. */
  async function once(signal: AbortSignal): Promise<Backoff | undefined> {
    const started = clock.now();
    const adoptedBefore = collection.state.adopted;
    try {
      await runAttempt({ options, transport, collection, onContact, onFollowing, clock, isGone, signal });
      const lastedMs = clock.now() - started;
      return endedTooSoon(collection.state, { lastedMs, adoptedBefore, waiting: waiters.size }) ? endings : undefined;
    } catch (thrown) {
      if (signal.aborted) return undefined;
      failed(thrown);
      return failures;
    } finally {
      if (clock.now() - started > SETTLED_MS) for (const backoff of [failures, endings]) backoff.reset();
    }
  }

  return {
    items: collection.items,
    get position() {
      return collection.state.position;
    },
    get inSync() {
      return collection.state.adopted > 0;
    },
    get lastContact() {
      return lastContact;
    },
    get problem() {
      return problem;
    },
    reach(floor) {
      const { adopted, position } = collection.state;
      return adopted > 0 && position >= floor ? Promise.resolve("reached") : listAgain(floor);
    },
    async refresh() {
      await listAgain(undefined);
    },
    async run(signal) {
      const stop = () => attempt.abort(signal.reason);
      signal.addEventListener("abort", stop);
      while (!signal.aborted) {
        attempt = new AbortController();
        following = false;
        const pause = await once(attempt.signal);
        if (pause !== undefined && !attempt.signal.aborted)
          await clock.delay(pause.nextMs(), attempt.signal).catch(() => undefined);
      }
      signal.removeEventListener("abort", stop);
    },
  };
}
