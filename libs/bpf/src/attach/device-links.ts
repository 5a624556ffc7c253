/**
 * Attaches programs to network devices, by TCX links or, where the kernel has none, by filters on clsact hooks. Both
 * stay when the agent stops; a new version of a program replaces the old one in its place atomically, so that every
 * packet runs one of them.
 */
import { native } from "../native.js";
import { createClsactFilters } from "./clsact-filters.js";
import type { DeviceMechanism } from "./device-mechanism.js";
import { createTcxLinks } from "./tcx-links.js";

export type MechanismName = "tcx" | "clsact";

export interface DeviceLinkOptions {
  /** Folder in bpffs for this node's pins. It has the devices of one network namespace. */
  readonly pinFolder: string;
  /** Path of the devices' network namespace; that of the process by default. */
  readonly netns?: string;
  /** `tcx` by default where the kernel has it. */
  readonly mechanism?: MechanismName;
}

export interface DeviceLinks extends DeviceMechanism {
  /** The one that `attach` uses; `retain` also detaches what the other one attached. */
  readonly mechanism: MechanismName;
}

/**
 * Calls run one after another. What the other mechanism attached is detached by `retain`: until then a packet may run
 * both versions of a program, after it exactly one.
 */
export function openDeviceLinks({ pinFolder, netns, mechanism = defaultMechanism() }: DeviceLinkOptions): DeviceLinks {
  const all: Readonly<Record<MechanismName, DeviceMechanism>> = {
    tcx: createTcxLinks(pinFolder, netns),
    clsact: createClsactFilters(pinFolder, netns),
  };
  const chosen = all[mechanism];
  let last: Promise<unknown> = Promise.resolve();

  function inTurn(call: () => Promise<void>): Promise<void> {
    const next = last.then(call, call);
    last = next;
    return next;
  }

  return {
    mechanism,
    attach: (ifindex, programs) => inTurn(() => chosen.attach(ifindex, programs)),
    retain: (ifindexes) =>
      inTurn(async () => {
        await chosen.retain(ifindexes);
        for (const other of Object.values(all)) if (other !== chosen) await other.retain(new Set());
      }),
  };
}

function defaultMechanism(): MechanismName {
  return native().probeTcx() ? "tcx" : "clsact";
}

/** Detaches the programs of this pin folder from every device of the network namespace. For uninstalling. */
export function detachFromDevices(pinFolder: string, netns?: string): Promise<void> {
  return openDeviceLinks({ pinFolder, ...(netns === undefined ? {} : { netns }) }).retain(new Set());
}
