/** The lab's processes, for tests that end them. */
import { controlProcess, labStatus, type ProcessRow, type Selector } from "@isthmus/lab";
import { eventually } from "./eventually.js";

/** The one process of the lab that the selector names. */
export async function processOf(lab: string, { role, cluster, node }: Selector): Promise<ProcessRow> {
  const rows = await labStatus(lab);
  const found = rows.filter(
    (row) => row.role === role && (cluster ?? row.cluster) === row.cluster && (node ?? row.node) === row.node,
  );
  const [first] = found;
  if (first === undefined || found.length > 1) throw new Error(`Cannot choose: ${found.length} processes "${role}"`);
  return first;
}

/** SIGKILL; resolves when its supervisor runs another one. */
export async function killAndWait(lab: string, selector: Selector): Promise<void> {
  const { pid } = await processOf(lab, selector);
  await controlProcess(lab, "kill", selector);
  await eventually(
    `another ${selector.role}`,
    () => processOf(lab, selector),
    (row) => row.status === "Running" && row.pid !== pid && row.pid !== 0,
  );
}
