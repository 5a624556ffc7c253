/** Aligns columns with spaces, two between them, without trailing blanks. Empty cells stay empty; cells are made printable. */
import { lineText } from "./text.js";

export function table(rows: readonly (readonly string[])[], header?: readonly string[]): string {
  const all = (header === undefined ? rows : [header, ...rows]).map((row) => row.map(lineText));
  const widths: number[] = [];
  for (const row of all)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  return all
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}
