/**
 * The routes that are desired and those that the kernel has, side by side; what differs, and what of it is due. Pure.
 *
 * ```
 *              want               the kernel took it
 *   absent ───────────► missing ─────────────────────► installed
 *      ▲                   ▲        lose                   │
 *      │                   └───────────────────────────────┤
 *      │       the kernel removed it                       │ unwant
 *      └───────────────────────────────────── dropped ◄────┘
 * ```
 * A route that the kernel has and that was never desired here is obsolete too, but only once all nodes are known. The
 * kernel's refusal of a route leaves it where it is, and is remembered.
 */
import type { Prefix } from "@isthmus/model";
import { createDeltaTracker } from "@isthmus/reconcile";
import { type Route, routeKey, routeKeys, routeOf, routeValue } from "./route.js";

/** Keys of routes (`routeKey`). */
export interface DueRoutes {
  /** Desired routes that the kernel lacks, or has with another gateway. */
  readonly write: readonly string[];
  /** Routes that the kernel has and must not have. */
  readonly remove: readonly string[];
}

export interface RouteTable {
  /** The kernel's error about each route that it refused, by key. */
  readonly refused: ReadonlyMap<string, Error>;
  /** Changes that the kernel took since the start. */
  readonly written: number;
  /** True for a route of this kind, whatever its gateway. */
  isDesired(key: string): boolean;
  /** The only route to this CIDR from now on; undefined: none. */
  setDesired(prefix: Prefix, route: Route | undefined): void;
  /** The kernel has this route. Returns its key. */
  setActual(route: Route): string;
  /** The kernel has no other routes than these. Returns the number of desired ones that it lost. */
  retainActual(keys: ReadonlySet<string>): number;
  /** The kernel no longer has these routes. Returns the number of desired ones among them. */
  lose(keys: Iterable<string>): number;
  /**
   * Takes what differs: what changed since the last call, or `everything`. Routes that were never desired here are
   * removed only when all nodes are known.
   */
  takeDue(everything: boolean, allKnown: boolean): DueRoutes;
  /** The desired route of this key. */
  toWrite(key: string): Route;
  /** The route of this key as the kernel has it. */
  toRemove(key: string): Route;
  /** The kernel wrote the route, or refused it with an error. */
  wrote(key: string, route: Route, error: Error | undefined): void;
  /** The kernel removed the route, or refused that with an error. */
  removed(key: string, error: Error | undefined): void;
}

/** No route is desired, and none is known to be in the kernel. */
export function createRouteTable(): RouteTable {
  const tracker = createDeltaTracker();
  /** Keys to compare next. */
  const changed = new Set<string>();
  /** Keys that were desired once and are not any more; the kernel may still have them. */
  const dropped = new Set<string>();
  const refused = new Map<string, Error>();
  let written = 0;

  function want(key: string, value: string): void {
    if (tracker.desired.get(key) === value) return;
    tracker.setDesired(key, value);
    dropped.delete(key);
    refused.delete(key);
    changed.add(key);
  }

  function unwant(key: string): void {
    if (!tracker.desired.has(key)) return;
    tracker.deleteDesired(key);
    refused.delete(key);
    if (!tracker.actual.has(key)) return;
    dropped.add(key);
    changed.add(key);
  }

  function lose(keys: Iterable<string>): number {
    let desired = 0;
    for (const key of keys) {
      if (!tracker.actual.has(key)) continue;
      tracker.deleteActual(key);
      if (tracker.desired.has(key)) {
        changed.add(key);
        desired++;
      } else {
        dropped.delete(key);
        refused.delete(key);
      }
    }
    return desired;
  }

  /** Counts and remembers how the kernel took a change of this route. */
  function took(key: string, error: Error | undefined): boolean {
    if (error === undefined) {
      refused.delete(key);
      written++;
    } else refused.set(key, error);
    return error === undefined;
  }

  return {
    refused,
    get written() {
      return written;
    },
    isDesired: (key) => tracker.desired.has(key),
    setDesired(prefix, route) {
      const wanted = route === undefined ? undefined : routeKey(route);
      for (const key of routeKeys(prefix)) {
        if (route !== undefined && key === wanted) want(key, routeValue(route));
        else unwant(key);
      }
    },
    setActual(route) {
      const key = routeKey(route);
      tracker.setActual(key, routeValue(route));
      return key;
    },
    retainActual: (keys) => lose([...tracker.actual.keys()].filter((key) => !keys.has(key))),
    lose,
    takeDue(everything, allKnown) {
      const obsolete = (key: string) =>
        tracker.toRemove.has(key) && !tracker.desired.has(key) && (allKnown || dropped.has(key));
      const due = everything
        ? { write: [...tracker.toInsert], remove: [...tracker.toRemove].filter(obsolete) }
        : { write: [...changed].filter((key) => tracker.toInsert.has(key)), remove: [...changed].filter(obsolete) };
      changed.clear();
      return due;
    },
    toWrite: (key) => routeOf(key, tracker.desired.get(key) ?? ""),
    toRemove: (key) => routeOf(key, tracker.actual.get(key) ?? ""),
    wrote(key, route, error) {
      if (took(key, error)) tracker.setActual(key, routeValue(route));
    },
    removed(key, error) {
      if (!took(key, error)) return;
      tracker.deleteActual(key);
      dropped.delete(key);
    },
  };
}
