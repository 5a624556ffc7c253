/**
 * What a fault does, worked out before it is done: which frames are dropped, which processes are kept down or suspended. Pure.
 *
 * Effects of several faults may overlap: a process runs again when the last fault that keeps it from running ends.
 */
import type { ProcessIdentity } from "../host/process.js";
import { labError } from "../plan/errors.js";
import { controlPlaneMachine, type LabPlan } from "../plan/plan.js";
import { type ProcessRow, type Selector, sameProcess } from "../supervise/process-table.js";
import type { Role } from "../supervise/spec.js";
import type { DropRule } from "./drop-program.js";
import type { Fault, Place } from "./fault.js";

export interface Effects {
  readonly drops: readonly DropRule[];
  /** Processes that the supervisor keeps down. */
  readonly held: readonly Selector[];
  readonly suspended: readonly ProcessIdentity[];
}

const NONE: Effects = { drops: [], held: [], suspended: [] };

const CONTROL_PLANE: readonly Role[] = [
  "etcd",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "clustermesh-apiserver",
];

/** `rows`: the lab's processes. `others`: the effects of the faults in force. Throws when the fault can have no full effect. */
export function planEffects(
  plan: LabPlan,
  fault: Fault,
  rows: readonly ProcessRow[],
  others: readonly Effects[],
): Effects {
  switch (fault.kind) {
    case "dark":
    case "node":
      return { ...NONE, drops: aroundPlace(machinesOf(plan, fault)) };
    case "path":
      return { ...NONE, drops: between(plan, fault, 1) };
    case "loss":
      return { ...NONE, drops: between(plan, fault, fault.percent / 100) };
    case "control-plane":
      return { ...NONE, held: controlPlane(fault.cluster, rows, others) };
    case "hang":
      return { ...NONE, suspended: processesOf(fault.cluster, fault.role, rows) };
  }
}

/** The part of `effects` that no other fault has. Filters of packets are never shared. */
export function withoutShared(effects: Effects, others: readonly Effects[]): Effects {
  const isHeld = (one: Selector) => others.some(({ held }) => held.some((other) => sameProcess(one, other)));
  const isSuspended = (one: ProcessIdentity) =>
    others.some(({ suspended }) =>
      suspended.some((other) => other.pid === one.pid && other.startTicks === one.startTicks),
    );
  return {
    drops: effects.drops,
    held: effects.held.filter((one) => !isHeld(one)),
    suspended: effects.suspended.filter((one) => !isSuspended(one)),
  };
}

function aroundPlace(macs: readonly string[]): DropRule[] {
  return [
    { from: macs, share: 1 },
    { to: macs, share: 1 },
  ];
}

function between(
  plan: LabPlan,
  { a, b, oneWay }: { readonly a: Place; readonly b: Place; readonly oneWay: boolean },
  share: number,
): DropRule[] {
  const [from, to] = [machinesOf(plan, a), machinesOf(plan, b)];
  return [{ from, to, share }, ...(oneWay ? [] : [{ from: to, to: from, share }])];
}

/** Hardware addresses of a place: a cluster has its nodes and its control plane. */
function machinesOf(plan: LabPlan, { cluster, node }: Place): string[] {
  return plan.clusters
    .filter(({ name }) => name === cluster)
    .flatMap((found) => (node === undefined ? [controlPlaneMachine(found), ...found.nodes] : nodesNamed(found, node)))
    .map(({ mac }) => mac);
}

function nodesNamed({ nodes }: LabPlan["clusters"][number], name: string) {
  return nodes.filter((node) => node.name === name);
}

/** What a user holds down stays down after the fault; what another fault holds down is held by both. */
function controlPlane(cluster: string, rows: readonly ProcessRow[], others: readonly Effects[]): Selector[] {
  const all = rows.filter((row) => row.cluster === cluster && CONTROL_PLANE.some((role) => role === row.role));
  const isHeldByFault = (row: ProcessRow) => others.some(({ held }) => held.some((one) => sameProcess(row, one)));
  const chosen = all.filter((row) => row.status !== "Held" || isHeldByFault(row));
  if (chosen.length > 0) return chosen.map(({ role }) => ({ role, cluster }));
  throw labError("STEP_FAILED", `Cannot kill the control plane of "${cluster}": all of it is stopped already`);
}

function processesOf(cluster: string, role: string, rows: readonly ProcessRow[]): ProcessIdentity[] {
  const inCluster = rows.filter((row) => row.cluster === cluster && !row.holder);
  const chosen = inCluster.filter((row) => row.role === role);
  if (chosen.length === 0) {
    const roles = [...new Set(inCluster.map((row) => row.role))].sort().join(", ");
    throw labError("USAGE", `Unknown role "${role}" in cluster "${cluster}": use one of ${roles}`);
  }
  const absent = chosen.find((row) => row.pid === 0);
  if (absent === undefined) return chosen.map(({ pid, startTicks }) => ({ pid, startTicks }));
  const where = absent.node || absent.cluster;
  throw labError("STEP_FAILED", `Cannot suspend ${role} of "${where}": it does not run (${absent.status})`);
}
