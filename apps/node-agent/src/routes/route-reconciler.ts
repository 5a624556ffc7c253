/**
 * Keeps the node's routes as desired. Desired and actual routes are held side by side (route-table.ts), so that a changed
 * Node record costs work for its own routes; the kernel is read as a whole only at the start, after lost events, and when a link or
 * an address went, with which the kernel removes IPv4 routes without an event.
 *
 * ```
 *   update(names) ─► desired ─┐
 *   events, a read ─► actual ─┴► difference ─► write, then remove
 * ```
 * A route that is not desired is removed if this process desired it before; if not, its node may not be known yet, so
 * it is removed once every known source is in sync.
 *
 * A route that the kernel refuses (its gateway is not reachable) does not block the others; it is retried with
 * back-off, and when an address, a link or a route changed.
 */
import type { RouteEvent } from "@isthmus/bpf";
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { Node } from "@isthmus/proto";
import { createBackoff, inSlices, inTurns } from "@isthmus/runtime";
import type { NodeName } from "../desired/nodes/nodes.js";
import { createPassLoop } from "../network/pass-loop.js";
import { isHostDeviceName } from "../pods/device-name.js";
import { createDesiredRoutes } from "./desired-routes.js";
import { ROUTE_PROTOCOL, routeKeys } from "./route.js";
import type { RouteKernel } from "./route-kernel.js";
import { createRouteTable, type DueRoutes } from "./route-table.js";

export interface RoutesModules {
  /** Gets routes that are restored, and each new problem. */
  readonly log: Logger;
  /** Times the retries. */
  readonly clock: Clock;
  /** Ends passes and retries; the routes stay. */
  readonly signal: AbortSignal;
  /** Called by one pass at a time. */
  readonly kernel: RouteKernel;
  /** Name of this node, whose CIDRs get unreachable routes. */
  readonly self: NodeName;
  /** The nodes of all clusters now. */
  readonly nodes: () => ReadonlyMap<NodeName, Node>;
  /** Every known source is in sync. */
  readonly complete: () => boolean;
}

export interface RouteReconciler {
  /** The records of these nodes changed, or which sources are in sync. */
  update(names: Iterable<NodeName>): void;
  /** Runs a pass, because something may have changed; resolves when no pass runs or is wanted. */
  trigger(): Promise<void>;
  /** Handles changes of the kernel's network. True when one may concern a route of the agent. */
  onEvents(events: readonly RouteEvent[]): boolean;
  /** Routes that the kernel refused, with its error. */
  readonly problem: string | undefined;
  /** Number of routes that the kernel wrote or removed since the start; for the bench. */
  readonly written: number;
}

/** Nodes, or routes that were read, between two yields. */
const PER_SLICE = 32;
/** Routes per call of the kernel's port. */
const BATCH = 256;

