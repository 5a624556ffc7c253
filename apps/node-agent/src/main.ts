/** node-agent. The parts are put together in wire.ts. */
import { runProcess } from "@isthmus/observe";
import { VERSION } from "@isthmus/runtime";
import { parseArguments, USAGE } from "./arguments.js";
import { runAgent } from "./wire.js";

await runProcess({
  app: "node-agent",
  version: VERSION,
  usage: USAGE,
  run: (argv, log, signal) => runAgent(parseArguments(argv), log, signal),
});
