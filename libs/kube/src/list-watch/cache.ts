/**
 * What a list-watch knows, and the difference that a list or an event makes to it (pure).
 *
 * Compares by uid, then by version: the same name with another uid is a deletion and a creation.
 */
import type { KubeObject } from "../objects.js";
import type { Item } from "./types.js";

export interface Step<T> {
  readonly deletes: Item<T>[];
  readonly sets: Item<T>[];
}

export function createCache<T>(project: (object: KubeObject) => T) {
  const items = new Map<string, Item<T>>();

  function put(item: Item<T>, step: Step<T>): void {
    const known = items.get(item.key);
    if (known !== undefined && known.uid === item.uid && known.version >= item.version) return;
    if (known !== undefined && known.uid !== item.uid) step.deletes.push(known);
    items.set(item.key, item);
    step.sets.push(item);
  }

  return {
    items: items as ReadonlyMap<string, Item<T>>,

    toItem(object: KubeObject): Item<T> {
      const { namespace, name = "", uid = "", resourceVersion = "0" } = object.metadata;
      const key = namespace === undefined ? name : `${namespace}/${name}`;
      return { key, uid, version: BigInt(resourceVersion), value: project(object) };
    },

    /** One event; adds what changed to the step. A deletion counts for the uid that is known only. */
    event(type: "set" | "delete", item: Item<T>, step: Step<T>): void {
      if (type === "set") {
        put(item, step);
        return;
      }
      const known = items.get(item.key);
      if (known === undefined || known.uid !== item.uid) return;
      items.delete(item.key);
      step.deletes.push(known);
    },

    /**
     * A complete list, taken as it is: what it does not hold is gone, and an object whose version is lower than the known one
     * was set back, also by a restore that raised the revision of the whole.
     */
    replace(list: ReadonlyMap<string, Item<T>>): Step<T> {
      const step: Step<T> = { deletes: [], sets: [] };
      for (const known of [...items.values()]) {
        const now = list.get(known.key);
        if (now?.uid === known.uid) continue;
        items.delete(known.key);
        step.deletes.push(known);
      }
      for (const item of list.values()) {
        if (items.get(item.key)?.version === item.version) continue;
        items.set(item.key, item);
        step.sets.push(item);
      }
      return step;
    },
  };
}

export type Cache<T> = ReturnType<typeof createCache<T>>;

/** Several events of one object in one step: only the last set counts, a deletion of something set in this step cancels it. */
export function coalesce<T>(step: Step<T>, items: ReadonlyMap<string, Item<T>>): Step<T> {
  const sets = new Map(step.sets.map((item) => [item.key, item]));
  return {
    deletes: step.deletes,
    sets: [...sets.values()].filter((item) => items.get(item.key) === item),
  };
}
