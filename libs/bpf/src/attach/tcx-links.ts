/**
 * Programs on network devices by TCX links (Linux 6.6), pinned as `tcx_<direction>_<program>@<ifindex>`. A link whose
 * device was deleted names no device any more, so a new device with the same index gets a link of its own.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type Fd, native } from "../native.js";
import { attaching, type DeviceMechanism, type DeviceProgram } from "./device-mechanism.js";
import { DEVICE_PREFIX, openIfThere, pinsWith } from "./pins.js";

/** BPF_TCX_INGRESS, BPF_TCX_EGRESS */
const ATTACH_TYPE = { ingress: 46, egress: 47 } as const;

export interface TcxLinks extends DeviceMechanism {
  /**
   * As `attach`, but makes no link, since the kernel takes a grace period for that. Resolves with the programs for which
   * the device has none.
   */
  update(ifindex: number, programs: readonly DeviceProgram[]): Promise<readonly DeviceProgram[]>;
}

/** `netns`: path of the devices' network namespace, by default that of the process. */
export function createTcxLinks(pinFolder: string, netns?: string): TcxLinks {
  const pinOf = (program: DeviceProgram, ifindex: number) =>
    `${DEVICE_PREFIX}${program.direction}_${program.name}@${ifindex}`;

  const pathOf = (program: DeviceProgram, ifindex: number) => join(pinFolder, pinOf(program, ifindex));

  async function attachOne(program: DeviceProgram, ifindex: number): Promise<void> {
    const path = pathOf(program, ifindex);
    if (await takeOver(path, program, ifindex)) return;
    const link = await native().deviceLinkCreate(program.fd, ifindex, ATTACH_TYPE[program.direction], netns);
    try {
      rmSync(path, { force: true });
      native().pin(link, path);
    } finally {
      link.close();
    }
  }

  async function releaseAll(isReleased: (pin: string) => boolean): Promise<void> {
    for (const pin of pinsWith(pinFolder, DEVICE_PREFIX)) if (isReleased(pin)) await release(join(pinFolder, pin));
  }

  /** Detaches what this device has beside these programs. */
  async function releaseOthers(ifindex: number, programs: readonly DeviceProgram[]): Promise<void> {
    const kept = new Set(programs.map((program) => pinOf(program, ifindex)));
    await releaseAll((pin) => ifindexOf(pin) === ifindex && !kept.has(pin));
  }

  return {
    async attach(ifindex, programs) {
      for (const program of programs) await attaching(program, ifindex, "tcx", () => attachOne(program, ifindex));
      await releaseOthers(ifindex, programs);
    },
    async update(ifindex, programs) {
      const without: DeviceProgram[] = [];
      for (const program of programs)
        await attaching(program, ifindex, "tcx", async () => {
          if (!(await takeOver(pathOf(program, ifindex), program, ifindex))) without.push(program);
        });
      // A device that needs links gets them by `attach`, which leaves no others.
      if (without.length === 0) await releaseOthers(ifindex, programs);
      return without;
    },
    retain: (ifindexes) => releaseAll((pin) => !ifindexes.has(ifindexOf(pin))),
  };
}

function ifindexOf(pin: string): number {
  return Number(pin.split("@")[1]);
}

/** Makes the pinned link run the program; false when there is none that is on this device. */
async function takeOver(path: string, { fd, info }: DeviceProgram, ifindex: number): Promise<boolean> {
  return withLink(path, async (link) => {
    const have = native().linkInfo(link);
    if (have.ifindex !== ifindex) return false;
    if (have.programId !== info.id) await native().deviceLinkUpdate(link, fd);
    return true;
  });
}

async function release(path: string): Promise<void> {
  await withLink(path, async (link) => {
    await native().deviceLinkDetach(link);
    return true;
  });
  rmSync(path, { force: true });
}

/** False when there is no pin. */
async function withLink(path: string, use: (link: Fd) => Promise<boolean>): Promise<boolean> {
  const link = openIfThere(path);
  if (link === undefined) return false;
  try {
    return await use(link);
  } finally {
    link.close();
  }
}
