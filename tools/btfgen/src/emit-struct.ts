/**
 * Writes the codec of one struct: an interface, its size, the offset of each field, encode and decode.
 *
 * Words get toWord and fromWord, for the single store that the commit rule requires (emit-word.ts): structs of bit
 * fields, structs named *_word, and anonymous structs in a row.
 */
import type { Field, StructType } from "./btf.js";
import type { Comments } from "./comments.js";
import { isWord, rowWordsText, wordText } from "./emit-word.js";
import { camel, docComment, isPadding, kebab, pascal } from "./names.js";

export function emitStruct(type: StructType, comments: Comments): string {
  const fields = type.fields.filter((field) => !isPadding(field.name));
  const nested = [...new Set(fields.flatMap(({ element }) => (element.kind === "struct" ? [element.name] : [])))];
  const imports = nested.map((name) => `import { ${pascal(name)} } from "./${kebab(name)}.js";\n`).join("");
  const body = type.fields.some((field) => field.bitSize !== undefined)
    ? bitFieldBody(type, fields)
    : plainBody(type, fields);
  const helpers = HELPERS.filter((name) => new RegExp(`\\b${name}\\(`).test(body));
  const header = helpers.length === 0 ? "" : `import { ${helpers.join(", ")} } from "../codec.js";\n`;
  return `${header}${imports}\n${interfaceText(type, fields, comments)}\n${body}`;
}

const HELPERS = ["bits", "highHalf", "lowHalf", "putBytes", "putEach", "swap16", "takeEach", "viewOf", "word64"];

function interfaceText(type: StructType, fields: readonly Field[], comments: Comments): string {
  const lines = fields.map((field) => {
    const doc = docComment(comments.get(`${type.name}.${field.name}`), "  ");
    return `${doc}  readonly ${camel(field.name)}: ${typeOf(field)};\n`;
  });
  return `${docComment(comments.get(type.name))}export interface ${pascal(type.name)} {\n${lines.join("")}}\n`;
}

function typeOf({ element, count, bitSize }: Field): string {
  if (element.kind === "struct")
    return count === undefined ? pascal(element.name) : `readonly ${pascal(element.name)}[]`;
  const number = element.bytes === 8 && bitSize === undefined ? "bigint" : "number";
  if (count === undefined) return number;
  return element.bytes === 1 ? "Uint8Array" : `readonly ${number}[]`;
}

function plainBody(type: StructType, fields: readonly Field[]): string {
  const name = pascal(type.name);
  const puts = fields.map((field) => `    ${putText(field)}\n`).join("");
  const takes = fields.map((field) => `      ${camel(field.name)}: ${takeText(field)},\n`).join("");
  // Without numbers, the view is created only for its bounds check.
  const view = (bytes: string, uses: string) =>
    `    ${uses.includes("view.") ? "const view = " : ""}viewOf(${bytes}, at, ${type.size});\n`;
  return (
    `export const ${name} = {\n${headText(type, fields)}` +
    `  /** Writes the struct into \`out\` at \`at\`, padding as zeros. Arrays may be shorter than the field. */\n` +
    `  encode(value: ${name}, out: Uint8Array = new Uint8Array(${type.size}), at = 0): Uint8Array {\n` +
    `${view("out", puts)}    out.fill(0, at, at + ${type.size});\n${puts}    return out;\n  },\n` +
    `  /** Reads the struct from \`bytes\` at \`at\`; byte arrays are copies. */\n` +
    `  decode(bytes: Uint8Array, at = 0): ${name} {\n` +
    `${view("bytes", takes)}    return {\n${takes}    };\n  },\n${wordsText(type)}} as const;\n`
  );
}

function headText(type: StructType, fields: readonly Field[]): string {
  const offsets = fields.map((field) => `${camel(field.name)}: ${field.bitOffset >> 3}`).join(", ");
  const plain = fields.every((field) => field.bitSize === undefined);
  return (
    `  /** Bytes. */\n  size: ${type.size},\n` +
    (plain ? `  /** Byte offset of each field. */\n  offsets: { ${offsets} },\n` : "")
  );
}

function putText({ name, bitOffset, element, count }: Field): string {
  const at = bitOffset >> 3;
  const value = `value.${camel(name)}`;
  if (element.kind === "struct") {
    if (count === undefined) return `${pascal(element.name)}.encode(${value}, out, at + ${at});`;
    return `putEach(${value}, ${count}, (item, i) => ${pascal(element.name)}.encode(item, out, at + ${at} + i * ${element.bytes}));`;
  }
  if (count !== undefined && element.bytes === 1) return `putBytes(out, at + ${at}, ${value}, ${count});`;
  if (count === undefined) return `view.${setter(element)}(${at}, ${value}${order(element)});`;
  return `putEach(${value}, ${count}, (item, i) => view.${setter(element)}(${at} + i * ${element.bytes}, item${order(element)}));`;
}

function takeText({ bitOffset, element, count }: Field): string {
  const at = bitOffset >> 3;
  if (element.kind === "struct") {
    if (count === undefined) return `${pascal(element.name)}.decode(bytes, at + ${at})`;
    return `takeEach(${count}, (i) => ${pascal(element.name)}.decode(bytes, at + ${at} + i * ${element.bytes}))`;
  }
  if (count !== undefined && element.bytes === 1) return `bytes.slice(at + ${at}, at + ${at + count})`;
  const getter = setter(element).replace("set", "get");
  if (count === undefined) return `view.${getter}(${at}${order(element)})`;
  return `takeEach(${count}, (i) => view.${getter}(${at} + i * ${element.bytes}${order(element)}))`;
}

type Int = Extract<Field["element"], { kind: "int" }>;

function setter(element: Int): string {
  return element.bytes === 8 ? "setBigUint64" : `setUint${element.bytes * 8}`;
}

function order(element: Int): string {
  if (element.bytes === 1) return "";
  return element.bigEndian ? ", false" : ", true";
}

function wordsText(type: StructType): string {
  const { name, size, fields } = type;
  return rowWordsText(type) + (isWord(type) ? wordText({ name, size, fields, type: pascal(name) }, "  ") : "");
}

function bitFieldBody(type: StructType, fields: readonly Field[]): string {
  const name = pascal(type.name);
  const access = type.size === 8 ? "BigUint64" : "Uint32";
  return (
    `export const ${name} = {\n${headText(type, fields)}${wordsText(type)}` +
    `  encode(value: ${name}, out: Uint8Array = new Uint8Array(${type.size}), at = 0): Uint8Array {\n` +
    `    viewOf(out, at, ${type.size}).set${access}(0, ${name}.toWord(value), true);\n    return out;\n  },\n` +
    `  decode(bytes: Uint8Array, at = 0): ${name} {\n` +
    `    return ${name}.fromWord(viewOf(bytes, at, ${type.size}).get${access}(0, true));\n  },\n} as const;\n`
  );
}
