/**
 * Programs on network devices by filters on clsact hooks, for kernels without TCX links (before Linux 6.6).
 *
 * A filter belongs to its device: it stays when the agent stops, and goes with the device. Its name has the pin folder
 * of the agent and the program, by which the next agent recognizes it, so nothing is kept anywhere else. Filters of
 * others are left alone. The hooks are shared: they are made where they are missing, and removed with their last filter.
 */
import { MeshError } from "@isthmus/model";
import {
  createClsact,
  createFilter,
  type Direction,
  deleteClsact,
  deleteFilter,
  type Filter,
  listFilters,
  parseFilter,
  replaceFilter,
} from "../netlink/filters.js";
import { listLinks, parseLink } from "../netlink/links.js";
import type { NetlinkRequest } from "../netlink/messages.js";
import { type Netlink, openNetlink, runAll, withNetlink } from "../netlink/netlink.js";
import { attaching, type DeviceMechanism, type DeviceProgram } from "./device-mechanism.js";

const DIRECTIONS: readonly Direction[] = ["ingress", "egress"];

/** `netns`: path of the devices' network namespace, by default that of the process. */
export function createClsactFilters(pinFolder: string, netns?: string): DeviceMechanism {
  const prefix = `${pinFolder}:`;

  async function ownFilters(netlink: Netlink, ifindex: number): Promise<readonly Filter[]> {
    const all = await filtersOf(netlink, ifindex);
    return all.filter((filter) => filter !== "other").filter(({ name }) => name.startsWith(prefix));
  }

  async function attachOne(netlink: Netlink, ifindex: number, program: DeviceProgram, have: Filter | undefined) {
    const { fd } = program.fd;
    const filter = { ifindex, direction: program.direction, name: prefix + program.name };
    if (have !== undefined) {
      if (have.programId !== program.info.id) await runAll(netlink, [replaceFilter(have, fd)]);
      return;
    }
    await runUnless(netlink, createClsact(ifindex), ["EEXIST"]);
    await runAll(netlink, [createFilter(filter, fd)]);
  }

  /** Deletes these filters, and the hooks when no filter is left on them. */
  async function remove(netlink: Netlink, ifindex: number, filters: readonly Filter[]): Promise<void> {
    if (filters.length === 0) return;
    const results = await netlink.run(filters.map(deleteFilter));
    const left = await filtersOf(netlink, ifindex);
    // A failed deletion is none when the filter is gone, with its device for example.
    for (const [i, filter] of filters.entries()) {
      const error = results[i]?.error;
      if (error !== undefined && left.some((other) => isSame(filter, other))) throw error;
    }
    if (left.length === 0) await runUnless(netlink, deleteClsact(ifindex), ["ENODEV", "ENOENT", "EINVAL"]);
  }

  return {
    attach: (ifindex, programs) =>
      withNetlink(openNetlink, netns, async (netlink) => {
        const have = await ownFilters(netlink, ifindex);
        const find = ({ name, direction }: DeviceProgram) =>
          have.find((filter) => filter.name === prefix + name && filter.direction === direction);
        const kept = new Set(programs.map(find));
        for (const program of programs)
          await attaching(program, ifindex, "clsact", () => attachOne(netlink, ifindex, program, find(program)));
        await remove(
          netlink,
          ifindex,
          have.filter((filter) => !kept.has(filter)),
        );
      }),
    retain: (ifindexes) =>
      withNetlink(openNetlink, netns, async (netlink) => {
        const links = await netlink.dump(listLinks(), parseLink);
        for (const { index } of links)
          if (!ifindexes.has(index)) await remove(netlink, index, await ownFilters(netlink, index));
      }),
  };
}

async function filtersOf(netlink: Netlink, ifindex: number): Promise<readonly (Filter | "other")[]> {
  const found: (Filter | "other")[] = [];
  for (const direction of DIRECTIONS) found.push(...(await netlink.dump(listFilters(ifindex, direction), parseFilter)));
  return found;
}

function isSame(filter: Filter, other: Filter | "other"): boolean {
  if (other === "other") return false;
  const { direction, priority, handle } = other;
  return direction === filter.direction && priority === filter.priority && handle === filter.handle;
}

/** Executes a request; rejects with its error unless it has one of these errnos. */
async function runUnless(netlink: Netlink, request: NetlinkRequest, allowed: readonly string[]): Promise<void> {
  const [result] = await netlink.run([request]);
  const error = result?.error;
  if (error instanceof MeshError && !allowed.includes(error.data.errno)) throw error;
}
