/**
 * Keeps the node's routes to the pods of other nodes as desired: reads the kernel's, writes the difference.
 *
 * One route that the kernel refuses (its gateway is not reachable) does not hold up the others; it is tried again with
 * back-off. Events are cheap: many changes are one pass.
 */
import { writeFile } from "node:fs/promises";
import { type Clock, MeshError } from "@isthmus/model";
import { createBackoff, type Logger } from "@isthmus/observe";
import { ip, ipBatch } from "../pods/ip.js";
import type { Routes } from "./desired-routes.js";
import { parseRoutes, planRoutes, ROUTE_PROTOCOL } from "./reconcile-routes.js";

/** ip(8) in the node's namespace. Each rejects with what it said. */
export interface RouteKernel {
  /** Our routes of one family, as JSON. */
  list(family: "-4" | "-6"): Promise<string>;
  batch(lines: readonly string[]): Promise<void>;
  one(line: string): Promise<unknown>;
}

const KERNEL: RouteKernel = {
  list: (family) => ip([family, "-j", "route", "show", "proto", String(ROUTE_PROTOCOL)]),
  batch: ipBatch,
  one: (line) => ip(line.split(" ")),
};

export interface RoutesModules {
  readonly log: Logger;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly desired: () => Routes;
  /** Every known source is in sync. */
  readonly complete: () => boolean;
  /** Another one for tests. */
  readonly kernel?: RouteKernel;
}

export interface RouteKeeper {
  /** Something may have changed. */
  kick(): void;
  /** Routes that the kernel refused, with its words. */
  readonly problem: string | undefined;
  readonly written: number;
}

export function keepRoutes(modules: RoutesModules): RouteKeeper {
  const { log, clock, signal, kernel = KERNEL } = modules;
  const backoff = createBackoff({ minMs: 500, maxMs: 30_000 });
  const before = new Set<string>();
  let wanted = false;
  let running = false;
  let problem: string | undefined;
  let written = 0;

  async function apply(lines: readonly string[]): Promise<string | undefined> {
    if (lines.length === 0) return undefined;
    try {
      await kernel.batch(lines);
      written += lines.length;
      return undefined;
    } catch {
      return applyEach(lines);
    }
  }

  /** After a failed batch: one by one, so that one refusal is one route. */
  async function applyEach(lines: readonly string[]): Promise<string | undefined> {
    let first: string | undefined;
    for (const line of lines) {
      try {
        await kernel.one(line);
        written++;
      } catch (thrown) {
        first ??= MeshError.from(thrown).message;
      }
    }
    return first;
  }

  async function pass(): Promise<void> {
    // Both of one moment: what became known while the kernel was read must not make older wishes complete.
    const complete = modules.complete();
    const desired = modules.desired();
    const found = [];
    for (const family of ["-4", "-6"] as const) found.push(...parseRoutes(await kernel.list(family)));
    const plan = planRoutes({ desired, found, before, complete });
    for (const cidr of desired.keys()) before.add(cidr);
    const refused = [await apply(plan.add), await apply(plan.remove)];
    const failed = refused.find((reason) => reason !== undefined);
    if (failed !== undefined && failed !== problem) log.warn("Route refused by the kernel", { reason: failed });
    problem = failed;
  }

  async function loop(): Promise<void> {
    while (wanted && !signal.aborted) {
      wanted = false;
      try {
        await pass();
      } catch (thrown) {
        problem = MeshError.from(thrown).message;
        log.warn("Routes not read", { reason: problem });
      }
      if (problem === undefined) backoff.reset();
      else retryLater();
    }
    running = false;
  }

  function retryLater(): void {
    clock.delay(backoff.nextMs(), signal).then(kick, () => undefined);
  }

  function kick(): void {
    wanted = true;
    if (running || signal.aborted) return;
    running = true;
    void loop();
  }

  return {
    kick,
    get problem() {
      return problem;
    },
    get written() {
      return written;
    },
  };
}

/** Forwarding is the node's business; without it no pod reaches another node, so it is set, and said where it cannot be. */
export async function enableForwarding(log: Logger): Promise<void> {
  const path = "/proc/sys/net/ipv4/ip_forward";
  await writeFile(path, "1").catch((error: unknown) => log.warn("Forwarding not set", { path, error }));
}
