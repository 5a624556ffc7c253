/** Collects a fault's marks and reports each one as it happens. */
import type { Mark } from "../judge/runs.js";
import type { Mono } from "../samples/sample.js";
import type { RigWorld } from "./world.js";

export interface Marks {
  readonly all: readonly Mark[];
  /** Returns the time of the mark: `at`, or now. */
  add(kind: Mark["kind"], text: string, at?: Mono): Mono;
}

export function createMarks(world: RigWorld, fault: string): Marks {
  const all: Mark[] = [];
  return {
    all,
    add(kind, text, at = world.now()) {
      const mark = { at, kind, text };
      all.push(mark);
      world.progress(fault, mark);
      return at;
    },
  };
}
