/** Prints the figures of nodes as two tables: flows with the fill of the maps, and packets. */
import { table } from "@isthmus/model";
import { counted, shortCount } from "../output/units.js";
import { type Count, type Figures, type Fill, fraction, type NodeFigures } from "./figures.js";

/** Nodes that are shown: more are for programs. */
const SHOWN = 10;

const UNKNOWN = "not reported";

interface Column {
  readonly name: string;
  /** Undefined: it was not reported. */
  readonly cell: (figures: Figures) => string | undefined;
  /** Also nodes in mode `sockets` have it. */
  readonly ofSockets?: true;
}

const FLOWS: readonly Column[] = [
  { name: "FLOWS", cell: ({ flows }) => fillText(flows) },
  { name: "PODS", cell: ({ pods }) => fillText(pods) },
  { name: "RANGES", cell: ({ ranges }) => fillText(ranges) },
  { name: "NEW FLOWS", cell: counter("flow_new") },
  { name: "PICKED UP", cell: counter("flow_picked_up") },
  { name: "EVICTED", cell: counter("flow_evicted") },
  { name: "FULL", cell: counter("flow_full") },
];

const PACKETS: readonly Column[] = [
  { name: "DELIVERED", cell: counter("deliver") },
  { name: "FORWARDED", cell: counter("forward") },
  { name: "TO STACK", cell: counter("to_stack") },
  { name: "EVENTS LIMITED", cell: counter("event_limited") },
  { name: "EVENTS LOST", cell: counter("event_lost") },
  { name: "DROPS", cell: ({ drops }) => dropsText(drops), ofSockets: true },
];

/** `nodes`: the worst first. */
export function figuresText(nodes: readonly NodeFigures[]): string {
  if (nodes.length === 0) return "";
  const shown = nodes.slice(0, SHOWN);
  const left = nodes.length - shown.length;
  const more = left === 0 ? "" : `… and ${counted(left, "node")} more; -o json has all\n`;
  return [
    "\nNodes, the worst first. Counts are since a node's maps were made, +N of them in the last minute.\n",
    ...[FLOWS, PACKETS].map((columns) => `\n${tableOf(shown, columns)}${more}`),
  ].join("");
}

function tableOf(nodes: readonly NodeFigures[], columns: readonly Column[]): string {
  return table(
    nodes.map(({ cluster, node, figures }) => [cluster, node, ...cells(figures, columns)]),
    ["CLUSTER", "NODE", ...columns.map(({ name }) => name)],
  );
}

/** A node without figures says so once. */
function cells(figures: Figures | null, columns: readonly Column[]): readonly string[] {
  if (figures === null) return [UNKNOWN];
  const isSockets = figures.datapathMode === "sockets";
  return columns.map(({ cell, ofSockets }, i) => {
    if (isSockets && ofSockets === undefined) return i === 0 ? "mode sockets" : "-";
    return cell(figures) ?? UNKNOWN;
  });
}

function counter(name: string): Column["cell"] {
  return ({ counters }) => {
    const count = counters[name];
    return count && countText(count);
  };
}

/** `812`, `8.12M +120k` */
function countText({ total, lastMinute }: Count): string {
  return lastMinute === 0n ? shortCount(total) : `${shortCount(total)} +${shortCount(lastMinute)}`;
}

/** `471900/524288 90%` */
function fillText(fill: Fill | null): string | undefined {
  return fill === null ? undefined : `${fill.used}/${fill.capacity} ${Math.floor(100 * fraction(fill))}%`;
}

/** The reason that counted most in the last minute first. */
function dropsText(drops: Figures["drops"]): string | undefined {
  const all = Object.entries(drops);
  if (all.length === 0) return undefined;
  const seen = all.filter(([, { total }]) => total > 0n);
  seen.sort(([, a], [, b]) => Number(b.lastMinute - a.lastMinute) || Number(b.total - a.total));
  return seen.length === 0 ? "none" : seen.map(([reason, count]) => `${reason} ${countText(count)}`).join(", ");
}
