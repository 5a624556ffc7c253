/**
 * The node's side of a pod's veth is named after the container and its interface: `mesh` and 11 hex digits.
 *
 * A repeated ADD finds it again by its name. A name alone does not make a device ours (an 802.11s interface is `mesh0`):
 * its MAC, which follows from the name and is set in the step that makes the device, or the attachments file must say so.
 */
import { createHash } from "node:crypto";

const PREFIX = "mesh";
const NAME = /^mesh[0-9a-f]{11}$/;

export function hostDeviceName(containerId: string, interfaceName: string): string {
  return PREFIX + digest(`${containerId}/${interfaceName}`).toString("hex").slice(0, 11);
}

export function isHostDeviceName(name: string): boolean {
  return NAME.test(name);
}

/** MACs of both sides: locally administered, known before the devices exist. */
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
