/**
 * Writes the enums: constants by name without their common prefix, and the comments as texts for users.
 */
import type { EnumType } from "./btf.js";
import type { Comments } from "./comments.js";
import { docComment, pascal } from "./names.js";

/** TypeScript of one enum: an object of constants, its type, and `<Name>Help` from value to text. */
export function emitEnum(type: EnumType, comments: Comments): string {
  const name = pascal(type.name);
  const prefix = sharedPrefix(type.values.map((value) => value.name));
  const members = type.values.map((value) => {
    const doc = docComment(comments.get(`${type.name}.${value.name}`), "  ");
    return `${doc}  ${pascal(value.name.slice(prefix.length))}: ${value.value},\n`;
  });
  const help = type.values.map((value) => {
    const text = comments.get(`${type.name}.${value.name}`) ?? value.name;
    const words = value.name.slice(prefix.length).toLowerCase();
    return `  [${value.value}, { name: ${JSON.stringify(words)}, text: ${JSON.stringify(text)} }],\n`;
  });
  return (
    `${docComment(comments.get(type.name))}export const ${name} = {\n${members.join("")}} as const;\n` +
    `export type ${name} = (typeof ${name})[keyof typeof ${name}];\n` +
    `/** Name and meaning of each value, for tables and metrics. */\n` +
    `export const ${name}Help: ReadonlyMap<number, { readonly name: string; readonly text: string }> = new Map([\n${help.join("")}]);\n`
  );
}

function sharedPrefix(names: readonly string[]): string {
  const [first = ""] = names;
  const parts = first.split("_");
  for (let n = parts.length - 1; n > 0; n--) {
    const prefix = `${parts.slice(0, n).join("_")}_`;
    if (names.every((name) => name.startsWith(prefix) && name.length > prefix.length)) return prefix;
  }
  return "";
}
