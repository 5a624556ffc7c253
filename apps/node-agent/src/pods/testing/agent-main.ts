/**
 * The pod network of the agent as a separate process, which tests start in a network namespace and kill.
 *
 * argv[2] = PodsOptions as JSON; stdin = one JSON list of CIDRs per line; stdout = one JSON event per line.
 */
import { createInterface } from "node:readline";
import { openNetlink, openRouteEvents } from "@isthmus/bpf";
import { formatAddress, type Prefix, parsePrefix, systemClock } from "@isthmus/model";
import { createLogger } from "@isthmus/observe";
import { followNetwork } from "../../network/network-changes.js";
import { CNI_TRY_AGAIN, CniError } from "../cni-error.js";
import { startPods } from "../start-pods.js";
import type { PodAttachment, PodsOptions } from "../types.js";
import { withFaults } from "./fault-injector.js";

const options = JSON.parse(process.argv[2] ?? "") as PodsOptions;
const controller = new AbortController();
const emit = (event: object) => process.stdout.write(`${JSON.stringify(event)}\n`);
const describe = (pod: PodAttachment) => ({ address: formatAddress(pod.addresses[0]), uid: pod.uid });

/** CIDRs that were read before the subscription. */
const pending: Prefix[][] = [];
let listen = (cidrs: readonly Prefix[]): void => {
  pending.push([...cidrs]);
};
createInterface({ input: process.stdin }).on("line", (line) => listen((JSON.parse(line) as string[]).map(parsePrefix)));

const pods = await startPods(options, {
  log: createLogger({ app: "agent" }),
  nodeConfig: {
    subscribe(listener) {
      listen = listener;
      for (const cidrs of pending) listener(cidrs);
    },
  },
  report: { up: (pod) => emit({ up: describe(pod) }), down: (pod) => emit({ down: describe(pod) }) },
  health: (address) => emit({ health: address === undefined ? "none" : formatAddress(address) }),
  openNetlink: withFaults(openNetlink, process.env["FAULTS"] ?? ""),
  programs: () => undefined,
  enforced: async ({ name }) => {
    if (name.startsWith("late")) throw new CniError(CNI_TRY_AGAIN, `Cannot enforce policy for ${name} yet`);
  },
  devices: undefined,
  condition: (type, message) => emit({ condition: `${type}: ${message ?? "well"}` }),
  changes: followNetwork({ socket: openRouteEvents(), clock: systemClock, signal: controller.signal }),
  signal: controller.signal,
});
emit({ ready: true });
process.on("SIGTERM", () => controller.abort());
await pods.closed;
process.exit(0);
