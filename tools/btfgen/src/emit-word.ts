/**
 * Writes toWord and fromWord: the fields of a word, which one store writes, as one number (4 bytes) or bigint (8 bytes).
 *
 * A word of 8 bytes is made of two halves, because a bigint for each field costs more than all the rest of a first load.
 */
import type { Field, StructType } from "./btf.js";
import { camel, isPadding, pascal } from "./names.js";

/** Fields of a word; `bitOffset` of each is from the start of the word. */
export interface Word {
  /** The struct, for errors. */
  readonly name: string;
  readonly size: number;
  readonly fields: readonly Field[];
  /** TypeScript type of a value. */
  readonly type: string;
}

/** A struct of bit fields, and one that is named so. */
export function isWord(type: StructType): boolean {
  return type.name.endsWith("_word") || type.fields.some((field) => field.bitSize !== undefined);
}

/** Members of a codec. Throws for a struct that is not one word. */
export function wordText({ name, size, fields, type }: Word, indent: string): string {
  if (size !== 4 && size !== 8) throw new Error(`Cannot make a codec for "${name}": a word has 4 or 8 bytes`);
  const parts = fields.filter((field) => !isPadding(field.name)).map((field) => partOf(name, field));
  const word = size === 4 ? "number" : "bigint";
  const members = size === 4 ? `${masksText(parts)}\n${pack32(parts, type)}` : pack64(parts, type);
  const takes = parts.map((part) => `    ${part.field}: ${takeText(part, size)},\n`).join("");
  const halves = size === 4 ? "" : `  const [low, high] = [lowHalf(word), highHalf(word)];\n`;
  const text = `${members}fromWord(word: ${word}): ${type} {\n${halves}  return {\n${takes}  };\n},\n`;
  return text.replaceAll(/^(?=.)/gm, indent);
}

interface Part {
  readonly field: string;
  readonly shift: number;
  readonly bits: number;
  readonly bigEndian: boolean;
}

function partOf(owner: string, { name, bitOffset, bitSize, element, count }: Field): Part {
  const where = `${owner}.${name}`;
  if (element.kind !== "int" || count !== undefined) throw new Error(`Cannot make a word of "${where}"`);
  const bits = bitSize ?? 8 * element.bytes;
  const bigEndian = element.bigEndian && bits > 8;
  if (bits > 32 || (bigEndian && bits !== 16)) throw new Error(`Cannot make a word of "${where}": ${bits} bits`);
  return { field: camel(name), shift: bitOffset, bits, bigEndian };
}

function masksText(parts: readonly Part[]): string {
  const masks = parts.map(({ field, shift, bits }) => `${field}: ${hex(2 ** shift * (2 ** bits - 1))}`);
  return `/** The bits of each field in the word. */\nmasks: { ${masks.join(", ")} },`;
}

const PACK_DOC = "/** Packs the fields. Throws RangeError when a value does not fit its bits. */\n";

function pack32(parts: readonly Part[], type: string): string {
  const terms = parts.map((part) => shifted(valueText(part), part.shift));
  return `${PACK_DOC}toWord(value: ${type}): number {\n  const word =\n    ${terms.join(" |\n    ")};\n  return word >>> 0;\n},\n`;
}

function pack64(parts: readonly Part[], type: string): string {
  const split = parts.filter(({ shift, bits }) => shift < 32 && shift + bits > 32);
  const once = new Map(split.map((part) => [part, part.field]));
  const checks = split.map((part) => `  const ${part.field} = ${valueText(part)};\n`).join("");
  const text = (part: Part) => once.get(part) ?? valueText(part);
  const low = parts.filter(({ shift }) => shift < 32).map((part) => shifted(text(part), part.shift));
  const high = parts
    .filter(({ shift, bits }) => shift + bits > 32)
    .map((part) => (part.shift < 32 ? `(${text(part)} >>> ${32 - part.shift})` : shifted(text(part), part.shift - 32)));
  return (
    `${PACK_DOC}toWord(value: ${type}): bigint {\n${checks}` +
    `  const low =\n    ${low.join(" |\n    ") || "0"};\n  const high =\n    ${high.join(" |\n    ") || "0"};\n` +
    `  return word64(low, high);\n},\n`
  );
}

function valueText({ field, bits, bigEndian }: Part): string {
  const value = `bits("${field}", value.${field}, ${bits})`;
  return bigEndian ? `swap16(${value})` : value;
}

function shifted(text: string, shift: number): string {
  return shift === 0 ? text : `(${text} << ${shift})`;
}

function takeText({ shift, bits, bigEndian }: Part, size: number): string {
  const [low, high] = size === 4 ? ["word", "0"] : ["low", "high"];
  const split = shift < 32 && shift + bits > 32;
  const [half, at] = shift < 32 ? [low, shift] : [high, shift - 32];
  const whole = split
    ? `((${low} >>> ${shift}) | (${high} << ${32 - shift}))`
    : at === 0
      ? half
      : `(${half} >>> ${at})`;
  const masked = bits === 32 ? `${whole} >>> 0` : `${whole} & ${hex(2 ** bits - 1)}`;
  return bigEndian ? `swap16(${masked})` : masked;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** The words of anonymous structs in a row, each named by its first field: `portWord`. */
export function rowWordsText(type: StructType): string {
  return type.words
    .map((fields) => {
      const [first] = fields;
      if (first === undefined) return "";
      const start = first.bitOffset;
      const names = fields.filter((field) => !isPadding(field.name)).map((field) => `"${camel(field.name)}"`);
      const word: Word = {
        name: type.name,
        size: Math.max(...fields.map((field) => field.bitOffset - start + bitsOf(field))) / 8,
        fields: fields.map((field) => ({ ...field, bitOffset: field.bitOffset - start })),
        type: `Pick<${pascal(type.name)}, ${names.join(" | ")}>`,
      };
      return `  /** The word at \`offsets.${camel(first.name)}\`. */\n  ${camel(first.name)}Word: {\n${wordText(word, "    ")}  },\n`;
    })
    .join("");
}

function bitsOf({ element, bitSize }: Field): number {
  return bitSize ?? 8 * element.bytes;
}
