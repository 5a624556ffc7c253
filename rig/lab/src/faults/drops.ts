/** The filters of faults in the underlay: one priority for each fault, named by its id. */
import { at } from "../api/json.js";
import { tc, tcJson } from "../host/links.js";
import { isAlive, type ProcessIdentity } from "../host/process.js";
import { FRAME_BLOCK } from "../node/underlay.js";
import { type DropRule, dropProgram } from "./drop-program.js";

const BLOCK = `block ${FRAME_BLOCK}`;

/** `underlay`: the process that keeps its namespace alive. */
export async function addDrops(underlay: ProcessIdentity, id: number, rules: readonly DropRule[]): Promise<void> {
  const filter = (rule: DropRule) =>
    `filter add ${BLOCK} pref ${id} protocol all bpf direct-action bytecode "${dropProgram(rule)}"`;
  if (rules.length > 0) await tc(underlay, rules.map(filter));
}

/** Nothing is left to remove in an underlay that is gone, or where another process removed the filters before. */
export async function removeDrops(underlay: ProcessIdentity, id: number): Promise<void> {
  if (!isAlive(underlay)) return;
  const filters = await tcJson(underlay, ["filter", "show", ...BLOCK.split(" ")]);
  const present = Array.isArray(filters) && filters.some((filter) => at(filter, "pref") === id);
  if (present) await tc(underlay, [`filter del ${BLOCK} pref ${id}`]);
}
