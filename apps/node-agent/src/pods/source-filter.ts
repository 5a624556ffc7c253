/**
 * Whether a pod can forge its source address: `rp_filter` of its device, as the kernel applies it.
 *
 * The kernel takes the higher of the device's value and that of `all`, so what was written must be read back: 1 is strict,
 * 2 lets every source pass that any route leads to, 0 lets all pass. A value that another program changed (udev applies
 * the machine's own to new devices) is written again; what cannot be made strict is reported, and no pod fails for it.
 */
import { readFile } from "node:fs/promises";
import { setSourceFilter } from "@isthmus/bpf";

/** Settings by device name, and that of `all`. */
export interface FilterSettings {
  readonly all: number;
  /** Devices that are there. */
  readonly devices: ReadonlyMap<string, number>;
}

const STRICT = 1;
const LOOSE = 2;

/** The problem and its fix; undefined = no pod can forge its address. */
export function filterProblem({ all, devices }: FilterSettings): string | undefined {
  if (all === LOOSE) {
    return "Pods can send from addresses that are not theirs: set net.ipv4.conf.all.rp_filter to 0 or 1 (it is 2, loose)";
  }
  const open = [...devices.values()].find((own) => Math.max(all, own) !== STRICT);
  if (open === undefined) return undefined;
  const fix = "give the node-agent CAP_NET_ADMIN on the node's network";
  return `Pods can send from addresses that are not theirs: ${fix} (rp_filter of a pod's device stays ${open})`;
}

/** Makes the devices strict; resolves with the settings that the kernel has then. */
export async function keepStrict(devices: readonly string[]): Promise<FilterSettings> {
  const settings = await Promise.all(
    devices.map(async (device): Promise<readonly (readonly [string, number])[]> => {
      const value = await setStrict(device);
      return value === undefined ? [] : [[device, value]];
    }),
  );
  return { all: (await read("all")) ?? 0, devices: new Map(settings.flat()) };
}

/** The device's value then; undefined = it is gone. Never rejects. */
export async function setStrict(device: string): Promise<number | undefined> {
  if ((await read(device)) === STRICT) return STRICT;
  await setSourceFilter(device, STRICT).catch(() => undefined); // the value that is read back shows it
  return read(device);
}

async function read(device: string): Promise<number | undefined> {
  const text = await readFile(`/proc/sys/net/ipv4/conf/${device}/rp_filter`, "latin1").catch(() => undefined);
  return text === undefined ? undefined : Number(text);
}
