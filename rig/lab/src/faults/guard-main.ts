/** The program of a fault's guard: `node guard-main.js ORDER`, with the order as JSON. Its one answer goes to stdout. */
import { type GuardOrder, guardFault } from "./guard.js";

const order: GuardOrder = JSON.parse(process.argv[2] ?? "");
const cleared = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => cleared.abort());
process.on("SIGHUP", () => undefined);
// The command that asked may be gone.
process.stdout.on("error", () => undefined);

await guardFault(order, cleared.signal, (answer) => void process.stdout.write(`${JSON.stringify(answer)}\n`));
