/**
 * Attaches programs to network devices, by TCX links or, where the kernel has none, by filters on clsact hooks. Both
 * stay when the agent stops; a new version of a program replaces the old one in its place atomically, so that every
 * packet runs one of them.
 *
 * ```
 *   attachAtOnce ─► filters ─► attach ─► links and filters ─► links       on a kernel with TCX
 *   attachAtOnce, attach ─► filters                                       on one without
 * ```
 * The kernel takes a grace period (12 to 16 ms) to make a link, while nothing else may change the network. It takes none for
 * a filter.
 */
import { native } from "../native.js";
import { createClsactFilters } from "./clsact-filters.js";
import type { DeviceMechanism, DeviceProgram } from "./device-mechanism.js";
import { createDeviceTurns } from "./device-turns.js";
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
  /** The one that `attach` leaves on a device. */
  readonly mechanism: MechanismName;
  /**
   * As `attach`, without its grace period if the device takes filters. Resolves with true when it has filters where
   * `attach` would have made links: to be called at any later time.
   */
  attachAtOnce(ifindex: number, programs: readonly DeviceProgram[]): Promise<boolean>;
}

/**
 * Calls for one device run one after the other, those for different devices at the same time; `retain` runs alone. While `attach` puts one mechanism in the place of the other, a packet that the first
 * program passes may run the second, too (bpf/lib/once.h).
 */
export function openDeviceLinks({ pinFolder, netns, mechanism = defaultMechanism() }: DeviceLinkOptions): DeviceLinks {
  const [links, filters] = [createTcxLinks(pinFolder, netns), createClsactFilters(pinFolder, netns)];
  const [chosen, other] = mechanism === "tcx" ? [links, filters] : [filters, links];
  const turns = createDeviceTurns();

  async function attach(ifindex: number, programs: readonly DeviceProgram[]): Promise<void> {
    await chosen.attach(ifindex, programs);
    await other.attach(ifindex, []);
  }

  return {
    mechanism,
    attach: (ifindex, programs) => turns.run(ifindex, () => attach(ifindex, programs)),
    attachAtOnce: (ifindex, programs) =>
      turns.run(ifindex, async () => {
        if (mechanism === "clsact") {
          await attach(ifindex, programs);
          return false;
        }
        const without = await links.update(ifindex, programs);
        try {
          await filters.attach(ifindex, without);
          return without.length > 0;
        } catch {
          // A kernel without clsact, for example, or the first priority of the hook is held by another kind of filter.
          await attach(ifindex, programs);
          return false;
        }
      }),
    retain: (ifindexes) =>
      turns.runAlone(async () => {
        await links.retain(ifindexes);
        await filters.retain(ifindexes);
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
