/**
 * Routes found against routes desired: lines for `ip -batch`, additions before deletions. Pure.
 *
 * Ours are those of protocol 77; the kernel's table is the only state. A route that is not desired goes when it was
 * desired before and its node went away, or, where nobody knows whose it was, when every source known is in sync.
 */
import { type Route, type Routes, routeKey } from "./desired-routes.js";

/** Marks the routes to other nodes as ours (routes to pods are 78). */
export const ROUTE_PROTOCOL = 77;

/** Metric of unreachable routes: any other route of the same CIDR, such as one of another network, takes precedence. */
const UNREACHABLE_METRIC = 1_000_000;

export interface RoutePlan {
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

export interface RouteFacts {
  readonly desired: Routes;
  readonly found: readonly Route[];
  /** Keys of all routes that this process ever desired. */
  readonly before: ReadonlySet<string>;
  /** Every source known is in sync, so what nobody wants is nobody's. */
  readonly complete: boolean;
}

export function planRoutes({ desired, found, before, complete }: RouteFacts): RoutePlan {
  const present = new Map(found.map((route) => [routeKey(route), route.via]));
  const add: string[] = [];
  for (const [key, { via }] of desired) {
    const target = via === undefined ? `metric ${UNREACHABLE_METRIC}` : `via ${via}`;
    if (!present.has(key) || present.get(key) !== via)
      add.push(`route replace ${key} ${target} proto ${ROUTE_PROTOCOL}`);
  }
  const gone = [...present.keys()].filter((key) => !desired.has(key) && (complete || before.has(key)));
  return { add, remove: gone.map((key) => `route del ${key} proto ${ROUTE_PROTOCOL}`) };
}

/** The output of `ip -j route show proto 77`. */
export function parseRoutes(json: string): readonly Route[] {
  const rows = JSON.parse(json === "" ? "[]" : json) as readonly { type?: string; dst?: string; gateway?: string }[];
  return rows.flatMap(({ type, dst, gateway }): Route[] => {
    if (dst === undefined || dst === "default") return [];
    const cidr = dst.includes("/") ? dst : `${dst}/${dst.includes(":") ? 128 : 32}`;
    return [{ cidr, via: type === "unreachable" ? undefined : (gateway ?? "") }];
  });
}
