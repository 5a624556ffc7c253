/**
 * Names the pods that send packets with an address or a MAC that is not theirs, as a condition of the node: programs drop
 * such packets, and what sends them is misconfigured or hostile.
 */
import { DropReason, DropReasonHelp } from "@isthmus/bpf";
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { FlowEvent } from "@isthmus/proto";
import { createRetryTimer } from "@isthmus/runtime";

export interface SpoofingReportModules {
  /** Sets the condition, or removes it (undefined). */
  readonly condition: (type: string, message: string | undefined) => void;
  /** Times how long a pod is named after its last such packet. */
  readonly clock: Clock;
  /** Gets each pod when it is named. */
  readonly log: Logger;
  /** Ends it; the condition stays as it is. */
  readonly signal: AbortSignal;
}

export interface SpoofingReport {
  /** Takes an event of a drop, of any reason. */
  take(event: FlowEvent): void;
}

/** Since its last such packet. */
const NAMED_MS = 300_000;
/** Pods that are named in the condition; the others are counted. */
const NAMED = 3;
/** Pods that are remembered: more than a node has, and a bound if names were invented. */
const MAX_PODS = 1024;
const TYPE = "PodAddressSpoofed";
const SPOOFED = DropReasonHelp.get(DropReason.SpoofedSource)?.name;

/** Without pods. */
export function createSpoofingReport({ condition, clock, log, signal }: SpoofingReportModules): SpoofingReport {
  /** `namespace/name` to the time of the last packet, the one that began first in front. */
  const pods = new Map<string, number>();
  const setTimer = createRetryTimer({ clock, signal, run: expire });

  function expire(): void {
    for (const [pod, atMs] of pods) if (clock.now() - atMs >= NAMED_MS) pods.delete(pod);
    report();
  }

  function report(): void {
    const [first, ...more] = [...pods.keys()].slice(0, NAMED);
    const others = pods.size > NAMED ? ` and ${pods.size - NAMED} more pods` : "";
    const named = [first, ...more].map((pod) => `"${pod}"`).join(", ");
    condition(
      TYPE,
      first === undefined
        ? undefined
        : `packets of ${named}${others} were dropped: their source address or MAC is not the pod's; ` +
            `"mesh monitor --drops" shows them`,
    );
    setTimer(pods.size === 0 ? undefined : Math.min(...pods.values()) + NAMED_MS);
  }

  return {
    take({ dropReason, source }) {
      if (dropReason !== SPOOFED || source === undefined || source.pod === "") return;
      const pod = `${source.namespace}/${source.pod}`;
      const isNew = !pods.has(pod);
      if (isNew && pods.size >= MAX_PODS) return;
      pods.set(pod, clock.now());
      if (!isNew) return;
      log.warn("A pod sends packets with a source address or MAC that is not its own, dropped", { pod });
      report();
    },
  };
}
