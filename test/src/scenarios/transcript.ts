/**
 * Scenario files: text in blocks, each begun by a line `== <verb> <words>`.
 *
 * ```
 *   == cluster east 1              declares a cluster and its id
 *   == apply east                  Kubernetes objects as YAML
 *   == delete east Service shop/cart
 *   == disconnect west             no records of west reach the other clusters, until == connect west
 *   == restart east                the agent of east is killed and started on the same maps
 *   == forget east west            the operator of east removes west
 *   == services east | maps east | events east      expected output, as it is printed
 * ```
 * Lines before the first block are a comment. The expected text of an output block can be rewritten (MESH_REWRITE).
 */
import { MeshError } from "@isthmus/model";

export interface Block {
  readonly verb: string;
  readonly words: readonly string[];
  /** Lines up to the next block, without blank lines at both ends. */
  readonly body: string;
}

export interface Transcript {
  readonly comment: string;
  readonly blocks: readonly Block[];
}

export const OUTPUTS: ReadonlySet<string> = new Set(["services", "maps", "events"]);

/** Number of words that each verb takes. */
const VERBS: ReadonlyMap<string, number> = new Map([
  ["cluster", 2],
  ["apply", 1],
  ["delete", 3],
  ["disconnect", 1],
  ["connect", 1],
  ["restart", 1],
  ["forget", 2],
  ...[...OUTPUTS].map((verb): [string, number] => [verb, 1]),
]);

/** Throws `SCENARIO` with the line of an unknown block. */
export function parseTranscript(text: string): Transcript {
  const [comment = "", ...parts] = `\n${text}`.split(/\n== /);
  return { comment: comment.trim(), blocks: parts.map(parseBlock) };
}

function parseBlock(part: string): Block {
  const [head = "", ...lines] = part.split("\n");
  const [verb = "", ...words] = head.trim().split(/\s+/);
  if (VERBS.get(verb) !== words.length) {
    throw new MeshError({ code: "SCENARIO", line: head }, `Cannot read block "== ${head}" of the scenario`);
  }
  return { verb, words, body: lines.join("\n").trim() };
}

export function printTranscript({ comment, blocks }: Transcript): string {
  const parts = blocks.map(({ verb, words, body }) => {
    const head = `== ${[verb, ...words].join(" ")}`;
    return body === "" ? head : `${head}\n${body}`;
  });
  return `${[comment, ...joinBare(parts)].join("\n\n")}\n`;
}

/** Joins consecutive blocks without a body, without blank lines between them. */
function joinBare(parts: readonly string[]): readonly string[] {
  const joined: string[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (last !== undefined && !part.includes("\n") && !lastBlock(last).includes("\n")) {
      joined[joined.length - 1] = `${last}\n${part}`;
    } else joined.push(part);
  }
  return joined;
}

function lastBlock(text: string): string {
  return text.slice(text.lastIndexOf("\n== ") + 1);
}
