/** Pins of links in a node's folder in bpffs: `<prefix><program>@<target>`. Each kind of link has a prefix of its own. */
import { existsSync, readdirSync } from "node:fs";
import { errnoOf } from "../errors.js";
import { type Fd, native } from "../native.js";

/** The prefix of links to cgroups. Agents of the versions before look for these names. */
export const CGROUP_PREFIX = "link_";
/** The prefix of links to network devices. */
export const DEVICE_PREFIX = "tcx_";

/** Names of the pins with this prefix. */
export function pinsWith(pinFolder: string, prefix: string): readonly string[] {
  return readdirSync(pinFolder).filter((file) => file.startsWith(prefix));
}

/** The pinned object, or undefined when there is no pin. */
export function openIfThere(path: string): Fd | undefined {
  // Cheaper than the error of a pin that is not there.
  if (!existsSync(path)) return undefined;
  try {
    return native().openPin(path);
  } catch (cause) {
    if (errnoOf(cause) === "ENOENT") return undefined;
    throw cause;
  }
}
