/** JSON answers: two spaces, a newline; 64-bit numbers as text, bytes as hexadecimal; what does not print as escapes of JSON. */
import { printableJson } from "@isthmus/model";
import { hex } from "./units.js";

export function json(value: unknown): string {
  return `${printableJson(JSON.stringify(plain(value), null, 2))}\n`;
}

function plain(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return hex(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, plain(field)]));
}
