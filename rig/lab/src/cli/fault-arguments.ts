/** Parses the words of `lab fault …`. Pure; names are compared with the lab's plan later. */
import type { Fault, Place } from "../faults/fault.js";
import { labError } from "../plan/errors.js";

/** What each fault takes, as in the help. */
const OPERANDS: Readonly<Record<Fault["kind"], readonly string[]>> = {
  dark: ["CLUSTER"],
  node: ["CLUSTER/NODE"],
  path: ["A", "B"],
  loss: ["A", "B", "PERCENT"],
  "control-plane": ["CLUSTER"],
  hang: ["CLUSTER", "ROLE"],
};

export const FAULT_KINDS = Object.keys(OPERANDS);

/** `words`: what follows `lab fault`. Throws `USAGE`. */
export function parseFault([kind = "", ...words]: readonly string[], oneWay: boolean): Fault {
  const [first = "", second = "", third = ""] = words;
  checkWords(kind, words, oneWay);
  switch (kind) {
    case "dark":
      return { kind, cluster: clusterOf("CLUSTER", first) };
    case "control-plane":
      return { kind, cluster: clusterOf("CLUSTER", first) };
    case "hang":
      return { kind, cluster: clusterOf("CLUSTER", first), role: second };
    case "node":
      return { kind, ...nodeOf(first) };
    case "path":
      return { kind, a: placeOf("A", first), b: placeOf("B", second), oneWay };
    case "loss":
      return { kind, a: placeOf("A", first), b: placeOf("B", second), percent: percentOf(third), oneWay };
    default:
      throw labError("USAGE", `Unknown fault "${kind}": use one of ${[...FAULT_KINDS, "list", "clear"].join(", ")}`);
  }
}

function checkWords(kind: string, words: readonly string[], oneWay: boolean): void {
  const wanted = Object.entries(OPERANDS).find(([known]) => known === kind)?.[1];
  if (wanted === undefined) return;
  if (words.length !== wanted.length)
    throw labError("USAGE", `"lab fault ${kind}" takes ${wanted.join(" ")}; see "lab --help"`);
  if (oneWay && !wanted.includes("B")) throw labError("USAGE", `"lab fault ${kind}" has no option --one-way`);
}

function clusterOf(field: string, word: string): string {
  if (!word.includes("/")) return word;
  throw labError("USAGE", `Cannot use "${word}" for ${field}: write the name of a cluster`);
}

function nodeOf(word: string): { readonly cluster: string; readonly node: string } {
  const { cluster, node } = placeOf("CLUSTER/NODE", word);
  if (node !== undefined) return { cluster, node };
  throw labError("USAGE", `Cannot use "${word}" for CLUSTER/NODE: write a node of a cluster, such as west/west-1`);
}

function placeOf(field: string, word: string): Place {
  const [cluster = "", node, ...more] = word.split("/");
  if (more.length > 0) throw labError("USAGE", `Cannot use "${word}" for ${field}: write CLUSTER or CLUSTER/NODE`);
  return node === undefined ? { cluster } : { cluster, node };
}

function percentOf(word: string): number {
  const [, digits] = /^(\d+(?:\.\d+)?)%$/.exec(word) ?? [];
  if (digits !== undefined) return Number(digits);
  throw labError("USAGE", `Cannot use "${word}" for PERCENT: write a share of the packets, such as 5%`);
}
