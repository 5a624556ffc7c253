/**
 * What a container runtime looks for on the node: the plugin's binary and the network configuration.
 *
 * The configuration is what makes the node's network ready: it is written last, in one step, only when it changes.
 */
import { join } from "node:path";
import { copyAtomic, readIfThere, writeAtomic } from "./atomic-file.js";
import type { PodsOptions } from "./types.js";

export const PLUGIN_TYPE = "isthmus-cni";
export const CONFIGURATION_FILE = "05-isthmus.conflist";

/** Puts the plugin into the node's folder; `loopback` too, where there is none: runtimes call it for every pod. */
export async function installPlugin(options: PodsOptions): Promise<void> {
  const folder = join(options.nodeRoot, options.cniBinDir);
  const plugin = await readIfThere(options.pluginPath);
  await copyIfOther(plugin, options.pluginPath, join(folder, PLUGIN_TYPE));
  const loopback = join(folder, "loopback");
  if ((await readIfThere(loopback)) === undefined) await copyAtomic(options.pluginPath, loopback, 0o755);
}

export async function writeConfiguration(options: PodsOptions): Promise<void> {
  const path = join(options.nodeRoot, options.cniConfDir, CONFIGURATION_FILE);
  const content = configurationJson(options.socketPath);
  if ((await readIfThere(path))?.toString() !== content) await writeAtomic(path, content, 0o644);
}

export function configurationJson(socket: string): string {
  const plugins = [{ type: PLUGIN_TYPE, socket }];
  return `${JSON.stringify({ cniVersion: "1.0.0", name: "isthmus", plugins }, null, 2)}\n`;
}

async function copyIfOther(content: Buffer | undefined, from: string, path: string): Promise<void> {
  const there = await readIfThere(path);
  if (content === undefined || there === undefined || !there.equals(content)) await copyAtomic(from, path, 0o755);
}
