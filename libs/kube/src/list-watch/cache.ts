/**
 * The objects that a list-watch knows, and the difference that a list or an event makes to them (pure).
 *
 * Compares by uid, then by version: the same name with another uid is a deletion and a creation.
 */
import type { KubeObject } from "../objects.js";
import type { Item } from "./types.js";

export interface Step<T> {
  /** The last known items, in the order of the events. */
  readonly deletes: Item<T>[];
  /** In the order of the events; an object may be in it several times until `coalesce`. */
  readonly sets: Item<T>[];
}

/** `project`: what is kept of an object; it may throw, and `toItem` throws then. */
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

    /** Applies one event and adds the difference to the step. A deletion applies only to the same uid. */
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
     * Applies a complete list as it is: objects that it does not contain are deleted, and an object with a lower
     * version than the known one replaces it. A restore lowers versions, also one that raises the revision of etcd.
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

/** Merges an object's events in one step: only the last set counts, and a deletion cancels a set of the step. */
export function coalesce<T>(step: Step<T>, items: ReadonlyMap<string, Item<T>>): Step<T> {
  const sets = new Map(step.sets.map((item) => [item.key, item]));
  return {
    deletes: step.deletes,
    sets: [...sets.values()].filter((item) => items.get(item.key) === item),
  };
}
