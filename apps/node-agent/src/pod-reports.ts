/**
 * Tells the apiserver which pods this node has: each as it comes and goes, and all living ones again with every new
 * stream, since nobody remembers for us. A pod that went while no stream was open is told of first; of those at most
 * `MOST_GONE`, the latest ones. The host ports that a pod asks for are reported once: an Event shows them to its user.
 */
import type { ToServer } from "@isthmus/proto";
import type { HostPort, PodAttachment, PodReport } from "./pods/index.js";

export interface PodReports extends PodReport {
  /** A stream was opened. */
  connected(): void;
}

const MOST_GONE = 1000;

/** `send`: false when no stream is open; the next one is told then. */
export function createPodReports(send: (message: ToServer) => boolean): PodReports {
  const living = new Map<string, PodAttachment>();
  /** Host ports by host device that are not reported yet. */
  const asked = new Map<string, readonly HostPort[]>();
  let gone: readonly PodAttachment[] = [];

  function reportUp(pod: PodAttachment): void {
    if (send(reportOf(pod, true, asked.get(pod.hostDevice)))) asked.delete(pod.hostDevice);
  }

  return {
    up(pod, hostPorts = []) {
      living.set(pod.hostDevice, pod);
      if (hostPorts.length > 0) asked.set(pod.hostDevice, hostPorts);
      reportUp(pod);
    },
    down(pod) {
      living.delete(pod.hostDevice);
      asked.delete(pod.hostDevice);
      if (!send(reportOf(pod, false))) gone = [...gone, pod].slice(-MOST_GONE);
    },
    connected() {
      gone = gone.filter((pod) => !send(reportOf(pod, false)));
      for (const pod of living.values()) reportUp(pod);
    },
  };
}

function reportOf(pod: PodAttachment, up: boolean, asked: readonly HostPort[] = []): ToServer {
  const { namespace, name, uid } = pod;
  const address = Buffer.from(pod.address);
  const hostPorts = asked.map(({ port, protocol }) => ({ name: "", port, protocol }));
  return { message: { $case: "report", value: { up, namespace, pod: name, podUid: uid, address, hostPorts } } };
}
