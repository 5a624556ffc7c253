/** What this node reports to the apiserver: what it applied, how full its maps are, its conditions, its pods. */
import type { Applied, MapFill, ToServer } from "@isthmus/proto";
import { createNodeConditions, type NodeConditions } from "./node-conditions.js";
import { createPodReports, type PodReports } from "./pod-reports.js";

export interface NodeReportsModules {
  /** Returns false when no stream is open. */
  readonly send: (message: ToServer) => boolean;
  /** Entries in use of all maps, which each acknowledgement contains. */
  readonly fill: () => readonly MapFill[];
}

export interface NodeReports {
  /** Reports pods at once, or on the next stream. */
  readonly pods: PodReports;
  /** Reports all conditions at once when one changed, or on the next stream. */
  readonly conditions: NodeConditions;
  /** Acknowledges what the maps hold now; nothing is sent for an empty list. */
  acknowledge(applied: readonly Applied[]): void;
  /** A stream was opened: reports all pods, and the conditions that there are. */
  connected(): void;
}

/** Without a stream an acknowledgement is dropped; pods and conditions are reported by `connected`. */
export function createNodeReports({ send, fill }: NodeReportsModules): NodeReports {
  const pods = createPodReports(send);
  const conditions = createNodeConditions(() => sendAck([]));

  function sendAck(applied: readonly Applied[]): void {
    const maps = [...fill()];
    const value = { applied: [...applied], views: [], policyRevision: 0n, maps, conditions: conditions.list() };
    send({ message: { $case: "ack", value } });
  }

  return {
    pods,
    conditions,
    acknowledge(applied) {
      if (applied.length > 0) sendAck(applied);
    },
    connected() {
      pods.connected();
      conditions.connected();
    },
  };
}
