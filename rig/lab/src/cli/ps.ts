/** `lab ps`: lists the supervisor first, then the processes that it supervises. */
import { systemClock, table } from "@isthmus/model";
import { openLab } from "../life/handle.js";
import type { LabArguments } from "./arguments.js";
import type { LabIo } from "./io.js";
import { checkPlace } from "../plan/place.js";

const HEADER = ["ROLE", "CLUSTER", "NODE", "PID", "STATUS", "AGE", "RESTARTS"];

export async function runPs(args: LabArguments, io: LabIo): Promise<number> {
  const { plan, client } = await openLab(args.name);
  checkPlace(plan, args);
  const all = await client.rows();
  const rows = all.filter(
    (row) =>
      (args.all || !row.holder) &&
      (args.cluster === undefined || row.cluster === args.cluster) &&
      (args.node === undefined || row.node === args.node),
  );
  if (args.json) {
    io.out(`${JSON.stringify(rows, null, 2)}\n`);
    return 0;
  }
  const nowMs = systemClock.wallMicros() / 1000;
  const cells = rows.map((row) => [
    row.role,
    row.cluster || "-",
    row.node || "-",
    row.pid === 0 ? "-" : String(row.pid),
    row.status,
    row.sinceMs === 0 ? "-" : `${Math.max(0, Math.round((nowMs - row.sinceMs) / 1000))}s`,
    String(row.restarts),
  ]);
  io.out(table(cells, HEADER));
  return 0;
}
