/** What faults have put in force, and how to undo it, by what it is. */
import type { FaultInForce } from "./world.js";

export interface InForce {
  add(what: string, undo: () => Promise<void>): void;
  /** It is not in force any more. */
  remove(what: string): void;
  /** Adds a fault, which is removed by its end. */
  put<T extends FaultInForce>(what: string, fault: T): T;
  /** Undoes everything; rejects with the first error when all was tried. */
  restore(): Promise<void>;
}

export function createInForce(): InForce {
  const undos = new Map<string, () => Promise<void>>();
  return {
    add: (what, undo) => void undos.set(what, undo),
    remove: (what) => void undos.delete(what),
    put(what, fault) {
      undos.set(what, () => fault.end());
      const end = async () => {
        undos.delete(what);
        await fault.end();
      };
      return { ...fault, end };
    },
    async restore() {
      const all = [...undos.values()];
      undos.clear();
      const results = await Promise.allSettled(all.map((undo) => undo()));
      const failed = results.find((result) => result.status === "rejected");
      if (failed !== undefined) throw failed.reason;
    },
  };
}
