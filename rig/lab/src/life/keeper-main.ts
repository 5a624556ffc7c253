/**
 * Keeps a lab up for as long as its stdin is open, then takes it down, unless it has read `LEAVE`.
 *
 *   node keeper-main.js NAME CLUSTERS NODES DATAPATH-MODE [bare]
 *
 * Out: lines of JSON on stdout (`KeeperLine`). Exit code 0: the lab came up, and nothing of it is left.
 */
import { MeshError } from "@isthmus/model";
import { downLab } from "./down.js";
import { type KeeperLine, LEAVE } from "./keep-lab.js";
import { remainsOf } from "./remains.js";
import { upLab } from "./up.js";

const [name = "", clusters = "", nodes = "", mode, bare] = process.argv.slice(2);
const letGo = new AbortController();
const released = new Promise<void>((resolve) =>
  letGo.signal.addEventListener("abort", () => resolve(), { once: true }),
);
const report = (line: KeeperLine) => void process.stdout.write(`${JSON.stringify(line)}\n`);

for (const event of ["end", "close", "error"] as const) process.stdin.on(event, () => letGo.abort());
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => letGo.abort());
let orders = "";
process.stdin.on("data", (piece) => {
  orders += String(piece);
});
// When the parent exits, writes to its pipes fail; ignore that.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);

try {
  const shape = {
    clusters: clusters.split(","),
    nodes: Number(nodes),
    bare: bare === "bare",
    ...(mode === "sockets" ? { datapathMode: "sockets" as const } : {}),
  } as const;
  const onProgress = (said: string) => report({ said });
  const { plan } = await upLab({ name, ...shape, onProgress, signal: letGo.signal });
  report({ up: true });
  await released;
  if (orders !== LEAVE) await downLab({ name });
  const left = orders === LEAVE ? [] : await remainsOf(plan);
  for (const each of left) process.stderr.write(`Left over by lab "${name}": ${each}\n`);
  process.exitCode = left.length === 0 ? 0 : 1;
} catch (thrown) {
  const error = MeshError.from(thrown);
  report({ error: { code: error.code, sentence: error.message } });
  process.exitCode = 1;
}
process.stdin.destroy();
