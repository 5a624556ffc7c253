/** Finds and kills the lab's processes. */
import { controlProcess, labStatus, type ProcessRow, type Selector } from "@isthmus/lab";
import { eventually } from "./eventually.js";

/** The only process of the lab that matches the selector. */
export async function processOf(lab: string, { role, cluster, node }: Selector): Promise<ProcessRow> {
  const rows = await labStatus(lab);
  const found = rows.filter(
    (row) => row.role === role && (cluster ?? row.cluster) === row.cluster && (node ?? row.node) === row.node,
  );
  const [first] = found;
  if (first === undefined || found.length > 1) throw new Error(`Cannot choose: ${found.length} processes "${role}"`);
  return first;
}

/** Sends SIGKILL; resolves when the supervisor has started another process. */
export async function killAndWait(lab: string, selector: Selector): Promise<void> {
  const { pid } = await processOf(lab, selector);
  await controlProcess(lab, "kill", selector);
  await eventually(
    `another ${selector.role}`,
    () => processOf(lab, selector),
    (row) => row.status === "Running" && row.pid !== pid && row.pid !== 0,
  );
}
