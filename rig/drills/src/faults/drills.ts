/** The faults that are drilled, in the order in which a round drives them. */
import { FAR, NEAR } from "@isthmus/demo";
import { allDead } from "./all-dead.js";
import { demoFault } from "./demo-fault.js";
import type { Drill } from "./drill.js";
import { killing, killLast, killWithAgent } from "./kill.js";
import { rollOut } from "./roll-out.js";

export const DRILLS: readonly Drill[] = [
  killing("kill", NEAR, "local"),
  killing("kill-none", NEAR, "none"),
  killing("kill-remote", FAR, "remote"),
  killLast,
  killWithAgent,
  rollOut,
  demoFault("node-dark"),
  demoFault("dark"),
  allDead,
  demoFault("control-lost"),
  demoFault("hang"),
];
