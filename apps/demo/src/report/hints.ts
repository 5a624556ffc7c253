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

/** `logs`: the folder that they were kept in. Empty when all passed. */
export function hints(faults: readonly FaultResult[], logs: string): readonly string[] {
  const failed = faults.filter((fault) => !fault.passed);
  if (failed.length === 0) return [];
  const roles = [...new Set(failed.flatMap(({ name }) => ROLES[name]))];
  const names = failed.map(({ name }) => name).join(",");
  return [
    ...(failed.some(isBusy) ? ["The client was starved: this machine is too busy to judge the mesh on it"] : []),
    `Look at ${roles.map((role) => `${logs}/${role}.*`).join(", ")}`,
    `Alone, with the lab left up: node apps/demo/dist/main.js --faults ${names} --keep`,
  ];
}

/** The client itself did not run when it should have: the figures say nothing about the mesh. */
function isBusy({ lost, sent, expected }: FaultResult): boolean {
  return lost.starved > 0 || Math.abs(sent - expected) > expected * 0.01;
}
