/** Conditions of the local cluster: for the status of its MeshCluster and for `mesh status`. */
import type { PublisherStatus } from "@isthmus/proto";
import type { Verdict } from "../objects/conditions.js";

export function clusterConditions(
  own: { readonly inSync: boolean; readonly problem: string | undefined },
  publisher: PublisherStatus,
  store: { readonly configured: boolean; readonly problem: string | undefined },
  configProblem?: string,
): readonly Verdict[] {
  return [ready(own), reachable(publisher, store), published(publisher), accepted(configProblem)];
}

/** Verdict on the newest mesh-config; the values in force are in the spec. */
function accepted(problem: string | undefined): Verdict {
  if (problem === undefined) return verdict("ConfigAccepted", "True", "InForce", "mesh-config is in force");
  return verdict("ConfigAccepted", "False", "Invalid", problem);
}

function ready({ inSync, problem }: { readonly inSync: boolean; readonly problem: string | undefined }): Verdict {
  if (inSync && problem === undefined)
    return verdict("Ready", "True", "InSync", "Agents are served this cluster's state");
  return verdict("Ready", "False", inSync ? "Stale" : "Syncing", problem ?? "");
}

function reachable(
  { state, message }: PublisherStatus,
  { configured, problem }: { readonly configured: boolean; readonly problem: string | undefined },
): Verdict {
  if (problem !== undefined) return verdict("StoreReachable", "False", "NotConfigured", problem);
  if (!configured) return verdict("StoreReachable", "Unknown", "NoStore", 'No store is configured: run "mesh connect"');
  if (state === "Connecting" || state === "Off") return verdict("StoreReachable", "False", "NoAnswer", message);
  return verdict("StoreReachable", "True", "Answers", "");
}

function published({ state, message }: PublisherStatus): Verdict {
  return verdict("Published", state === "Live" ? "True" : "False", state, message);
}

/** Replaces durations in the message: otherwise each change of a number would cause a write of the condition. */
function verdict(type: string, status: Verdict["status"], reason: string, message: string): Verdict {
  return { type, status, reason, message: message.replace(/\b\d+(\.\d+)? (ms|s)\b/g, "a while") };
}
