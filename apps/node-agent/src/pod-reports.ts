/**
 * Tells the apiserver which pods this node has: each as it comes and goes, and all living ones again with every new
 * stream, since nobody remembers for us. A pod that went while no stream was open is told of first; of those at most
 * `MOST_GONE`, the latest ones.
 */
import type { ToServer } from "@isthmus/proto";
import type { PodAttachment, PodReport } from "./pods/index.js";

export interface PodReports extends PodReport {
  /** A stream was opened. */
  connected(): void;
}

const MOST_GONE = 1000;

/** `send`: false when no stream is open; the next one is told then. */
export function createPodReports(send: (message: ToServer) => boolean): PodReports {
  const living = new Map<string, PodAttachment>();
  let gone: readonly PodAttachment[] = [];
  return {
    up(pod) {
      living.set(pod.hostDevice, pod);
      send(reportOf(pod, true));
    },
    down(pod) {
      living.delete(pod.hostDevice);
      if (!send(reportOf(pod, false))) gone = [...gone, pod].slice(-MOST_GONE);
    },
    connected() {
      gone = gone.filter((pod) => !send(reportOf(pod, false)));
      for (const pod of living.values()) send(reportOf(pod, true));
    },
  };
}

function reportOf(pod: PodAttachment, up: boolean): ToServer {
  const { namespace, name, uid, address } = pod;
  return {
    message: { $case: "report", value: { up, namespace, pod: name, podUid: uid, address: Buffer.from(address) } },
  };
}
