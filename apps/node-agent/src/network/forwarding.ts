/** Enables IP forwarding between a node's pods and other nodes, without which no pod reaches another node. */
import { readFile, writeFile } from "node:fs/promises";
import { MeshError } from "@isthmus/model";

const FILE = "/proc/sys/net/ipv4/ip_forward";

/**
 * Writes only when forwarding is off: in a container without privileges /proc/sys is read-only, and an init container
 * has turned it on. Rejects when it cannot write.
 */
export async function enableForwarding(file = FILE): Promise<void> {
  if ((await readFile(file, "utf8")).trim() === "1") return;
  await writeFile(file, "1").catch((cause: unknown) => {
    throw MeshError.from(cause, `Cannot turn on forwarding in "${file}", without which no pod reaches another node`);
  });
}
