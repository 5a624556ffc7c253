/**
 * Installs the files that a container runtime reads on the node: the plugin's binary and the network configuration.
 *
 * The configuration makes the node's network ready, so it is written last, atomically, and only when it changes.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { copyAtomic, readIfThere, writeAtomic } from "../files/atomic-file.js";
import type { PodsOptions } from "./types.js";

export const PLUGIN_TYPE = "isthmus-cni";
export const CONFIGURATION_FILE = "05-isthmus.conflist";

/**
 * Installs the plugin in the node's folder, and also as `loopback`, which runtimes call for every pod. A `loopback` of
 * another program stays: the agent replaces it only if it is a copy of the plugin that was installed before.
 */
export async function installPlugin(options: PodsOptions): Promise<void> {
  const [plugin, loopback] = [PLUGIN_TYPE, "loopback"].map((name) => join(options.nodeRoot, options.cniBinDir, name));
  if (plugin === undefined || loopback === undefined) return;
  const wanted = await readFile(options.pluginPath);
  const old = await readIfThere(plugin);
  const oldLoopback = await readIfThere(loopback);
  const mayReplaceLoopback = oldLoopback === undefined || old?.equals(oldLoopback) === true;
  if (mayReplaceLoopback && oldLoopback?.equals(wanted) !== true) await copyAtomic(options.pluginPath, loopback, 0o755);
  if (old?.equals(wanted) !== true) await copyAtomic(options.pluginPath, plugin, 0o755);
}

/** Writes it with mode 644, unless the file has this content. Rejects with the file system's error. */
export async function writeConfiguration(options: PodsOptions): Promise<void> {
  const path = join(options.nodeRoot, options.cniConfDir, CONFIGURATION_FILE);
  const content = configurationJson(options.socketPath);
  if ((await readIfThere(path))?.toString() !== content) await writeAtomic(path, content, 0o644);
}

/** `socket`: path of the agent's socket on the node. */
export function configurationJson(socket: string): string {
  // Asks the runtime for these values at each call; supported since containerd 1.7.1 and CRI-O 1.28.
  // Host ports are not served: the agent reports them in an Event.
  const capabilities = { cgroupPath: true, portMappings: true };
  const plugins = [{ type: PLUGIN_TYPE, socket, capabilities }];
  return `${JSON.stringify({ cniVersion: "1.0.0", name: "isthmus", plugins }, null, 2)}\n`;
}
