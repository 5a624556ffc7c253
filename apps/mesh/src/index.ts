export type { Command, Option } from "./cli/command.js";
export { exitCodeOf } from "./cli/exit.js";
export { COMMANDS } from "./commands/index.js";
export type { Io } from "./output/io.js";
export { runMesh } from "./run.js";
