/** Options of every command that shows rows of a node's map. */
import { KUBECONFIG, type Option, timeoutOption } from "../cli/command.js";

/** Rows that are shown without `--limit`. */
export const DEFAULT_LIMIT = 1000;

export const DUMP_OPTIONS: readonly Option[] = [
  { name: "node", value: "NODE", summary: "node whose kernel is read; required" },
  { name: "limit", value: "N", summary: `show at most so many rows, up to 100000; ${DEFAULT_LIMIT}` },
  { name: "context", value: "NAME", summary: "cluster of the node; otherwise the current context" },
  { name: "output", short: "o", value: "FORMAT", summary: "table (default) or json" },
  timeoutOption("how long it may take; 60s"),
  KUBECONFIG,
];
