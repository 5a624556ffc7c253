/** The CNI 1.0.0 result for an attached pod: a pure function of the attachment. */
import { type Address, formatAddress, isV4 } from "@isthmus/model";
import { deviceMacs } from "./device-name.js";
import { GATEWAY } from "./pod-requests.js";
import type { PodAttachment } from "./types.js";

/** `netns` as the runtime wrote it. */
export function resultJson(pod: PodAttachment, netns: string): string {
  const mac = deviceMacs(pod.hostDevice);
  return JSON.stringify({
    cniVersion: "1.0.0",
    interfaces: [
      { name: pod.hostDevice, mac: mac.host },
      { name: pod.interfaceName, mac: mac.pod, sandbox: netns },
    ],
    ips: pod.addresses.map(addressOf),
    routes: [{ dst: "0.0.0.0/0", gw: GATEWAY }],
    dns: {},
  });
}

function addressOf(address: Address): object {
  const text = formatAddress(address);
  return isV4(address)
    ? { interface: 1, address: `${text}/32`, gateway: GATEWAY }
    : { interface: 1, address: `${text}/128` };
}
