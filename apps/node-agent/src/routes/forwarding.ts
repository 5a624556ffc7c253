/** Enables IP forwarding between a node's pods and other nodes, without which no pod reaches another node. */
import { readFile, writeFile } from "node:fs/promises";

const FILE = "/proc/sys/net/ipv4/ip_forward";

/**
 * Writes only when forwarding is off: in a container without privileges /proc/sys is read-only, and an init container
 * has turned it on. Rejects when it cannot write.
 */
export async function enableForwarding(file = FILE): Promise<void> {
  if ((await readFile(file, "utf8")).trim() !== "1") await writeFile(file, "1");
}
