/**
 * Programs on network devices by filters on clsact hooks, for kernels without TCX links (before Linux 6.6).
 *
 * A filter belongs to its device: it stays when the agent stops, and goes with the device. Its name has the pin folder
 * of the agent and the program, by which the next agent recognizes it, so nothing is kept anywhere else. Filters of
 * others are left alone. The hooks are shared: they are made where they are missing, and removed with their last filter.
 */
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
  requireClsact,
} from "../netlink/filters.js";
import { listLinks, parseLink } from "../netlink/links.js";
import type { NetlinkRequest } from "../netlink/messages.js";
import { type Netlink, openNetlink, withNetlink } from "../netlink/netlink.js";
import { attachFailure, type DeviceMechanism, type DeviceProgram } from "./device-mechanism.js";

const DIRECTIONS: readonly Direction[] = ["ingress", "egress"];

/** `netns`: path of the devices' network namespace, by default that of the process. */
export function createClsactFilters(pinFolder: string, netns?: string): DeviceMechanism {
  const prefix = `${pinFolder}:`;

  const isOwn = (filter: Filter | "other"): filter is Filter => filter !== "other" && filter.name.startsWith(prefix);

  /** Runs each program by the filter that it has, or by a new one. */
  async function addFilters(
    netlink: Netlink,
    ifindex: number,
    programs: ReadonlyMap<DeviceProgram, Filter | undefined>,
  ): Promise<void> {
    const changes: [DeviceProgram, NetlinkRequest][] = [];
    for (const [program, have] of programs) {
      const { name, direction, info, fd } = program;
      if (have === undefined) changes.push([program, createFilter({ ifindex, direction, name: prefix + name }, fd.fd)]);
      else if (have.programId !== info.id) changes.push([program, replaceFilter(have, fd.fd)]);
    }
    const results = await netlink.run(changes.map(([, request]) => request));
    for (const [i, [program]] of changes.entries()) {
      const error = results[i]?.error;
      if (error !== undefined) throw attachFailure(program, ifindex, "clsact", error);
    }
  }

  /**
   * Deletes these filters. `areAll`: the hooks have no others, and go with them, in one request, so that an agent that
   * is killed leaves no hooks without filters.
   */
  async function remove(netlink: Netlink, ifindex: number, filters: readonly Filter[], areAll: boolean): Promise<void> {
    if (filters.length === 0) return;
    if (areAll) {
      const [removed] = await netlink.run([deleteClsact(ifindex)]);
      if (removed?.error === undefined) return;
    }
    const results = await netlink.run(filters.map(deleteFilter));
    if (results.every(({ error }) => error === undefined)) return;
    const left = await filtersOf(netlink, ifindex);
    // A failed deletion is none when the filter is gone, with its device for example.
    for (const [i, filter] of filters.entries()) {
      const error = results[i]?.error;
      if (error !== undefined && left.some((other) => isSame(filter, other))) throw error;
    }
  }

  return {
    attach: (ifindex, programs) =>
      withNetlink(openNetlink, netns, async (netlink) => {
        const [first] = programs;
        const isNew = first !== undefined && (await makeHooks(netlink, ifindex, first));
        const all = isNew ? [] : await filtersOf(netlink, ifindex);
        const own = all.filter(isOwn);
        const find = ({ name, direction }: DeviceProgram) =>
          own.find((filter) => filter.name === prefix + name && filter.direction === direction);
        const kept = new Set(programs.map(find));
        await addFilters(netlink, ifindex, new Map(programs.map((program) => [program, find(program)])));
        const others = own.filter((filter) => !kept.has(filter));
        await remove(netlink, ifindex, others, programs.length === 0 && others.length === all.length);
      }),
    retain: (ifindexes) =>
      withNetlink(openNetlink, netns, async (netlink) => {
        const links = await netlink.dump(listLinks(), parseLink);
        for (const { index } of links) {
          if (ifindexes.has(index)) continue;
          const all = await filtersOf(netlink, index);
          await remove(netlink, index, all.filter(isOwn), all.every(isOwn));
        }
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

/** False when the device has hooks already. An error is that of the program for which they are made. */
async function makeHooks(netlink: Netlink, ifindex: number, program: DeviceProgram): Promise<boolean> {
  const [made] = await netlink.run([createClsact(ifindex)]);
  if (made?.error === undefined) return true;
  const exists = made.error.data.errno === "EEXIST";
  const error = exists ? (await netlink.run([requireClsact(ifindex)]))[0]?.error : made.error;
  if (error !== undefined) throw attachFailure(program, ifindex, "clsact", error);
  return false;
}
