/**
 * The name of the node's side of a pod's veth: `mesh` and 11 hex digits of a hash of the container and its interface.
 *
 * A repeated ADD finds the device by this name. The name alone does not identify a device of the agent (an 802.11s
 * interface is `mesh0`): it must have the MAC that is derived from the name and set in the step that creates the
 * device, or an entry in the attachments file.
 */
import { createHash } from "node:crypto";

const PREFIX = "mesh";
const NAME = /^mesh[0-9a-f]{11}$/;

/** 15 characters, the most that the kernel accepts; the same for the same arguments. */
export function hostDeviceName(containerId: string, interfaceName: string): string {
  return PREFIX + digest(`${containerId}/${interfaceName}`).toString("hex").slice(0, 11);
}

/** True when the name matches the pattern, which alone does not make the device the agent's. */
export function isHostDeviceName(name: string): boolean {
  return NAME.test(name);
}

/** MACs of both sides: locally administered, and derived from the name, so they are known before the devices exist. */
export function deviceMacs(hostDevice: string): { readonly host: string; readonly pod: string } {
  const bytes = digest(hostDevice);
  const mac = (from: number) =>
    [
      "02",
      ...(bytes
        .subarray(from, from + 5)
        .toString("hex")
        .match(/../g) ?? []),
    ].join(":");
  return { host: mac(0), pod: mac(5) };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
