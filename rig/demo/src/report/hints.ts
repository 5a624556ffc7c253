/** Hints for faults that did not pass: which logs to read. Pure. */
import type { FaultResult } from "../judge/judge.js";
import type { FaultName } from "../judge/runs.js";

/** The roles whose logs are relevant for each fault, as in `mesh lab logs ROLE`. */
const ROLES: Readonly<Record<FaultName, readonly string[]>> = {
  "scale-down": ["node-agent", "clustermesh-apiserver"],
  agent: ["node-agent", "lab"],
  etcd: ["clustermesh-apiserver", "mesh-etcd", "node-agent"],
  apiserver: ["node-agent", "clustermesh-apiserver"],
  wipe: ["clustermesh-apiserver", "mesh-etcd"],
  "node-dark": ["node-agent", "lab"],
  kill: ["node-agent", "clustermesh-apiserver"],
  hang: ["node-agent", "clustermesh-apiserver"],
  dark: ["node-agent", "lab"],
  "control-lost": ["clustermesh-apiserver", "mesh-etcd", "node-agent"],
};

/** `logs`: the folder of the saved logs; `kind`: they are of kind clusters. Empty when all faults passed. */
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
      : `Alone, with the lab left up: node rig/demo/dist/main.js --faults ${names} --keep`,
  ];
}

/** Paths as `kind export logs` writes them; a container that was killed has its own log. */
function kindLogs(logs: string, role: string): readonly string[] {
  if (role === "lab") return [];
  return [role === "mesh-etcd" ? `${logs}/mesh-etcd.log` : `${logs}/*/*/containers/${role}*`];
}

/** True when the client itself was not scheduled in time, so that the figures are not about the mesh. */
function isBusy({ lost, sent, expected }: FaultResult): boolean {
  return lost.starved > 0 || Math.abs(sent - expected) > expected * 0.01;
}
