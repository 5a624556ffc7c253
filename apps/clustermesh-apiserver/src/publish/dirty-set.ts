/**
 * Keys whose wanted value differs from what stands in the store, in the order in which they must be written: upserts in
 * apply order, then deletions in reverse. Latest state wins: a key stands in it once.
 */
import type { Kind } from "@isthmus/proto";
import { KINDS, kindOfKey } from "@isthmus/records";

export interface DirtySet {
  readonly size: number;
  /** `observedMicros` of several changes of a key: the newest. */
  add(key: string, what: "upsert" | "delete", observedMicros: number): void;
  remove(key: string): void;
  has(key: string): boolean;
  /** Keys in writing order with the time their change was observed. */
  ordered(): Iterable<readonly [key: string, observedMicros: number]>;
  clear(): void;
}

export function createDirtySet(): DirtySet {
  const shelves = (): Map<Kind, Map<string, number>> => new Map(KINDS.map((kind) => [kind, new Map()]));
  const upserts = shelves();
  const deletes = shelves();
  const where = new Map<string, Map<string, number>>();
  const remove = (key: string): void => {
    where.get(key)?.delete(key);
    where.delete(key);
  };
  return {
    get size() {
      return where.size;
    },
    add(key, what, observedMicros) {
      const kind = kindOfKey(key);
      const shelf = kind === undefined ? undefined : (what === "upsert" ? upserts : deletes).get(kind);
      if (shelf === undefined) return;
      const seen = Math.max(observedMicros, where.get(key)?.get(key) ?? 0);
      if (where.get(key) !== shelf) remove(key);
      shelf.set(key, seen);
      where.set(key, shelf);
    },
    remove,
    has: (key) => where.has(key),
    *ordered() {
      for (const kind of KINDS) yield* upserts.get(kind) ?? [];
      for (const kind of [...KINDS].reverse()) yield* deletes.get(kind) ?? [];
    },
    clear() {
      for (const key of [...where.keys()]) remove(key);
    },
  };
}
