/** A fault of the demo, driven and judged as there. */
import { driveFault, type FaultName, judge } from "@isthmus/demo";
import type { Drill } from "./drill.js";

export function demoFault(name: FaultName): Drill {
  return {
    name,
    async drive(world) {
      const run = await driveFault(world, name);
      return { window: run.window, marks: run.marks, checks: (traffic) => judge(run, traffic).checks };
    },
  };
}
