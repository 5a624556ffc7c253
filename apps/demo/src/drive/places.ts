/** Where the parts that faults are about run in the lab: their selectors for its supervisor, and their ports. Pure. */
import type { LabPlan, Selector } from "@isthmus/lab";
import { NEAR } from "../judge/judge.js";
import type { Role } from "./world.js";

/** The agent is the one on the client's node, the apiserver the near cluster's, the store everybody's. */
export function selectorOf(role: Role, clientNode: string): Selector {
  if (role === "mesh-etcd") return { role };
  return role === "node-agent" ? { role, cluster: NEAR, node: clientNode } : { role, cluster: NEAR };
}

/** Throws for a role without a port. */
export function portOf(plan: LabPlan, role: Role): { readonly host: string; readonly port: number } {
  const near = plan.clusters.find((cluster) => cluster.name === NEAR);
  if (role === "mesh-etcd") return { host: plan.underlay.storeAddress, port: 2379 };
  if (role === "clustermesh-apiserver" && near !== undefined) return { host: near.apiAddress, port: 7443 };
  throw new Error(`Cannot probe "${role}": it has no port`);
}

/** Of all processes, the one that the selector names; null while it does not run. */
export function pidIn(
  rows: readonly { readonly role: string; readonly cluster: string; readonly node: string; readonly pid: number }[],
  { role, cluster, node }: Selector,
): number | null {
  const row = rows.find(
    (each) => each.role === role && (cluster ?? each.cluster) === each.cluster && (node ?? each.node) === each.node,
  );
  return row === undefined || row.pid === 0 ? null : row.pid;
}
