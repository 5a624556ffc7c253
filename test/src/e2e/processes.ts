/** The lab's processes, for tests that end them. */
import { controlProcess, labStatus, type ProcessRow, type Selector } from "@isthmus/lab";
import { eventually } from "./eventually.js";
import { LAB } from "./world.js";

/** The one process that the selector names. */
export async function processOf({ role, cluster, node }: Selector): Promise<ProcessRow> {
  const rows = await labStatus(LAB);
  const found = rows.filter(
    (row) => row.role === role && (cluster ?? row.cluster) === row.cluster && (node ?? row.node) === row.node,
  );
  const [first] = found;
  if (first === undefined || found.length > 1) throw new Error(`Cannot choose: ${found.length} processes "${role}"`);
  return first;
}

/** SIGKILL; resolves when its supervisor runs another one. */
export async function killAndWait(selector: Selector): Promise<void> {
  const { pid } = await processOf(selector);
  await controlProcess(LAB, "kill", selector);
  await eventually(
    `another ${selector.role}`,
    () => processOf(selector),
    (row) => row.status === "Running" && row.pid !== pid && row.pid !== 0,
  );
}
