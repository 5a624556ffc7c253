import type { Slices } from "@isthmus/runtime";

/** Runs work to its end in one turn; returns its result. */
export function whole<T>(work: Slices<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}
