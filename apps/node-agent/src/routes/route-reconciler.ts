/**
 * Keeps the node's routes as desired: when a record or the kernel's network changed, reads the kernel's routes and
 * writes the difference.
 *
 * A route that the kernel refuses (its gateway is not reachable) does not block the others; it is retried with
 * back-off, and when an address, a link or a route changed.
 */
import type { RouteEvent } from "@isthmus/bpf";
import { type Clock, formatPrefix } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { createPassLoop } from "../network/pass-loop.js";
import { isHostDeviceName } from "../pods/device-name.js";
import { type FailedLine, ip, ipBatchAll } from "../pods/ip.js";
import { type Route, type Routes, routeKey } from "./desired-routes.js";
import { parseRoutes, planRoutes, ROUTE_PROTOCOL } from "./reconcile-routes.js";

/** ip(8) in the node's namespace. Each function rejects with its error. */
export interface RouteKernel {
  /** The agent's routes of one family, as JSON. */
  list(family: "-4" | "-6"): Promise<string>;
  /** Runs every line; resolves with those that failed. */
  batch(lines: readonly string[]): Promise<readonly FailedLine[]>;
}

const KERNEL: RouteKernel = {
  list: (family) => ip([family, "-j", "route", "show", "proto", String(ROUTE_PROTOCOL)]),
  batch: ipBatchAll,
};

export interface RoutesModules {
  readonly log: Logger;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly desired: () => Routes;
  /** Every known source is in sync. */
  readonly complete: () => boolean;
  /** For tests; ip(8) by default. */
  readonly kernel?: RouteKernel;
}

export interface RouteReconciler {
  /** Runs a pass, because something may have changed. */
  trigger(): void;
  /** Handles changes of the kernel's network. True when one may concern a route of the agent. */
  onEvents(events: readonly RouteEvent[]): boolean;
  /** Routes that the kernel refused, with its error. */
  readonly problem: string | undefined;
  readonly written: number;
}

export function createRouteReconciler(modules: RoutesModules): RouteReconciler {
  const { log, clock, signal, kernel = KERNEL } = modules;
  const before = new Set<string>();
  /** Keys of the routes that the last pass left in the kernel. */
  let lastKeys: ReadonlySet<string> = new Set();
  /** The CIDRs of the last pass. */
  let cidrs: ReadonlySet<string> = new Set();
  let written = 0;

  async function apply(lines: readonly string[]): Promise<string | undefined> {
    if (lines.length === 0) return undefined;
    const [first, ...more] = await kernel.batch(lines);
    const failed = first === undefined ? 0 : 1 + more.length;
    written += lines.length - failed;
    return first === undefined
      ? undefined
      : `"${first.line}": ${first.reason}${failed > 1 ? `, and ${failed - 1} more` : ""}`;
  }

  async function pass(): Promise<string | undefined> {
    // Both are read at the same moment: otherwise, when a source becomes in sync while the kernel is read, the older
    // `desired` would count as complete.
    const complete = modules.complete();
    const desired = modules.desired();
    const found: Route[] = [];
    for (const family of ["-4", "-6"] as const) found.push(...parseRoutes(await kernel.list(family)));
    const plan = planRoutes({ desired, present: found, everDesired: before, complete });
    logRemoved(desired, found);
    for (const key of desired.keys()) before.add(key);
    cidrs = new Set([...desired.values()].map(({ cidr }) => cidr));
    const refused = [await apply(plan.add), await apply(plan.remove)];
    const problem = refused.find((reason) => reason !== undefined);
    lastKeys = problem === undefined ? new Set(desired.keys()) : new Set();
    return problem;
  }

  /** Logs routes that another program removed after the last pass. */
  function logRemoved(desired: Routes, found: readonly Route[]): void {
    const present = new Set(found.map(routeKey));
    const lost = [...lastKeys].filter((key) => desired.has(key) && !present.has(key));
    if (lost.length > 0) log.info("Routes were removed externally, restoring them", { routes: lost.length });
  }

  const loop = createPassLoop({
    clock,
    signal,
    pass,
    failed: (reason) => log.warn("Cannot write some routes, retrying", { reason }),
  });

  function concerns(event: RouteEvent): boolean {
    if (event.kind === "lost" || event.kind === "address") return true;
    if (event.kind === "link") return (event.turned || event.gone) && !isHostDeviceName(event.name);
    if (event.kind !== "route") return false;
    // A route of the agent was removed or replaced; or any route changed while one waits for its gateway.
    const isLoss = event.gone ? event.protocol === ROUTE_PROTOCOL : event.protocol !== ROUTE_PROTOCOL;
    return isLoss && (loop.problem !== undefined || cidrs.has(formatPrefix(event.prefix)));
  }

  return {
    trigger: () => void loop.trigger(),
    onEvents(events) {
      const concerned = events.some(concerns);
      if (concerned) void loop.trigger();
      return concerned;
    },
    get problem() {
      return loop.problem;
    },
    get written() {
      return written;
    },
  };
}
