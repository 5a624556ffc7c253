/** The table of what real clients saw. Pure. */
import { table } from "@isthmus/model";
import type { ClientReport, ClientRun } from "./drill-clients.js";

const HEADER = ["CLIENT", "CONNECTIONS", "ANSWERED", "CONNECTS FAILED", "ENDED", "SLOWEST", "RESULT"];
const LEGEND = `200 requests a second on new connections and as many on those of a pool, through SIGKILL of all servers of the client's cluster.
ENDED: requests on established connections that got no answer. CONNECTS FAILED has to be 0.
`;

export function clientsText({ runs, notRun, passed }: ClientReport): string {
  const lines = [
    ...runs.flatMap(({ client, mode, errors }) =>
      [...errors].map(([error, n]) => `${client}, ${mode}: ${n} × ${error}\n`),
    ),
    ...notRun.map((sentence) => `${sentence}\n`),
    passed ? "All that ran passed.\n" : "Not passed.\n",
  ];
  return `${table(runs.map(rowOf), HEADER)}${LEGEND}${lines.join("")}`;
}

function rowOf({ client, mode, counts, slowestMs, passed }: ClientRun): readonly string[] {
  const { ok, connect, established } = counts;
  return [client, mode, `${ok}`, `${connect}`, `${established}`, `${slowestMs} ms`, passed ? "passed" : "FAILED"];
}

export function clientsJson({ runs, notRun, passed }: ClientReport, machine: object): string {
  const clients = runs.map((run) => ({ ...run, errors: Object.fromEntries(run.errors) }));
  return `${JSON.stringify({ passed, machine, clients, notRun }, null, 2)}\n`;
}
