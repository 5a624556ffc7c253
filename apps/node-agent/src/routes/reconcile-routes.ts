/**
 * Compares the kernel's routes with the desired ones: lines for `ip -batch`, additions before deletions. Pure.
 *
 * The agent's routes have protocol 77; the kernel's table is the only state. A route that is not desired is removed if
 * this process desired it before; if not, its node may not be known yet, so it is removed once every known source is in
 * sync.
 */
import { type Route, type Routes, routeKey } from "./desired-routes.js";

/** Marks the agent's routes to other nodes (its routes to pods have 78). */
export const ROUTE_PROTOCOL = 77;

/** Metric of unreachable routes: any other route of the same CIDR, such as one of another network, takes precedence. */
const UNREACHABLE_METRIC = 1_000_000;

export interface RoutePlan {
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

export interface RouteFacts {
  readonly desired: Routes;
  readonly present: readonly Route[];
  /** Keys of all routes that this process has desired so far. */
  readonly everDesired: ReadonlySet<string>;
  /** Every known source is in sync, so a route that is not desired belongs to no node. */
  readonly complete: boolean;
}

export function planRoutes({ desired, present: found, everDesired: before, complete }: RouteFacts): RoutePlan {
  const present = new Map(found.map((route) => [routeKey(route), route.via]));
  const add: string[] = [];
  for (const [key, { via }] of desired) {
    const target = via === undefined ? `metric ${UNREACHABLE_METRIC}` : `via ${via}`;
    if (!present.has(key) || present.get(key) !== via)
      add.push(`route replace ${key} ${target} proto ${ROUTE_PROTOCOL}`);
  }
  const obsolete = [...present.keys()].filter((key) => !desired.has(key) && (complete || before.has(key)));
  return { add, remove: obsolete.map((key) => `route del ${key} proto ${ROUTE_PROTOCOL}`) };
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