/** Writes nothing before the first `update`, `trigger` or event that concerns a route. */
export function createRouteReconciler(modules: RoutesModules): RouteReconciler {
  const { log, clock, signal, kernel } = modules;
  const desired = createDesiredRoutes(modules.self);
  const table = createRouteTable();
  /** Nodes whose records were not taken yet. */
  const changedNodes = new Set<NodeName>();
  /** Keys of routes that events report as removed or replaced by another program. */
  const lost = new Set<string>();
  /** The kernel must be read. */
  let stale = true;
  /** Every key is compared in the next pass, not only those that changed. */
  let all = true;
  /** Every known source was in sync when the last of `changedNodes` was added, so that its nodes are known here. */
  let complete = false;
  // The lower bounds of the loop's own delays, so that its retry is never too early for this one.
  const retries = createBackoff({ minMs: 500, maxMs: 30_000, random: () => 0 });
  let retryAt = Number.POSITIVE_INFINITY;

  async function readKernel(): Promise<void> {
    stale = false;
    lost.clear();
    try {
      const found = new Set<string>();
      await inTurns(inSlices(await kernel.read(), PER_SLICE, (route) => void found.add(table.setActual(route))));
      logLost(table.retainActual(found));
    } catch (thrown) {
      stale = true;
      throw thrown;
    }
    all = true;
  }

  function logLost(routes: number): void {
    if (routes > 0) log.info("Routes were removed externally, restoring them", { routes });
  }

  function takeNode(name: NodeName): void {
    changedNodes.delete(name);
    for (const cidr of desired.setNode(name, modules.nodes().get(name))) table.setDesired(cidr, desired.get(cidr));
  }

  /** Every route that differs and is due: each that changed, and at times also those that were refused. */
  function takeDue(): DueRoutes {
    const everything = all || clock.now() >= retryAt;
    if (everything) retryAt = Number.POSITIVE_INFINITY;
    all = false;
    return table.takeDue(everything, complete && modules.complete());
  }

  async function write(keys: readonly string[]): Promise<void> {
    const routes = keys.map(table.toWrite);
    const errors = await kernel.write(routes);
    for (const [i, route] of routes.entries()) table.wrote(keys[i] ?? "", route, errors[i]);
  }

  async function remove(keys: readonly string[]): Promise<void> {
    const errors = await kernel.remove(keys.map(table.toRemove));
    for (const [i, key] of keys.entries()) table.removed(key, errors[i]);
  }

  /** Desired routes change only in `takeNode`, so the keys stay due meanwhile. */
  async function apply(due: DueRoutes): Promise<void> {
    try {
      for (let i = 0; i < due.write.length; i += BATCH) await write(due.write.slice(i, i + BATCH));
      for (let i = 0; i < due.remove.length; i += BATCH) await remove(due.remove.slice(i, i + BATCH));
    } catch (thrown) {
      all = true;
      throw thrown;
    }
  }

  async function pass(): Promise<string | undefined> {
    if (stale) await readKernel();
    logLost(table.lose(lost));
    lost.clear();
    // Names that are added meanwhile are taken too: a set is iterated to its end.
    await inTurns(inSlices(changedNodes, PER_SLICE, takeNode));
    await apply(takeDue());
    if (table.refused.size === 0) retries.reset();
    else if (retryAt === Number.POSITIVE_INFINITY) retryAt = clock.now() + retries.nextMs();
    return describe(table.refused);
  }

  const loop = createPassLoop({
    clock,
    signal,
    pass,
    failed: (reason) => log.warn("Cannot write some routes, retrying", { reason }),
  });

  /** What an event means for the agent's routes. */
  function concerns(event: RouteEvent): boolean {
    if (event.kind === "lost") return readAgain();
    if (event.kind === "address") return !event.linkLocal && (event.gone ? readAgain() : retryRefused());
    if (event.kind === "link") return (event.turned || event.gone) && !isHostDeviceName(event.name) && readAgain();
    if (event.kind !== "route") return false;
    return loses(event) || (!event.gone && event.protocol !== ROUTE_PROTOCOL && retryRefused());
  }

  /** True when a route of the agent was removed, or another program's took its place. */
  function loses({ gone, replaces, unreachable, protocol, prefix }: Extract<RouteEvent, { kind: "route" }>): boolean {
    const keys = routeKeys(prefix);
    const [gateway, refusal] = keys;
    const ofAgent = protocol === ROUTE_PROTOCOL;
    const hit = gone && ofAgent ? [unreachable ? refusal : gateway] : replaces && !ofAgent ? keys : [];
    const missing = hit.filter(table.isDesired);
    for (const key of missing) lost.add(key);
    return missing.length > 0;
  }

  function readAgain(): boolean {
    stale = true;
    return true;
  }

  /** A change may have made a gateway reachable. */
  function retryRefused(): boolean {
    if (loop.problem === undefined) return false;
    all = true;
    return true;
  }

  return {
    update(names) {
      for (const name of names) changedNodes.add(name);
      const isComplete = modules.complete();
      if (isComplete && !complete) all = true;
      complete = isComplete;
      void loop.trigger();
    },
    trigger: loop.trigger,
    onEvents(events) {
      const concerned = events.filter(concerns).length > 0;
      if (concerned) void loop.trigger();
      return concerned;
    },
    get problem() {
      return loop.problem;
    },
    get written() {
      return table.written;
    },
  };
}

/** The first error, and the number of the others. */
function describe(refused: ReadonlyMap<string, Error>): string | undefined {
  const [first] = refused.values();
  if (first === undefined) return undefined;
  return refused.size === 1 ? first.message : `${first.message}, and ${refused.size - 1} more`;
}
