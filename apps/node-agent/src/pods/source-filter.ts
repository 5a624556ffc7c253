/**
 * Prevents pods from forging their source address: sets `rp_filter` of their devices to strict and reads it back.
 *
 * The kernel applies the higher of the device's value and that of `all`: 1 is strict, 2 accepts every source that any
 * route leads to, 0 accepts all. A value that another program changed (udev applies the machine's settings to new
 * devices) is set again. A device that cannot be made strict is reported, but its pod is attached nevertheless.
 */
import { readFile } from "node:fs/promises";
import { setReversePathFilter } from "@isthmus/bpf";

/** Settings by device name, and that of `all`. */
export interface FilterSettings {
  /** 0 also when it cannot be read. */
  readonly all: number;
  /** Existing devices. */
  readonly devices: ReadonlyMap<string, number>;
}

const STRICT = 1;
const LOOSE = 2;

/** The problem and its fix; undefined = no pod can forge its address. */
export function filterProblem({ all, devices }: FilterSettings): string | undefined {
  if (all === LOOSE) {
    return "Pods can send from addresses that are not theirs: set net.ipv4.conf.all.rp_filter to 0 or 1 (it is 2, loose)";
  }
  const open = [...devices.values()].find((value) => Math.max(all, value) !== STRICT);
  if (open === undefined) return undefined;
  const fix = "give the node-agent CAP_NET_ADMIN on the node's network";
  return `Pods can send from addresses that are not theirs: ${fix} (rp_filter of a pod's device stays ${open})`;
}

/** Sets the devices to strict; resolves with the settings that the kernel has afterwards. */
export async function setAllStrict(devices: readonly string[]): Promise<FilterSettings> {
  const settings = await Promise.all(
    devices.map(async (device): Promise<readonly (readonly [string, number])[]> => {
      const value = await setStrict(device);
      return value === undefined ? [] : [[device, value]];
    }),
  );
  return { all: (await read("all")) ?? 0, devices: new Map(settings.flat()) };
}

/**
 * Sets a device to strict; resolves with its value afterwards, undefined = it is gone, or not made yet: its ADD sets it.
 * Never rejects.
 */
export async function setStrict(device: string): Promise<number | undefined> {
  const before = await read(device);
  if (before === undefined || before === STRICT) return before;
  await setReversePathFilter(device, STRICT).catch(() => undefined); // the value that is read back shows the failure
  return read(device);
}

async function read(device: string): Promise<number | undefined> {
  const text = await readFile(`/proc/sys/net/ipv4/conf/${device}/rp_filter`, "latin1").catch(() => undefined);
  return text === undefined ? undefined : Number(text);
}
