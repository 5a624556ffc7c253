/** Entry point of clustermesh-apiserver. wire.ts builds and connects its parts. */
import { runProcess } from "@isthmus/observe";
import { VERSION } from "@isthmus/runtime";
import { parseArguments, USAGE } from "./wire/arguments.js";
import { runApiserver } from "./wire.js";

await runProcess({
  app: "clustermesh-apiserver",
  version: VERSION,
  usage: USAGE,
  run: (argv, log, signal) => runApiserver(parseArguments(argv), log, signal),
});
