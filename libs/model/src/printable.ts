/**
 * Text from another cluster, a node or a pod, made safe for a terminal, a log line, an Event or a condition.
 *
 * In: any string. Out: at most `maxLength` UTF-16 units of well-formed text without control characters. An unprintable
 * character is replaced by its code point, `\u{1b}`; text that was cut ends in "…". Text that is printable and short
 * enough is returned unchanged, so applying the function twice changes nothing.
 */

/** Enough for a name and a sentence; Kubernetes bounds conditions at 32,768 bytes and Events at 1,024. */
export const PRINTABLE_LENGTH = 256;

/** More than the longest sentence of the CLI with its examples. */
const LINE_LENGTH = 4_096;

/**
 * Controls (C0, DEL, C1: Cc), invisible and direction-changing characters (Cf), line and paragraph separators (Zl, Zp),
 * halves of surrogate pairs (Cs). Private-use and unassigned characters stay: they only look odd.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** The characters of UNPRINTABLE that JSON does not escape; they occur only inside JSON strings. */
const RAW_IN_JSON = /[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/gu;

/** `maxLength` counts UTF-16 units of the result, the "…" of a cut included. */
export function printable(text: string, maxLength: number = PRINTABLE_LENGTH): string {
  // Cut before escaping: the work is bounded by maxLength, not by the length of the input.
  const head = text.length > maxLength ? text.slice(0, maxLength) : text;
  const escaped = head.replace(UNPRINTABLE, escapeCodePoint);
  if (escaped.length <= maxLength && head.length === text.length) return escaped;
  return `${dropHalfPair(escaped.slice(0, maxLength - 1))}…`;
}

/** Untrusted text as one printable line, for a cell of a table or a sentence of the CLI. */
export function lineText(text: string): string {
  return printable(text, LINE_LENGTH);
}

/** Returns the same JSON value without characters that control a terminal: unprintable ones become JSON escapes. */
export function printableJson(json: string): string {
  return json.replace(RAW_IN_JSON, (character) =>
    character.replace(/./gs, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`),
  );
}

function escapeCodePoint(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

function dropHalfPair(text: string): string {
  return /[\ud800-\udbff]$/.test(text) ? text.slice(0, -1) : text;
}
