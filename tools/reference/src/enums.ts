/** The enums that tools/btfgen made of the headers of bpf/: names and meanings, as metrics and tables show them. */

export interface EnumValue {
  readonly name: string;
  readonly text: string;
}

/** The values of one enum, in its order. `source`: the generated TypeScript. Throws when it has no such enum. */
export function enumValues(source: string, name: string): readonly EnumValue[] {
  const help = new RegExp(`export const ${name}Help\\b[^=]*= new Map\\(\\[\\n([\\s\\S]*?)\\n\\]\\);`).exec(source)?.[1];
  if (help === undefined) throw new Error(`Cannot find enum "${name}"`);
  return [...help.matchAll(/^ {2}\[\d+, \{ name: ("[^"]*"), text: ("(?:[^"\\]|\\.)*") \}\],$/gm)].map(
    ([, label = "", text = ""]) => ({ name: JSON.parse(label) as string, text: JSON.parse(text) as string }),
  );
}
