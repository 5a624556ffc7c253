/**
 * The programs on the devices of pods: a filter at once, so that an ADD does not wait, and the link when it is quiet.
 *
 * ```
 *   ADD ─► filters ─► no ADD for QUIET_MS, or MOST_MS after the device's own ─► links in their place
 * ```
 * The kernel lets nothing else change the network for the 30 ms that the links of a device take. So they are made
 * device after device, and not while ADDs come, but for a device that has waited for long.
 */
import { type DeviceLinks, type DeviceProgram, errnoOf } from "@isthmus/bpf";
import { type Clock, MeshError } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { createRetryTimer } from "@isthmus/runtime";
import { createPassLoop } from "../network/pass-loop.js";

export const QUIET_MS = 1000;
export const MOST_MS = 10_000;

export interface PodLinksModules {
  readonly links: Pick<DeviceLinks, "attach" | "attachAtOnce">;
  /** For the node's side of a pod's veth. */
  readonly programs: readonly DeviceProgram[];
  /** Gets the first failure to make links. */
  readonly log: Logger;
  readonly clock: Clock;
  /** No link is made after it aborts. The filters stay, and the next start puts links in their place. */
  readonly signal: AbortSignal;
}

export interface PodLinks {
  /** The programs run on the device when it resolves. Rejects with `PROGRAM_ATTACH`. */
  attach(ifindex: number): Promise<void>;
  /** The device is gone or will be. */
  forget(ifindex: number): void;
  /** Resolves when no link is being made. */
  idle(): Promise<void>;
}

/** Makes no link before the first `attach`. */
export function createPodLinks({ links, programs, log, clock, signal }: PodLinksModules): PodLinks {
  /** Devices with filters in the order of their turn, and since when. */
  const waiting = new Map<number, { readonly sinceMs: number }>();
  let addedMs = Number.NEGATIVE_INFINITY;
  const timer = createRetryTimer({ clock, signal, run: () => void loop.trigger() });

  const dueMs = ({ sinceMs }: { readonly sinceMs: number }) => Math.min(addedMs + QUIET_MS, sinceMs + MOST_MS);

  function wait(ifindex: number): void {
    waiting.delete(ifindex);
    waiting.set(ifindex, { sinceMs: clock.now() });
  }

  /** The problem, if the links of a device cannot be made; a device that is gone needs none. */
  async function makeLinks(ifindex: number): Promise<string | undefined> {
    const entry = waiting.get(ifindex);
    let problem: string | undefined;
    try {
      await links.attach(ifindex, programs);
    } catch (thrown) {
      if (errnoOf(thrown) !== "ENODEV") problem = MeshError.from(thrown).message;
    }
    if (waiting.get(ifindex) !== entry) return undefined;
    if (problem === undefined) waiting.delete(ifindex);
    else wait(ifindex);
    return problem;
  }

  /** Takes each device that waits once, up to the first whose turn has not come. */
  async function pass(): Promise<string | undefined> {
    let problem: string | undefined;
    for (const [ifindex, entry] of [...waiting]) {
      if (signal.aborted) break;
      if (waiting.get(ifindex) !== entry) continue;
      if (clock.now() < dueMs(entry)) {
        timer(dueMs(entry));
        break;
      }
      const failure = await makeLinks(ifindex);
      problem ??= failure;
    }
    return problem;
  }

  const loop = createPassLoop({
    clock,
    signal,
    pass,
    failed: (reason) =>
      log.warn("Cannot make the links of some pods' programs, which run as filters, retrying", { reason }),
  });

  return {
    async attach(ifindex) {
      addedMs = clock.now();
      const isUnlinked = await links.attachAtOnce(ifindex, programs);
      addedMs = clock.now();
      if (isUnlinked) wait(ifindex);
      const [first] = waiting.values();
      timer(first && dueMs(first));
    },
    forget: (ifindex) => void waiting.delete(ifindex),
    idle: loop.idle,
  };
}
