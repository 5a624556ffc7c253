/**
 * JSON output: `schemaVersion` first, indented by two spaces, with a final newline; bytes as hexadecimal; unprintable
 * characters as JSON escapes.
 *
 * A field may be added within a schema version; removing one or changing its meaning makes a new version. 64-bit numbers are
 * numbers; above 2^53 - 1, which no store reaches and most JSON parsers would round, they are strings.
 */
import { type MeshError, printableJson } from "@isthmus/model";
import { hex } from "./units.js";

const SCHEMA_VERSION = 1;

/** `value`: plain data, in which bigints and bytes may occur. */
export function json(value: object): string {
  const whole = { schemaVersion: SCHEMA_VERSION, ...(plain(value) as object) };
  return `${printableJson(JSON.stringify(whole, null, 2))}\n`;
}

/** The same on one line, for output that has no end: a document a line. */
export function jsonLine(value: object): string {
  return `${printableJson(JSON.stringify({ schemaVersion: SCHEMA_VERSION, ...(plain(value) as object) }))}\n`;
}

/** The error as a field of the output: why there is no result, or why it is incomplete. */
export function errorOf({ code, message }: MeshError): {
  readonly error: { readonly code: string; readonly message: string };
} {
  return { error: { code, message } };
}

function plain(value: unknown): unknown {
  if (typeof value === "bigint") return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString();
  if (value instanceof Uint8Array) return hex(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, plain(field)]));
}
