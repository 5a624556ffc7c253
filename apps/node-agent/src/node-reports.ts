/**
 * What this node reports to the apiserver: what it applied, which policies are in force, how full its maps are, its conditions,
 * its pods, its health address.
 */
import { isDeepStrictEqual } from "node:util";
import type { Address } from "@isthmus/model";
import { type Applied, type MapFill, PoliciesInForce, type ToServer } from "@isthmus/proto";
import { createNodeConditions, type NodeConditions } from "./node-conditions.js";
import { createPodReports, type PodReports } from "./pod-reports.js";

export interface NodeReportsModules {
  /** Returns false when no stream is open. */
  readonly send: (message: ToServer) => boolean;
  /** Entries in use of all maps, which each acknowledgement contains. */
  readonly fill: () => readonly MapFill[];
  /** Each acknowledgement says which policies are in force: none before the first. */
  readonly enforcesPolicies: boolean;
}

export interface NodeReports {
  /** Reports pods at once, or on the next stream. */
  readonly pods: PodReports;
  /** Reports all conditions at once when one changed, or on the next stream. */
  readonly conditions: NodeConditions;
  /** Reports the node's health address at once, or on the next stream; undefined = it has none. */
  health(address: Address | undefined): void;
  /**
   * Acknowledges what the maps hold now, and what is in force of policies (undefined: this agent enforces none). Nothing is sent
   * when both are as before.
   */
  acknowledge(applied: readonly Applied[], policies?: PoliciesInForce): void;
  /** A stream was opened: reports all pods, the conditions and policies, and the health address once it is known. */
  connected(): void;
}

/** Without a stream an acknowledgement is dropped; the rest is reported by `connected`. */
export function createNodeReports({ send, fill, enforcesPolicies }: NodeReportsModules): NodeReports {
  const pods = createPodReports(send);
  const conditions = createNodeConditions(() => sendAck([]));
  let policies = enforcesPolicies ? PoliciesInForce.create() : undefined;

  /** Undefined before the first call of `health`: nothing is known of it then. */
  let health: { readonly address: Address | undefined } | undefined;

  function sendHealth(): void {
    if (health === undefined) return;
    const value = { health: Buffer.from(health.address ?? []) };
    send({ message: { $case: "nodeReport", value } });
  }

  function sendAck(applied: readonly Applied[]): void {
    const maps = [...fill()];
    const state = { maps, conditions: conditions.list(), policies };
    const value = { applied: [...applied], views: [], policyRevision: 0n, ...state };
    send({ message: { $case: "ack", value } });
  }

  return {
    pods,
    conditions,
    health(address) {
      health = { address };
      sendHealth();
    },
    acknowledge(applied, now) {
      const isNew = !isDeepStrictEqual(policies, now);
      policies = now;
      if (applied.length > 0 || isNew) sendAck(applied);
    },
    connected() {
      pods.connected();
      if (policies === undefined) conditions.connected();
      else sendAck([]);
      sendHealth();
    },
  };
}
