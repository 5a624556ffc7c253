/** The agent's routes to other nodes in the kernel: read as a whole, written and removed in batches. */
import { type OpenNetlink, rtnetlink, withNetlink } from "@isthmus/bpf";
import { kernelRoute, ROUTE_PROTOCOL, type Route } from "./route.js";

/** Each function rejects with `NETLINK` when the kernel cannot be asked at all. */
export interface RouteKernel {
  /** The agent's routes. */
  read(): Promise<readonly Route[]>;
  /** Adds routes, or replaces their gateways; the error of each, undefined = it is in the kernel. */
  write(routes: readonly Route[]): Promise<readonly (Error | undefined)[]>;
  /** Removes routes; one that does not exist is no error. */
  remove(routes: readonly Route[]): Promise<readonly (Error | undefined)[]>;
}

/** `open` is called for the namespace of this process; each call of a method opens a socket and closes it. */
export function createRouteKernel(open: OpenNetlink): RouteKernel {
  return {
    read: () =>
      withNetlink(open, undefined, async (netlink) => {
        const found: Route[] = [];
        for (const family of ["IPv4", "IPv6"] as const) {
          for (const { prefix, kind, gateway } of await rtnetlink.readRoutes(netlink, {
            family,
            protocol: ROUTE_PROTOCOL,
          }))
            if (kind === "unreachable" || gateway !== undefined)
              found.push({ prefix, via: kind === "unreachable" ? undefined : gateway });
        }
        return found;
      }),
    write: (routes) =>
      withNetlink(open, undefined, async (netlink) => {
        const results = await netlink.run(routes.map((route) => rtnetlink.setRoute(kernelRoute(route))));
        return results.map(({ error }) => error);
      }),
    remove: (routes) =>
      withNetlink(open, undefined, async (netlink) => {
        const results = await netlink.run(routes.map((route) => rtnetlink.deleteRoute(kernelRoute(route))));
        return results.map(({ error }) => (error?.data.errno === "ESRCH" ? undefined : error));
      }),
  };
}
