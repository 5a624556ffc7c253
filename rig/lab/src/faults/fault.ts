/** The faults that a lab can have, as data. Pure. */
import { labError } from "../plan/errors.js";
import { checkPlace } from "../plan/place.js";
import type { LabPlan } from "../plan/plan.js";

/** A cluster with its control plane and all nodes, or one node of it. */
export interface Place {
  readonly cluster: string;
  readonly node?: string;
}

/** The packets between two places, in both directions or only those that `a` sends to `b`. */
interface Between {
  readonly a: Place;
  readonly b: Place;
  readonly oneWay: boolean;
}

export type Fault =
  /** No packet leaves or reaches a machine of the cluster, its control plane included; its processes run on. */
  | { readonly kind: "dark"; readonly cluster: string }
  /** The same for one node. */
  | { readonly kind: "node"; readonly cluster: string; readonly node: string }
  | ({ readonly kind: "path" } & Between)
  /** `percent`: of the packets, each drawn at random; above 0, at most 100. */
  | ({ readonly kind: "loss"; readonly percent: number } & Between)
  /** SIGKILL of the cluster's control plane and clustermesh-apiserver, which stay down until the end. */
  | { readonly kind: "control-plane"; readonly cluster: string }
  /** SIGSTOP of the processes of one role in a cluster, SIGCONT at the end. */
  | { readonly kind: "hang"; readonly cluster: string; readonly role: string };

export const DEFAULT_FAULT_MS = 30_000;
const SHORTEST_MS = 100;
const LONGEST_MS = 24 * 3_600_000;

/** Throws `USAGE` when a name is not in the plan, when the share or the time is out of bounds. Roles are checked when it begins. */
export function checkFault(plan: LabPlan, fault: Fault, forMs: number): void {
  if (!(forMs >= SHORTEST_MS && forMs <= LONGEST_MS))
    throw labError("USAGE", `Cannot use ${forMs} ms for --for: write a duration from 100ms to 24h`);
  if (fault.kind !== "path" && fault.kind !== "loss") return void checkPlace(plan, fault);
  for (const place of [fault.a, fault.b]) checkPlace(plan, place);
  if (placeText(fault.a) === placeText(fault.b))
    throw labError("USAGE", `Cannot use "${placeText(fault.b)}" for B: it is A; name two places`);
  if (fault.kind === "loss" && !(fault.percent > 0 && fault.percent <= 100))
    throw labError("USAGE", `Cannot use "${fault.percent}%" for PERCENT: write more than 0% and at most 100%`);
}

/** As a user writes it after `mesh lab fault`: "path east west/west-1 --one-way". */
export function faultText(fault: Fault): string {
  switch (fault.kind) {
    case "dark":
    case "control-plane":
      return `${fault.kind} ${fault.cluster}`;
    case "node":
      return `node ${placeText(fault)}`;
    case "hang":
      return `hang ${fault.cluster} ${fault.role}`;
    case "path":
    case "loss": {
      const share = fault.kind === "loss" ? ` ${fault.percent}%` : "";
      return `${fault.kind} ${placeText(fault.a)} ${placeText(fault.b)}${share}${fault.oneWay ? " --one-way" : ""}`;
    }
  }
}

function placeText({ cluster, node }: Place): string {
  return node === undefined ? cluster : `${cluster}/${node}`;
}
