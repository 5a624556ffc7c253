/** The process around `runMesh`: its arguments, streams, signals and exit code. */
import { processIo } from "./cli/io.js";
import { runMesh } from "./cli/run.js";

// Deprecations inside our dependencies are nothing that a user of the CLI can act on.
process.noDeprecation = true;
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
process.once("SIGTERM", () => stop.abort());
// `mesh … | head` closes our stdout early; that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});
process.exitCode = await runMesh(process.argv.slice(2), processIo(stop.signal));
