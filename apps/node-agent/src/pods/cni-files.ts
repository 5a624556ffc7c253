/**
 * What a container runtime looks for on the node: the plugin's binary and the network configuration.
 *
 * The configuration is what makes the node's network ready: it is written last, in one step, only when it changes.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { copyAtomic, readIfThere, writeAtomic } from "../atomic-file.js";
import type { PodsOptions } from "./types.js";

export const PLUGIN_TYPE = "isthmus-cni";
export const CONFIGURATION_FILE = "05-isthmus.conflist";

/**
 * Puts the plugin into the node's folder, and as `loopback` too: runtimes call that for every pod. A `loopback` of somebody
 * else stays; ours is known by being the same file as the plugin that stood there.
 */
export async function installPlugin(options: PodsOptions): Promise<void> {
  const [plugin, loopback] = [PLUGIN_TYPE, "loopback"].map((name) => join(options.nodeRoot, options.cniBinDir, name));
  if (plugin === undefined || loopback === undefined) return;
  const wanted = await readFile(options.pluginPath);
  const old = await readIfThere(plugin);
  const oldLoopback = await readIfThere(loopback);
  const loopbackIsOurs = oldLoopback === undefined || old?.equals(oldLoopback) === true;
  if (loopbackIsOurs && oldLoopback?.equals(wanted) !== true) await copyAtomic(options.pluginPath, loopback, 0o755);
  if (old?.equals(wanted) !== true) await copyAtomic(options.pluginPath, plugin, 0o755);
}

export async function writeConfiguration(options: PodsOptions): Promise<void> {
  const path = join(options.nodeRoot, options.cniConfDir, CONFIGURATION_FILE);
  const content = configurationJson(options.socketPath);
  if ((await readIfThere(path))?.toString() !== content) await writeAtomic(path, content, 0o644);
}

export function configurationJson(socket: string): string {
  // What a runtime is asked to say at each call, where it can (containerd 1.7.1, CRI-O 1.28).
  // Host ports are not served; the agent needs them for an Event that says so.
  const capabilities = { cgroupPath: true, portMappings: true };
  const plugins = [{ type: PLUGIN_TYPE, socket, capabilities }];
  return `${JSON.stringify({ cniVersion: "1.0.0", name: "isthmus", plugins }, null, 2)}\n`;
}
