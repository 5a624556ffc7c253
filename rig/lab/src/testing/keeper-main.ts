/**
 * Keeps a lab up for as long as its stdin is open, then takes it down.
 *
 *   node keeper-main.js NAME CLUSTERS NODES DATAPATH-MODE [bare]
 *
 * Out: the line "up" on stdout once it is ready. Exit code 0: the lab came up, and nothing of it is left.
 */
import { MeshError } from "@isthmus/model";
import { downLab } from "../life/down.js";
import { remainsOf } from "../life/remains.js";
import { upLab } from "../life/up.js";

const [name = "", clusters = "", nodes = "", mode, bare] = process.argv.slice(2);
const letGo = new AbortController();
const released = new Promise<void>((resolve) =>
  letGo.signal.addEventListener("abort", () => resolve(), { once: true }),
);

for (const event of ["end", "close", "error"] as const) process.stdin.on(event, () => letGo.abort());
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => letGo.abort());
process.stdin.resume();
// When the parent exits, writes to its pipes fail; ignore that.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);

try {
  const shape = {
    clusters: clusters.split(","),
    nodes: Number(nodes),
    bare: bare === "bare",
    ...(mode === "sockets" ? { datapathMode: "sockets" as const } : {}),
  } as const;
  const { plan } = await upLab({ name, ...shape, signal: letGo.signal });
  process.stdout.write("up\n");
  await released;
  await downLab({ name });
  const left = await remainsOf(plan);
  for (const each of left) process.stderr.write(`Left over by lab "${name}": ${each}\n`);
  process.exitCode = left.length === 0 ? 0 : 1;
} catch (thrown) {
  process.stderr.write(`${MeshError.from(thrown).message}\n`);
  process.exitCode = 1;
}
process.stdin.destroy();
