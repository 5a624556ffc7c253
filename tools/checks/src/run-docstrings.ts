/** Counts the documentation comments of the product's sources and compares them with tools/checks/docstrings.json. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkDocstrings, countDocs, docsTable, FLOORS, type Floors, raisedFloors } from "./docstrings.js";
import { ROOT } from "./files.js";
import { withProduct } from "./product.js";

/** Returns the findings. `write`: raises the floors to what is there now. `print`: the shares, and what lacks a comment in these packages. */
export function runDocstrings({
  write = false,
  print,
}: {
  readonly write?: boolean;
  readonly print?: readonly string[];
} = {}): readonly string[] {
  const docs = withProduct(countDocs);
  const floors = JSON.parse(readFileSync(join(ROOT, FLOORS), "utf8")) as Floors;
  const next = write ? raisedFloors(docs, floors) : floors;
  if (write) writeFileSync(join(ROOT, FLOORS), `${JSON.stringify(next, null, 2)}\n`);
  if (print !== undefined) {
    for (const folder of print) process.stdout.write(`${(docs.get(folder)?.missing ?? []).join("\n")}\n`);
    process.stdout.write(docsTable(docs));
  }
  return checkDocstrings(docs, next);
}
