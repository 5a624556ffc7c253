/** Runs costly work one after the other, and refuses what would wait behind too much. */
import { status } from "@grpc/grpc-js";
import { adminError } from "./admin-error.js";

export interface OneAtATime {
  /** Rejects as the work does, and with RESOURCE_EXHAUSTED when too many wait. */
  run<T>(work: () => Promise<T>): Promise<T>;
}

/** `what`: in the plural, for the sentence of the refusal. */
export function createOneAtATime(maxWaiting: number, what: string): OneAtATime {
  let last: Promise<unknown> = Promise.resolve();
  let unfinished = 0;
  return {
    async run(work) {
      if (unfinished > maxWaiting)
        throw adminError(status.RESOURCE_EXHAUSTED, `${unfinished} ${what} run or wait here already: try again later`);
      unfinished++;
      const result = last.then(work);
      last = result.catch(() => undefined);
      try {
        return await result;
      } finally {
        unfinished--;
      }
    },
  };
}
