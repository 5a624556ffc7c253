/**
 * Routes found against routes desired: lines for `ip -batch`, additions before deletions. Pure.
 *
 * Ours are those of protocol 77; the kernel's table is the only state. A route that is not desired goes when it was
 * desired before and its node went away, or, where nobody knows whose it was, when every source known is in sync.
 */
import type { Routes } from "./desired-routes.js";

/** Marks the routes to other nodes as ours (routes to pods are 78). */
export const ROUTE_PROTOCOL = 77;

export interface FoundRoute {
  readonly cidr: string;
  readonly via: string;
}

export interface RoutePlan {
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

export interface RouteFacts {
  readonly desired: Routes;
  readonly found: readonly FoundRoute[];
  /** What this process desired at some time. */
  readonly before: ReadonlySet<string>;
  /** Every source known is in sync, so what nobody wants is nobody's. */
  readonly complete: boolean;
}

export function planRoutes({ desired, found, before, complete }: RouteFacts): RoutePlan {
  const present = new Map(found.map((route) => [route.cidr, route.via]));
  const add: string[] = [];
  for (const { cidr, via } of desired.values()) {
    if (present.get(cidr) !== via) add.push(`route replace ${cidr} via ${via} proto ${ROUTE_PROTOCOL}`);
  }
  const gone = found.filter(({ cidr }) => !desired.has(cidr) && (complete || before.has(cidr)));
  return { add, remove: gone.map(({ cidr }) => `route del ${cidr} proto ${ROUTE_PROTOCOL}`) };
}

/** The output of `ip -j route show proto 77`. */
export function parseRoutes(json: string): readonly FoundRoute[] {
  const rows = JSON.parse(json === "" ? "[]" : json) as readonly { dst?: string; gateway?: string }[];
  return rows.flatMap(({ dst, gateway }): FoundRoute[] => {
    if (dst === undefined || dst === "default") return [];
    return [{ cidr: dst.includes("/") ? dst : `${dst}/${dst.includes(":") ? 128 : 32}`, via: gateway ?? "" }];
  });
}
