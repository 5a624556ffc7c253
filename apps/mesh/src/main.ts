/** The process around `runMesh`: its arguments, streams, signals and exit code. */
import { interrupted } from "./cli/deadline.js";
import { processIo } from "./cli/io.js";
import { trackConnections } from "./cli/leave.js";
import { runMesh } from "./cli/run.js";

// Deprecations inside our dependencies are nothing that a user of the CLI can act on.
process.noDeprecation = true;
const stop = new AbortController();
let stoppedBy: NodeJS.Signals | undefined;
for (const name of ["SIGINT", "SIGTERM"] as const)
  process.on(name, () => {
    stoppedBy ??= name;
    stop.abort(interrupted(name));
  });
const connections = trackConnections();
// `mesh … | head` closes our stdout early; that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});
process.exitCode = await runMesh(process.argv.slice(2), processIo(stop.signal));
connections.leave(stoppedBy);
