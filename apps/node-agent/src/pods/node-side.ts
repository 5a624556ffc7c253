/**
 * Reads the node's side of pod networks in the kernel (device, route, neighbour) and finds what is missing of one pod.
 */
import { formatAddress } from "@isthmus/model";
import { deviceMacs, isHostDeviceName } from "./device-name.js";
import { ip } from "./ip.js";
import { POD_ROUTE_PROTOCOL } from "./ip-commands.js";
import type { PodAttachment } from "./types.js";

export interface NodeSide {
  /** Devices whose names match the agent's pattern; true = up. */
  readonly devices: ReadonlyMap<string, boolean>;
  /** `<address> <device>` of the agent's routes. */
  readonly routes: ReadonlySet<string>;
  /** `<address> <device> <mac>` of permanent neighbours. */
  readonly neighbours: ReadonlySet<string>;
}

/** Reads one device, which must exist, or all. */
export async function readNodeSide(device?: string): Promise<NodeSide> {
  const [links, routes, neighbours] = await Promise.all([
    rows(["link", "show", ...(device === undefined ? ["type", "veth"] : ["dev", device])]),
    rows(["-4", "route", "show", "proto", `${POD_ROUTE_PROTOCOL}`, ...of(device)]),
    rows(["-4", "neigh", "show", ...of(device), "nud", "permanent"]),
  ]);
  // In a query for one device, ip omits the device from its output.
  const on = (row: Row) => row.dev ?? device ?? "";
  return {
    devices: new Map(
      links.flatMap(({ ifname = "", flags }) =>
        isHostDeviceName(ifname) ? [[ifname, flags?.includes("UP") === true]] : [],
      ),
    ),
    routes: new Set(routes.map((row) => `${row.dst?.replace(/\/32$/, "")} ${on(row)}`)),
    neighbours: new Set(neighbours.map((row) => `${row.dst} ${on(row)} ${row.lladdr}`)),
  };
}

/** The first thing that is missing of a pod on the node's side, or undefined. The device must exist. */
export function missingOf(pod: PodAttachment, side: NodeSide): string | undefined {
  const { hostDevice } = pod;
  const address = formatAddress(pod.address);
  if (side.devices.get(hostDevice) !== true) return `device "${hostDevice}" up`;
  if (!side.routes.has(`${address} ${hostDevice}`)) return `route ${address} dev ${hostDevice}`;
  const mac = deviceMacs(hostDevice).pod;
  if (!side.neighbours.has(`${address} ${hostDevice} ${mac}`)) return `neighbour ${address} ${mac}`;
  return undefined;
}

interface Row {
  readonly ifname?: string;
  readonly flags?: readonly string[];
  readonly dst?: string;
  readonly dev?: string;
  readonly lladdr?: string;
}

async function rows(args: readonly string[]): Promise<readonly Row[]> {
  return JSON.parse((await ip(["-json", ...args])) || "[]") as readonly Row[];
}

function of(device: string | undefined): readonly string[] {
  return device === undefined ? [] : ["dev", device];
}
