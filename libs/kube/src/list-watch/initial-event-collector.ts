/**
 * Collects the initial events of a streaming list, up to the bookmark that ends them.
 *
 * They are the collection in the API's watch cache, then the events that the cache receives while it catches up:
 * modifications and deletions may be among them.
 */
import type { KubeObject } from "../objects.js";
import type { ListResult } from "./list.js";
import type { Item } from "./types.js";
import { endsInitialEvents, type WatchEvent } from "./watch.js";

export interface InitialEventCollector<T> {
  /** Undefined until the final bookmark; then the collection, and the events after it. */
  take(
    events: readonly WatchEvent[],
  ): { readonly listed: ListResult<T>; readonly rest: readonly WatchEvent[] } | undefined;
}

/** For one stream. `toItem` returns undefined for an object to leave out. */
export function createInitialEventCollector<T>(
  toItem: (object: KubeObject) => Item<T> | undefined,
): InitialEventCollector<T> {
  const items = new Map<string, Item<T>>();
  return {
    take(events) {
      const end = events.findIndex(endsInitialEvents);
      for (const { type, object } of end === -1 ? events : events.slice(0, end)) {
        const item = type === "BOOKMARK" ? undefined : toItem(object);
        if (item === undefined) continue;
        if (type === "DELETED") items.delete(item.key);
        else items.set(item.key, item);
      }
      const last = events[end];
      if (last === undefined) return undefined;
      const version = BigInt(last.object.metadata.resourceVersion ?? "0");
      return { listed: { items, version }, rest: events.slice(end + 1) };
    },
  };
}
