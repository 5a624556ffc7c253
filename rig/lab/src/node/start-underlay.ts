/** Starts the underlay: the process that keeps its namespace alive, its network, and the registry proxy for the nodes. */
import { join } from "node:path";
import { allNodes } from "../plan/plan.js";
import { cgroupOf, type LabContext } from "../supervise/context.js";
import type { ProcessSpec } from "../supervise/spec.js";
import { start } from "../supervise/start.js";
import { createRegistryProxy, isLoopback, REGISTRY_PROXY_PORT } from "./registry-proxy.js";
import { networkHolder } from "./network-holder.js";
import { setUpUnderlay } from "./underlay.js";

export async function startUnderlay(context: LabContext): Promise<void> {
  await start(context, underlay(context));
  const nodes = new Set(allNodes(context.plan).map(({ address }) => address));
  const proxy = createRegistryProxy({
    upstream: process.env["HTTPS_PROXY"] ?? process.env["https_proxy"],
    isClientAllowed: (address) => nodes.has(address),
    isTargetAllowed: (address) => !isLoopback(address),
  });
  proxy.on("error", (error) => console.error(`Cannot serve the way to registries: ${error.message}`));
  proxy.listen(REGISTRY_PROXY_PORT, context.plan.underlay.rootAddress);
  proxy.unref();
}

function underlay(context: LabContext): ProcessSpec {
  return {
    role: "underlay",
    log: join(context.paths.logs, "underlay.log"),
    cgroup: cgroupOf(context.plan, "underlay"),
    ...networkHolder(context, (pid) => setUpUnderlay(context.plan, pid)),
  };
}
