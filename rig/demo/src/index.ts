/** The demo for programs: `runDemo` with its options and its report; and its parts, of which the drills are made too. */
export { type DemoModules, runDemo } from "./demo.js";
export { createMarks } from "./drive/marks.js";
export { answersFit, pollTime, renew, settle, withAffinity } from "./drive/wait.js";
export type { Affinity, RigWorld } from "./drive/world.js";
export { driveFault, restoring } from "./faults/faults.js";
export { killAll } from "./faults/kill.js";
export { buildProgram } from "./image/program.js";
export {
  answeredByReady,
  type Check,
  connectsKept,
  faultProof,
  onlyOpenLost,
  servedBy,
  WATCH_SLACK_MS,
} from "./judge/checks.js";
export { FAR, type FaultResult, judge, NEAR } from "./judge/judge.js";
export type { Report } from "./judge/report.js";
export { FAULT_NAMES, type FaultName, type KillRun, type Mark } from "./judge/runs.js";
export { readyAgain, round, slowestConnect, type Traffic, unaccounted, type Window, within } from "./judge/traffic.js";
export { type LoadModules, underLoad, untilComplete } from "./load.js";
export { type DemoOptions, parseOptions } from "./options.js";
export { createProgress } from "./progress.js";
export { logsFolder } from "./rigs/alone.js";
export { inLab } from "./rigs/in-lab.js";
export type { Rig } from "./rigs/rig.js";
export { demoProcesses } from "./rigs/server-processes.js";
export type { SampleLog, Stall } from "./samples/log.js";
export { type Mono, monoNow, type Sample } from "./samples/sample.js";
