/**
 * Reads the agent's devices and routes in the node's network namespace. `listDevices`, which each ADD calls, starts no
 * process.
 */
import { readFile } from "node:fs/promises";
import { type Address, parseAddress } from "@isthmus/model";
import { deviceMacs, isHostDeviceName } from "./device-name.js";
import { ip } from "./ip.js";
import { POD_ROUTE_PROTOCOL } from "./ip-commands.js";

const DEFAULT_MTU = 1500;

/**
 * Devices whose names match the agent's pattern; the name alone does not identify a device of the agent.
 * `/proc/self/net` is of this process's namespace, `/sys/class/net` may be of another one.
 */
export async function listDevices(): Promise<ReadonlySet<string>> {
  const lines = (await readFile("/proc/self/net/dev", "latin1")).split("\n");
  const names = lines.map((line) => line.slice(0, line.indexOf(":")).trim());
  return new Set(names.filter(isHostDeviceName));
}

/** Veths of the agent, recognised by the MAC that is derived from the name. */
export async function agentDevices(): Promise<ReadonlySet<string>> {
  const links = JSON.parse((await ip(["-json", "link", "show", "type", "veth"])) || "[]") as readonly {
    readonly ifname?: string;
    readonly address?: string;
  }[];
  const names = links.flatMap(({ ifname = "", address }) =>
    isHostDeviceName(ifname) && address === deviceMacs(ifname).host ? [ifname] : [],
  );
  return new Set(names);
}

/** Addresses of pods by host device, from the agent's routes, for the case that the state file is lost. */
export async function addressesByDevice(): Promise<ReadonlyMap<string, Address>> {
  const routes: unknown = JSON.parse(
    (await ip(["-4", "-json", "route", "show", "proto", `${POD_ROUTE_PROTOCOL}`])) || "[]",
  );
  const addresses = new Map<string, Address>();
  for (const route of Array.isArray(routes) ? (routes as { dst?: unknown; dev?: unknown }[]) : []) {
    if (typeof route.dst !== "string" || typeof route.dev !== "string" || !isHostDeviceName(route.dev)) continue;
    addresses.set(route.dev, parseAddress(route.dst.replace(/\/32$/, "")));
  }
  return addresses;
}

/** MTU of the device of the default route; 1500 on a node without a default route. */
export async function uplinkMtu(): Promise<number> {
  const [route] = JSON.parse((await ip(["-4", "-json", "route", "show", "default"])) || "[]") as { dev?: string }[];
  if (route?.dev === undefined) return DEFAULT_MTU;
  const [link] = JSON.parse(await ip(["-json", "link", "show", "dev", route.dev])) as { mtu?: number }[];
  return link?.mtu ?? DEFAULT_MTU;
}
