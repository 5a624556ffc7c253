/**
 * Reports the pods of this node to the apiserver: each one when it is added or removed, and all present ones again on
 * every new stream, since no apiserver keeps them between streams. Pods that were removed while no stream was open are
 * reported first: the latest `MAX_REMOVED` of them. The host ports that a pod asks for are reported once: an Event
 * shows them to its user.
 */
import type { ToServer } from "@isthmus/proto";
import type { HostPort, PodAttachment, PodReport } from "./pods/index.js";

export interface PodReports extends PodReport {
  /** A stream was opened. */
  connected(): void;
}

const MAX_REMOVED = 1000;

/** `send`: returns false when no stream is open; the report is then sent on the next one. */
export function createPodReports(send: (message: ToServer) => boolean): PodReports {
  const present = new Map<string, PodAttachment>();
  /** Host ports by host device that are not reported yet. */
  const asked = new Map<string, readonly HostPort[]>();
  /** Removed pods whose removal is not reported yet, oldest first. */
  let unreported: readonly PodAttachment[] = [];

  function reportUp(pod: PodAttachment): void {
    if (send(reportOf(pod, true, asked.get(pod.hostDevice)))) asked.delete(pod.hostDevice);
  }

  return {
    up(pod, hostPorts = []) {
      present.set(pod.hostDevice, pod);
      if (hostPorts.length > 0) asked.set(pod.hostDevice, hostPorts);
      reportUp(pod);
    },
    down(pod) {
      present.delete(pod.hostDevice);
      asked.delete(pod.hostDevice);
      if (!send(reportOf(pod, false))) unreported = [...unreported, pod].slice(-MAX_REMOVED);
    },
    connected() {
      unreported = unreported.filter((pod) => !send(reportOf(pod, false)));
      for (const pod of present.values()) reportUp(pod);
    },
  };
}

function reportOf(pod: PodAttachment, up: boolean, asked: readonly HostPort[] = []): ToServer {
  const { namespace, name, uid } = pod;
  const address = Buffer.from(pod.addresses[0]);
  const hostPorts = asked.map(({ port, protocol }) => ({ name: "", port, protocol }));
  return { message: { $case: "report", value: { up, namespace, pod: name, podUid: uid, address, hostPorts } } };
}
