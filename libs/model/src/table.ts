/** Plain text tables for terminals and transcripts. */
import { lineText } from "./printable.js";

/**
 * Aligns columns with spaces, two between them, without trailing blanks; each row is a line that ends in "\n". Empty cells stay
 * empty. Cells are made printable before their width is taken, so a row is one line whatever its text.
 */
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
