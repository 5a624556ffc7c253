/**
 * The IPv4 addresses of this node's devices: policy knows the node by them too, since the kernel may choose any of them as the source
 * of what the node sends to its pods, and the Node object names only some.
 *
 * Not among them: addresses that never leave the node, and ClusterIPs, which kube-proxy puts on a device of its own.
 */
import { type OpenNetlink, type RouteEvent, rtnetlink, withNetlink } from "@isthmus/bpf";
import { type Address, type Clock, isV4, parsePrefix, prefixContains } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { NetworkChanges } from "./network/network-changes.js";
import { createPassLoop } from "./network/pass-loop.js";

export interface HostAddressesModules {
  /** Opens the node's network namespace, which is that of this process. */
  readonly openNetlink: OpenNetlink;
  /** Changes of addresses. */
  readonly changes: NetworkChanges;
  /** Gets each new problem. */
  readonly log: Logger;
  /** Times the retries. */
  readonly clock: Clock;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Called with all of them once they are known, and after each change of the node's addresses. */
  readonly set: (addresses: readonly Address[]) => void;
}

/** More are ignored. */
const MOST = 256;
const OF_NO_HOST = ["127.0.0.0/8", "169.254.0.0/16"].map(parsePrefix);
const CLUSTER_IPS = "kube-ipvs0";

/** Resolves when they are known, or a retry is scheduled. */
export function followHostAddresses(modules: HostAddressesModules): Promise<void> {
  const { openNetlink, changes, log, clock, signal, set } = modules;
  const loop = createPassLoop({
    clock,
    signal,
    async pass() {
      const addresses = await withNetlink(openNetlink, undefined, readHostAddresses);
      if (addresses.length > MOST) log.warn("The node has more addresses than policy knows it by", { most: MOST });
      set(addresses.slice(0, MOST));
      return undefined;
    },
    failed: (reason) => log.warn("Cannot read the node's addresses, by which policy knows it, retrying", { reason }),
  });
  changes.subscribe((events) => {
    const concerned = events.some(concernsAddresses);
    if (concerned) void loop.trigger();
    return concerned;
  });
  return loop.trigger();
}

async function readHostAddresses(netlink: Parameters<typeof rtnetlink.readLinks>[0]): Promise<readonly Address[]> {
  const links = new Map((await rtnetlink.readLinks(netlink)).map(({ index, name }) => [index, name]));
  const all = await rtnetlink.readIpv4Addresses(netlink);
  return all
    .filter(({ link, prefix: { address } }) => links.get(link) !== CLUSTER_IPS && isV4(address))
    .map(({ prefix }) => prefix.address)
    .filter((address) => !OF_NO_HOST.some((prefix) => prefixContains(prefix, address)));
}

function concernsAddresses(event: RouteEvent): boolean {
  return event.kind === "lost" || event.kind === "address";
}
