/**
 * One attempt of a list-watch: a streaming list with the watch that follows on its connection, a list by pages, or a watch.
 *
 * It ends when the API ends it, when a list is needed, or with the error that stopped it. A resource that does not exist, where that
 * is expected, is a list without objects.
 */
import type { Clock } from "@isthmus/model";
import { sleep } from "@isthmus/runtime";
import { hasStatus } from "../errors.js";
import type { Transport } from "../transport.js";
import type { Collection } from "./collection.js";
import { createInitialEventCollector } from "./initial-event-collector.js";
import { type ListResult, listPages, quorumVersion } from "./list.js";
import { nextAttempt } from "./state.js";
import type { ListWatchOptions } from "./types.js";
import { watch } from "./watch.js";

export interface AttemptModules<T> {
  /** Of the list-watch: the selection, and how it is read. */
  readonly options: ListWatchOptions<T>;
  /** Stays open when the attempt ends. */
  readonly transport: Transport;
  /** Decides which attempt is next; takes the lists and events. */
  readonly collection: Collection<T>;
  /** The API answered. */
  readonly onContact: () => void;
  /** The attempt has its collection and only watches from here on. */
  readonly onFollowing: () => void;
  /** For the pause before a resource that does not exist is looked at again. */
  readonly clock: Clock;
  /** The resource has not existed for long enough that known objects are gone. */
  readonly isGone: () => boolean;
  /** Ends the attempt, which rejects. */
  readonly signal: AbortSignal;
}

/** How long a resource that does not exist is left alone. */
const ABSENT_MS = 10_000;

/** Rejects with a KubeError, or with the error of a listener. Resolves when the next attempt is due. */
export async function runAttempt<T>(modules: AttemptModules<T>): Promise<void> {
  try {
    await runOne(modules);
  } catch (thrown) {
    const { options, collection } = modules;
    const isAbsent = options.whileAbsent !== undefined && hasStatus(thrown, 404);
    if (!isAbsent || (collection.items.size > 0 && !modules.isGone())) throw thrown;
    await adoptAbsence({ ...options, resource: options.whileAbsent }, modules);
  }
}

/** All resources share the revisions of one store, so the version of another one is that at which this one did not exist. */
async function adoptAbsence<T>(other: ListWatchOptions<T>, modules: AttemptModules<T>): Promise<void> {
  const { transport, collection, clock, signal } = modules;
  const requestedAt = collection.waiters.now();
  collection.adopt({ items: new Map(), version: await quorumVersion(other, transport, signal) }, requestedAt);
  modules.onContact();
  if (collection.waiters.size > 0) return;
  modules.onFollowing();
  await sleep(clock, ABSENT_MS, signal);
}

async function runOne<T>(modules: AttemptModules<T>): Promise<void> {
  const { state, waiters } = modules.collection;
  const attempt = nextAttempt(state, { size: waiters.size, floor: waiters.floor() });
  if (attempt.is === "watch") return resumedWatch(attempt.from, modules);
  if (attempt.is === "paged list") return pagedList(attempt.floor, modules);
  try {
    await streamingList(modules);
  } catch (thrown) {
    if (!hasStatus(thrown, 400, 422)) throw thrown;
    modules.collection.withoutStreaming();
  }
}

async function streamingList<T>({ collection, ...modules }: AttemptModules<T>): Promise<void> {
  const gathering = createInitialEventCollector(collection.toItem);
  let following = false;
  for await (const events of watch(modules.options, modules.transport, undefined, modules.signal)) {
    modules.onContact();
    if (following) {
      collection.follow(events);
      continue;
    }
    const whole = gathering.take(events);
    if (whole === undefined) continue;
    // Waiters that this list does not satisfy need another one.
    if (!collection.adopt(whole.listed, undefined) || collection.waiters.size > 0) return;
    following = true;
    modules.onFollowing();
    collection.follow(whole.rest);
  }
}

/** Lists from the API's cache when that satisfies all waiters, else by quorum. */
async function pagedList<T>(floor: bigint | undefined, modules: AttemptModules<T>): Promise<void> {
  const { options, transport, collection, signal } = modules;
  const cached = floor === undefined ? undefined : await cachedList(floor, modules);
  if (cached === undefined || !collection.adopt(cached, undefined)) {
    const requestedAt = collection.waiters.now();
    collection.adopt(await listPages(options, transport, collection.toItem, undefined, signal), requestedAt);
  }
  modules.onContact();
}

/** Undefined when the cache is below the floor. */
async function cachedList<T>(
  floor: bigint,
  { options, transport, collection, signal }: AttemptModules<T>,
): Promise<ListResult<T> | undefined> {
  try {
    const listed = await listPages(options, transport, collection.toItem, floor, signal);
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
async function resumedWatch<T>(from: bigint, { collection, ...modules }: AttemptModules<T>): Promise<void> {
  const { options, transport, signal } = modules;
  let following = false;
  for await (const events of watch(options, transport, from, signal)) {
    modules.onContact();
    if (!following) {
      const confirmed = collection.confirm(await quorumVersion(options, transport, signal));
      if (!confirmed || collection.waiters.size > 0) return;
      following = true;
      modules.onFollowing();
    }
    collection.follow(events);
  }
}
