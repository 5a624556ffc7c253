/**
 * JSON answers: `schemaVersion` first, two spaces, a newline; bytes as hexadecimal; what does not print as escapes of JSON.
 *
 * A field may be added within a schema version; one that goes or means something else makes a new one. 64-bit numbers are
 * numbers; above 2^53 - 1, which no store reaches and most readers of JSON would round, they are text.
 */
import { type MeshError, printableJson } from "@isthmus/model";
import { hex } from "./units.js";

const SCHEMA_VERSION = 1;

export function json(value: object): string {
  const whole = { schemaVersion: SCHEMA_VERSION, ...(plain(value) as object) };
  return `${printableJson(JSON.stringify(whole, null, 2))}\n`;
}

/** As the field of an answer: why there is none, or why it is not whole. */
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
