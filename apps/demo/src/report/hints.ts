/** For a fault that did not pass: where the person who reads the report looks next. Pure. */
import type { FaultResult } from "../judge/judge.js";
import type { FaultName } from "../judge/runs.js";

/** The logs of those who take part, as `mesh lab logs ROLE` calls them. */
const ROLES: Readonly<Record<FaultName, readonly string[]>> = {
  "scale-down": ["node-agent", "clustermesh-apiserver"],
  agent: ["node-agent", "lab"],
  etcd: ["clustermesh-apiserver", "mesh-etcd", "node-agent"],
  apiserver: ["node-agent", "clustermesh-apiserver"],
  wipe: ["clustermesh-apiserver", "mesh-etcd"],
  kill: ["node-agent", "clustermesh-apiserver"],
};

/** `logs`: the folder that they were kept in, `kind`: of kind clusters. Empty when all passed. */
export function hints(faults: readonly FaultResult[], logs: string, kind: boolean): readonly string[] {
  const failed = faults.filter((fault) => !fault.passed);
  if (failed.length === 0) return [];
  const roles = [...new Set(failed.flatMap(({ name }) => ROLES[name]))];
  const names = failed.map(({ name }) => name).join(",");
  return [
    ...(failed.some(isBusy) ? ["The client was starved: this machine is too busy to judge the mesh on it"] : []),
    `Look at ${roles.flatMap((role) => (kind ? kindLogs(logs, role) : `${logs}/${role}.*`)).join(", ")}`,
    kind
      ? `Alone: deploy/kind/demo.sh --faults ${names}`
      : `Alone, with the lab left up: node apps/demo/dist/main.js --faults ${names} --keep`,
  ];
}

/** As `kind export logs` lays them out; a container that was killed has a log of its own. */
function kindLogs(logs: string, role: string): readonly string[] {
  if (role === "lab") return [];
  return [role === "mesh-etcd" ? `${logs}/mesh-etcd.log` : `${logs}/*/*/containers/${role}*`];
}

/** The client itself did not run when it should have: the figures say nothing about the mesh. */
function isBusy({ lost, sent, expected }: FaultResult): boolean {
  return lost.starved > 0 || Math.abs(sent - expected) > expected * 0.01;
}
