/** The process of `runMesh`: arguments, streams, signals and exit code. */
import { interrupted } from "./cli/deadline.js";
import { trackConnections } from "./cli/leave.js";
import { processIo } from "./output/io.js";
import { runMesh } from "./run.js";

// A user of the CLI can do nothing about deprecations in its dependencies.
process.noDeprecation = true;
const stop = new AbortController();
let stoppedBy: NodeJS.Signals | undefined;
for (const name of ["SIGINT", "SIGTERM"] as const)
  process.on(name, () => {
    stoppedBy ??= name;
    stop.abort(interrupted(name));
  });
const connections = trackConnections();
// `mesh … | head` closes stdout early, which is not an error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});
process.exitCode = await runMesh(process.argv.slice(2), processIo(stop.signal));
connections.exitProcess(stoppedBy);
