/** clustermesh-apiserver: arguments, signals, exit code. The parts are put together in wire.ts. */
import { MeshError } from "@isthmus/model";
import { createLogger } from "@isthmus/observe";
import { parseArguments, USAGE } from "./arguments.js";
import { runApiserver } from "./wire.js";

const log = createLogger({ app: "clustermesh-apiserver" });
const stop = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  // A second signal does not wait.
  process.once(signal, () => {
    process.once(signal, () => process.exit(1));
    stop.abort(new Error(signal));
  });
}

try {
  await runApiserver(parseArguments(process.argv.slice(2)), log, stop.signal);
  process.exit(0);
} catch (thrown) {
  const error = MeshError.from(thrown);
  if (error.code === "USAGE") process.stderr.write(`${error.message}\n\n${USAGE}`);
  else log.error("Stopped by an error", { error });
  process.exit(error.code === "USAGE" ? 2 : 1);
}
