/**
 * Tells the apiserver which pods this node has: each as it comes and goes, and all living ones again with every new
 * stream, since nobody remembers for us.
 */
import type { ToServer } from "@isthmus/proto";
import type { PodAttachment, PodReport } from "./pods/index.js";

export interface PodReports extends PodReport {
  /** A stream was opened. */
  connected(): void;
}

/** `send`: false when no stream is open; the next one is told then. */
export function createPodReports(send: (message: ToServer) => boolean): PodReports {
  const living = new Map<string, PodAttachment>();
  return {
    up(pod) {
      living.set(pod.hostDevice, pod);
      send(reportOf(pod, true));
    },
    down(pod) {
      living.delete(pod.hostDevice);
      send(reportOf(pod, false));
    },
    connected() {
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
