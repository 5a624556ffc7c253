/**
 * The pods' part of the agent as a process of its own, to be started in a test's network namespace and killed there.
 *
 * argv[2] = PodsOptions as JSON; stdin = one JSON list of CIDRs per line; stdout = one JSON event per line.
 */
import { createInterface } from "node:readline";
import { openRouteEvents } from "@isthmus/bpf";
import { formatAddress, type Prefix, parsePrefix, systemClock } from "@isthmus/model";
import { createLogger } from "@isthmus/observe";
import { followNetwork } from "../../network-changes.js";
import { startPods } from "../start-pods.js";
import type { PodAttachment, PodsOptions } from "../types.js";

process.env["PATH"] = `${process.env["SABOTEUR"]}:${process.env["PATH"]}`;
const options = JSON.parse(process.argv[2] ?? "") as PodsOptions;
const controller = new AbortController();
const tell = (event: object) => process.stdout.write(`${JSON.stringify(event)}\n`);
const told = (pod: PodAttachment) => ({ address: formatAddress(pod.address), uid: pod.uid });

const said: Prefix[][] = [];
let listen = (cidrs: readonly Prefix[]): void => {
  said.push([...cidrs]);
};
createInterface({ input: process.stdin }).on("line", (line) => listen((JSON.parse(line) as string[]).map(parsePrefix)));

const pods = await startPods(options, {
  log: createLogger({ app: "agent" }),
  nodeConfig: {
    subscribe(listener) {
      listen = listener;
      for (const cidrs of said) listener(cidrs);
    },
  },
  report: { up: (pod) => tell({ up: told(pod) }), down: (pod) => tell({ down: told(pod) }) },
  programs: () => undefined,
  condition: (type, message) => tell({ condition: `${type}: ${message ?? "well"}` }),
  changes: followNetwork({ socket: openRouteEvents(), clock: systemClock, signal: controller.signal }),
  signal: controller.signal,
});
tell({ ready: true });
process.on("SIGTERM", () => controller.abort());
await pods.closed;
process.exit(0);
