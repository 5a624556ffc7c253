/** Parts of a Markdown page: what is generated stands between two comments, the rest is written by hand. */

const BEGIN = "<!-- begin: made by `make generate` -->";
const END = "<!-- end -->";
/** Columns at which prose is wrapped. */
const WIDTH = 110;

/** Returns the page with its generated part replaced. Throws when the comments are missing. */
export function withGenerated(page: string, generated: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin === -1 || end < begin) throw new Error(`Cannot find the comments "${BEGIN}" and "${END}" in the page`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${generated.trim()}\n\n${page.slice(end)}`;
}

/** Prose in lines of at most 110 characters, as far as its words are shorter; `prefix` begins each line. No final newline. */
export function wrap(text: string, prefix = ""): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).filter((each) => each !== "")) {
    if (line !== "" && prefix.length + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = "";
    }
    line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].map((each) => `${prefix}${each}`.trimEnd()).join("\n");
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [row(head), `|${"---|".repeat(head.length)}`, ...rows.map(row)].join("\n");
}

export const code = (text: string): string => `\`${text}\``;

/** With a capital first letter. */
export const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

/** Orders by the keys of two entries. */
export function byKey<V>([a]: readonly [string, V], [b]: readonly [string, V]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
