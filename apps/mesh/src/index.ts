export { exitCodeOf } from "./cli/exit.js";
export type { Io } from "./cli/io.js";
export { runMesh } from "./cli/run.js";
export { COMMANDS } from "./commands/index.js";
