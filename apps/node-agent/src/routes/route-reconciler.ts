/**
 * Keeps the node's routes as desired. Desired and actual routes are held side by side, so that a changed Node record
 * costs work for its own routes; the kernel is read as a whole only at the start, after lost events, and when a link or
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
import { createDeltaTracker } from "@isthmus/reconcile";
import { createBackoff, inSlices, inTurns } from "@isthmus/runtime";
import type { NodeName } from "../desired/nodes/nodes.js";
import { createPassLoop } from "../network/pass-loop.js";
import { isHostDeviceName } from "../pods/device-name.js";
import { createDesiredRoutes } from "./desired-routes.js";
import { ROUTE_PROTOCOL, type Route, routeKey, routeKeys, routeOf, routeValue } from "./route.js";
import type { RouteKernel } from "./route-kernel.js";

export interface RoutesModules {
  readonly log: Logger;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly kernel: RouteKernel;
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
  readonly written: number;
}

/** Nodes, or routes that were read, between two yields. */
const PER_SLICE = 32;
/** Routes per call of the kernel's port. */
const BATCH = 256;

export function createRouteReconciler(modules: RoutesModules): RouteReconciler {
  const { log, clock, signal, kernel } = modules;
  const desired = createDesiredRoutes(modules.self);
  const tracker = createDeltaTracker();
  /** Nodes whose records were not taken yet. */
  const changedNodes = new Set<NodeName>();
  /** Keys to compare in the next pass. */
  const changed = new Set<string>();
  /** Keys that were desired once and are not any more; the kernel may still have them. */
  const dropped = new Set<string>();
  /** Keys of routes that events report as removed or replaced by another program. */
  const lost = new Set<string>();
  /** The kernel's error about each route that it refused. */
  const refused = new Map<string, Error>();
  /** The kernel must be read. */
  let stale = true;
  /** Every key is compared in the next pass, not only those that changed. */
  let all = true;
  /** Every known source was in sync when the last of `changedNodes` was added, so that its nodes are known here. */
  let complete = false;
  let written = 0;
  // The lower bounds of the loop's own delays, so that its retry is never too early for this one.
  const retries = createBackoff({ minMs: 500, maxMs: 30_000, random: () => 0 });
  let retryAt = Number.POSITIVE_INFINITY;

  async function readKernel(): Promise<void> {
    stale = false;
    lost.clear();
    try {
      const found = new Set<string>();
      const take = (route: Route) => {
        const key = routeKey(route);
        found.add(key);
        tracker.setActual(key, routeValue(route));
      };
      await inTurns(inSlices(await kernel.read(), PER_SLICE, take));
      loseRoutes([...tracker.actual.keys()].filter((key) => !found.has(key)));
    } catch (thrown) {
      stale = true;
      throw thrown;
    }
    all = true;
  }

  /** The kernel no longer has these routes. */
  function loseRoutes(keys: Iterable<string>): void {
    let routes = 0;
    for (const key of keys) {
      if (!tracker.actual.has(key)) continue;
      tracker.deleteActual(key);
      if (tracker.desired.has(key)) {
        changed.add(key);
        routes++;
      } else {
        dropped.delete(key);
        refused.delete(key);
      }
    }
    if (routes > 0) log.info("Routes were removed externally, restoring them", { routes });
  }

  function takeNode(name: NodeName): void {
    changedNodes.delete(name);
    for (const cidr of desired.setNode(name, modules.nodes().get(name))) {
      const route = desired.get(cidr);
      const wanted = route === undefined ? undefined : routeKey(route);
      for (const key of routeKeys(cidr)) {
        if (route !== undefined && key === wanted) want(key, routeValue(route));
        else unwant(key);
      }
    }
  }

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

  /** Every key that differs and is due: each that changed, and at times also those that were refused. */
  function takeDue(): Due {
    const everything = all || clock.now() >= retryAt;
    const allKnown = complete && modules.complete();
    const obsolete = (key: string) =>
      tracker.toRemove.has(key) && !tracker.desired.has(key) && (allKnown || dropped.has(key));
    const due = everything
      ? { write: [...tracker.toInsert], remove: [...tracker.toRemove].filter(obsolete) }
      : { write: [...changed].filter((key) => tracker.toInsert.has(key)), remove: [...changed].filter(obsolete) };
    if (everything) retryAt = Number.POSITIVE_INFINITY;
    all = false;
    changed.clear();
    return due;
  }

  async function write(keys: readonly string[]): Promise<void> {
    const values = keys.map((key) => tracker.desired.get(key) ?? "");
    const errors = await kernel.write(keys.map((key, i) => routeOf(key, values[i] ?? "")));
    for (const [i, key] of keys.entries()) {
      if (took(key, errors[i])) tracker.setActual(key, values[i] ?? "");
    }
  }

  async function remove(keys: readonly string[]): Promise<void> {
    const errors = await kernel.remove(keys.map((key) => routeOf(key, tracker.actual.get(key) ?? "")));
    for (const [i, key] of keys.entries()) {
      if (!took(key, errors[i])) continue;
      tracker.deleteActual(key);
      dropped.delete(key);
    }
  }

  /** Desired routes change only in `takeNode`, so the keys stay due meanwhile. */
  async function apply(due: Due): Promise<void> {
    try {
      for (let i = 0; i < due.write.length; i += BATCH) await write(due.write.slice(i, i + BATCH));
      for (let i = 0; i < due.remove.length; i += BATCH) await remove(due.remove.slice(i, i + BATCH));
    } catch (thrown) {
      all = true;
      throw thrown;
    }
  }

  /** Counts and remembers how the kernel took a change of this route. */
  function took(key: string, error: Error | undefined): boolean {
    if (error === undefined) {
      refused.delete(key);
      written++;
    } else refused.set(key, error);
    return error === undefined;
  }

  async function pass(): Promise<string | undefined> {
    if (stale) await readKernel();
    loseRoutes(lost);
    lost.clear();
    // Names that are added meanwhile are taken too: a set is iterated to its end.
    await inTurns(inSlices(changedNodes, PER_SLICE, takeNode));
    await apply(takeDue());
    if (refused.size === 0) retries.reset();
    else if (retryAt === Number.POSITIVE_INFINITY) retryAt = clock.now() + retries.nextMs();
    return describe(refused);
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
    const missing = hit.filter((key) => tracker.desired.has(key));
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
      return written;
    },
  };
}

/** Keys of routes. */
interface Due {
  readonly write: readonly string[];
  readonly remove: readonly string[];
}

/** The first error, and the number of the others. */
function describe(refused: ReadonlyMap<string, Error>): string | undefined {
  const [first] = refused.values();
  if (first === undefined) return undefined;
  return refused.size === 1 ? first.message : `${first.message}, and ${refused.size - 1} more`;
}
