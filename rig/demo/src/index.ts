/** The demo for programs: `runDemo` with its options and its report. */
export { type DemoModules, runDemo } from "./demo.js";
export { buildProgram } from "./image/program.js";
export type { FaultResult } from "./judge/judge.js";
export type { Report } from "./judge/report.js";
export { FAULT_NAMES, type FaultName, type Mark } from "./judge/runs.js";
export { type DemoOptions, parseOptions } from "./options.js";
