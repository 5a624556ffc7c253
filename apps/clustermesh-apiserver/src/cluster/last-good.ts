/** Last good annotation values by Service uid, in memory: after a restart a value that was never seen good is the default. */
import type { MeshAnnotations } from "./annotations.js";
import type { LastGood } from "./service-table.js";

export function createLastGood(): LastGood {
  const values = new Map<string, Partial<MeshAnnotations>>();
  return {
    get: (uid) => values.get(uid),
    set: (uid, good) => void values.set(uid, good),
    delete: (uid) => void values.delete(uid),
  };
}
