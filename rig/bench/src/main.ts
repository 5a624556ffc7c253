/**
 * `make bench`: prints the figures, each beside its target, and writes them to out/bench.json.
 *
 *   node rig/bench/dist/main.js [datapath] [packets] [rescue] [events] [pods] [agent] [endpoints] [scale] [feed] [mesh]     no name = all, in this order
 */
import { mkdir, writeFile } from "node:fs/promises";
import { cpus, loadavg, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { agentMain, endpointsMain, meshMain, scaleMain } from "./control-plane/main.js";
import { main as datapathMain } from "./datapath/main.js";
import { eventsMain } from "./events/main.js";
import { feedMain } from "./feed/main.js";
import { packetsMain } from "./packets/main.js";
import { podsMain } from "./pods/main.js";
import { rescueMain } from "./rescue/main.js";

const PARTS: Readonly<Record<string, () => Promise<object>>> = {
  datapath: datapathMain,
  packets: packetsMain,
  rescue: rescueMain,
  events: eventsMain,
  pods: podsMain,
  agent: agentMain,
  endpoints: endpointsMain,
  scale: scaleMain,
  feed: feedMain,
  mesh: meshMain,
};

const asked = process.argv.slice(2);
const unknown = asked.find((name) => !(name in PARTS));
if (unknown !== undefined) {
  console.error(`No benchmark "${unknown}": choose from ${Object.keys(PARTS).join(", ")}`);
  process.exit(2);
}

const [loadAverage = 0] = loadavg();
const machine = {
  cpus: cpus().length,
  model: cpus()[0]?.model,
  kernel: release(),
  memoryBytes: totalmem(),
  loadAverage,
};
console.log(
  `${machine.cpus} CPUs (${machine.model}), kernel ${machine.kernel}, load average ${loadAverage.toFixed(1)} before`,
);
const figures: Record<string, object> = { machine: { ...machine, node: process.version, date: new Date() } };
for (const [name, measure] of Object.entries(PARTS)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  console.log(`\n== ${name}\n`);
  figures[name] = await measure();
}
const out = fileURLToPath(new URL("../../../out/", import.meta.url));
await mkdir(out, { recursive: true });
await writeFile(`${out}bench.json`, `${JSON.stringify(figures, null, 2)}\n`);
console.log("\nWritten to out/bench.json");
