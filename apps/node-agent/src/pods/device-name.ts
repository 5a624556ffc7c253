/**
 * The node's side of a pod's veth is named after the container and its interface: `mesh` and 11 hex digits.
 *
 * A fresh agent knows a device as ours by its name and by its route (protocol 78), and a repeated ADD finds it again.
 */
import { createHash } from "node:crypto";

export const DEVICE_PREFIX = "mesh";

export function hostDeviceName(containerId: string, interfaceName: string): string {
  return DEVICE_PREFIX + digest(`${containerId}/${interfaceName}`).toString("hex").slice(0, 11);
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
