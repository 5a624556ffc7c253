/** Prints `mesh status` as a table: one row per hop, fixed columns. */
import { table } from "@isthmus/model";
import { age } from "../output/units.js";
import type { Hop } from "./hops.js";

const HEADER = ["FROM", "TO", "HOP", "STATE", "FRESH", "POSITION", "LAG", "STATUS"];

/** One line for each hop, in their order. */
export function hopsTable(hops: readonly Hop[]): string {
  return table(hops.map(row), HEADER);
}

function row({ from, to, hop, state, ageMs, position, lag, ok }: Hop): readonly string[] {
  const fresh = ageMs === undefined ? "-" : `${age(ageMs)} ago`;
  const verdict = ok ? "ok" : state === "Unknown" ? "cannot tell" : "fail";
  return [from, to, hop, state, fresh, position === undefined ? "-" : String(position), lag || "-", verdict];
}
