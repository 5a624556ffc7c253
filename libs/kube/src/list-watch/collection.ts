/** One collection as a list-watch knows it: its objects, its versions, and the callers that wait for it. */
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { KubeObject } from "../objects.js";
import { coalesce, createCache, type Step } from "./cache.js";
import type { ListResult } from "./list.js";
import {
  forgetResume,
  initialState,
  type ListWatchState,
  takeEvents,
  takeList,
  takeQuorumVersion,
  withoutStreaming,
} from "./state.js";
import type { Change, Item } from "./types.js";
import { createWaiters, type RegistrationIndex, type Waiters } from "./waiters.js";
import type { WatchEvent } from "./watch.js";

export interface Collection<T> {
  /** By `Item.key`. Live: it changes with `adopt` and `follow`. */
  readonly items: ReadonlyMap<string, Item<T>>;
  /** A snapshot: the methods below set another one. */
  readonly state: ListWatchState;
  /** Callers that wait for a list. */
  readonly waiters: Waiters;
  /** Undefined when the projection throws: the object is refused, and that is logged. */
  toItem(object: KubeObject): Item<T> | undefined;
  /** Adopts a list. `quorum`: when its quorum list was requested. False: it is older, no evidence, and discarded. */
  adopt(list: ListResult<T>, quorum: RegistrationIndex | undefined): boolean;
  /** Takes the events of a watch. */
  follow(events: readonly WatchEvent[]): void;
  /** Takes the current version by quorum. False: it is below what is known, so a list must show why. */
  confirm(version: bigint): boolean;
  /** The next attempt lists. */
  forgetResume(): void;
  /** The API cannot stream lists. */
  withoutStreaming(): void;
}

export interface CollectionModules<T> {
  /** May throw: the object is then refused. */
  readonly project: (object: KubeObject) => T;
  /** Of the collection, for the log. */
  readonly path: string;
  /** For `Change.observedMicros`. */
  readonly clock: Clock;
  /** Gets an error for each refused object, and a warning when Kubernetes was restored. */
  readonly log: Logger;
  /** Called after `items` changed, before waiters resolve. What it throws passes through `adopt` and `follow`. */
  readonly onChange: (change: Change<T>) => void;
  /** Called before the change of the older list. */
  readonly onRestored: () => void;
}

/** Begins empty. `streaming`: lists may be streamed. */
export function createCollection<T>(streaming: boolean, modules: CollectionModules<T>): Collection<T> {
  const { path, clock, log } = modules;
  const cache = createCache(modules.project);
  const waiters = createWaiters();
  let state = initialState(streaming);

  function toItem(object: KubeObject): Item<T> | undefined {
    try {
      return cache.toItem(object);
    } catch (error) {
      log.error("Object refused", { path, name: object.metadata?.name, namespace: object.metadata?.namespace, error });
      return undefined;
    }
  }

  function emit(step: Step<T>, relist: boolean): void {
    const { deletes, sets } = coalesce(step, cache.items);
    if (deletes.length === 0 && sets.length === 0 && !relist) return;
    modules.onChange({ deletes, sets, position: state.position, relist, observedMicros: clock.wallMicros() });
  }

  return {
    items: cache.items,
    waiters,
    get state() {
      return state;
    },
    toItem,
    adopt({ items, version }, quorum) {
      const seen = state.newest;
      const taken = takeList(state, version, quorum !== undefined);
      if (taken.outcome === "restored") {
        log.warn("Kubernetes was restored from an older state", { path, version, seen });
        modules.onRestored();
      }
      state = taken.state;
      if (taken.outcome === "discarded") return false;
      emit(cache.replace(items), true);
      waiters.settle(state.position, quorum);
      return true;
    },
    follow(events) {
      const versions = events.map(({ type, object }) => ({
        version: BigInt(object.metadata.resourceVersion ?? "0"),
        isBookmark: type === "BOOKMARK",
      }));
      state = takeEvents(state, versions);
      const step: Step<T> = { deletes: [], sets: [] };
      for (const { type, object } of events) {
        const item = type === "BOOKMARK" ? undefined : toItem(object);
        if (item !== undefined) cache.event(type === "DELETED" ? "delete" : "set", item, step);
      }
      emit(step, false);
    },
    confirm(version) {
      state = takeQuorumVersion(state, version);
      return !state.doubted;
    },
    forgetResume() {
      state = forgetResume(state);
    },
    withoutStreaming() {
      state = withoutStreaming(state);
    },
  };
}
