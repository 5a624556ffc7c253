/** Writes the names of the pinned maps by their nouns: `mesh_udp_sticky_v2` -> `udpSticky`. */
import { camel } from "./names.js";

/** Throws for a name that is not `mesh_<noun>_v<layout>`, and for two layouts of one noun. */
export function emitMapNames(names: readonly string[]): string {
  const byNoun = new Map<string, string>();
  for (const name of names) {
    const noun = camel(/^mesh_(\w+)_v\d+$/.exec(name)?.[1] ?? "");
    if (noun === "") throw new Error(`Cannot use map name "${name}": it is not mesh_<noun>_v<layout>`);
    if (byNoun.has(noun)) throw new Error(`Cannot use map name "${name}": "${byNoun.get(noun)}" is there too`);
    byNoun.set(noun, name);
  }
  const members = [...byNoun].map(([noun, name]) => `  ${noun}: ${JSON.stringify(name)},\n`).join("");
  return (
    `/** Names of the pinned maps. */\nexport const MAP_NAMES = {\n${members}} as const;\n\n` +
    `/** The noun in a pinned map's name. */\nexport type MapKey = keyof typeof MAP_NAMES;\n`
  );
}
