/**
 * Keeps the node's side of pod networks: restores what another program removed (a route, a neighbour, a device that was
 * set down), for all pods in one batch.
 *
 * A pod that a CNI call is working on is checked after the call; one whose device is gone is skipped.
 */
import type { OpenNetlink, RouteEvent } from "@isthmus/bpf";
import { type Clock, formatAddress } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { createPassLoop } from "../network/pass-loop.js";
import type { Attachments } from "./attachments.js";
import type { KeyLock } from "./key-lock.js";
import { missingOf, readNodeSide } from "./node-side.js";
import { restoreNodeSides } from "./pod-network.js";
import { POD_ROUTE_PROTOCOL } from "./pod-requests.js";

export interface PodReconcilerModules {
  /** Gets restored pods, and each new problem. */
  readonly log: Logger;
  /** Times the retries. */
  readonly clock: Clock;
  /** Ends passes and retries. */
  readonly signal: AbortSignal;
  /** Called for the node's namespace only. */
  readonly openNetlink: OpenNetlink;
  /** The pods that must have a node's side. */
  readonly attachments: Pick<Attachments, "get" | "list">;
  /** The lock of CNI calls, by host device. */
  readonly lock: KeyLock;
}

export interface PodReconciler {
  /** Checks all pods; resolves when they are restored or a retry is scheduled. */
  trigger(): Promise<void>;
  /** Handles changes of the kernel's network. True when one may concern a pod. */
  onEvents(events: readonly RouteEvent[]): boolean;
}

/** Checks nothing before the first `trigger` or event that concerns a pod. */
export function createPodReconciler(modules: PodReconcilerModules): PodReconciler {
  const { log, clock, signal, openNetlink, attachments, lock } = modules;
  /** Devices that will be checked when the CNI call that works on them has ended. */
  const awaited = new Set<string>();

  async function pass(): Promise<string | undefined> {
    const side = await readNodeSide(openNetlink);
    const broken = attachments
      .list()
      .filter((pod) => side.devices.has(pod.hostDevice) && missingOf(pod, side) !== undefined)
      .map(({ hostDevice }) => hostDevice);
    for (const device of broken) if (lock.busy.has(device)) lookAfterCall(device);
    const idle = broken.filter((device) => !lock.busy.has(device));
    return idle.length === 0 ? undefined : restore(idle);
  }

  /** Runs in the same turn as the check of `busy`, so the attachments are current. */
  async function restore(devices: readonly string[]): Promise<string | undefined> {
    const pods = devices.flatMap((device) => attachments.get(device) ?? []);
    let errors: readonly Error[] = [];
    await lock.runAll(devices, async () => {
      errors = await restoreNodeSides(openNetlink, pods);
    });
    if (errors.length === 0) log.info("Network of pods restored", { pods: devices.length });
    return errors[0]?.message;
  }

  function lookAfterCall(device: string): void {
    if (awaited.has(device)) return;
    awaited.add(device);
    void lock.run(device, async () => {
      awaited.delete(device);
      if (attachments.get(device) !== undefined) void loop.trigger();
    });
  }

  const loop = createPassLoop({
    clock,
    signal,
    pass,
    failed: (reason) => log.warn("Cannot restore the network of some pods, retrying", { reason }),
  });

  /** The device of the pod that an event may concern. */
  function deviceOf(event: RouteEvent, byAddress: () => ReadonlyMap<string, string>): string | undefined {
    if (event.kind === "link")
      return event.turned && !event.up && attachments.get(event.name) !== undefined ? event.name : undefined;
    if (event.kind === "neighbour")
      return event.gone || !event.permanent ? byAddress().get(formatAddress(event.address)) : undefined;
    if (event.kind !== "route" || event.prefix.length !== 128) return undefined;
    const away = event.gone ? event.protocol === POD_ROUTE_PROTOCOL : event.protocol !== POD_ROUTE_PROTOCOL;
    return away ? byAddress().get(formatAddress(event.prefix.address)) : undefined;
  }

  return {
    trigger: loop.trigger,
    onEvents(events) {
      let known: ReadonlyMap<string, string> | undefined;
      const byAddress = () =>
        (known ??= new Map(
          attachments
            .list()
            .flatMap(({ addresses, hostDevice }) => addresses.map((address) => [formatAddress(address), hostDevice])),
        ));
      const devices = new Set(events.map((event) => deviceOf(event, byAddress)));
      let concerned = events.some(({ kind }) => kind === "lost");
      for (const device of devices) {
        if (device === undefined) continue;
        if (lock.busy.has(device)) lookAfterCall(device);
        else concerned = true;
      }
      if (concerned) void loop.trigger();
      return concerned;
    },
  };
}
