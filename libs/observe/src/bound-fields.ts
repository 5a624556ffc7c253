/**
 * Bounds the fields of a log line before they become text: a peer that sends a megabyte does not cause a megabyte of
 * log.
 *
 * In: any fields. Out: the same fields, with long texts and lists cut and marked by "…", and deeply nested objects
 * replaced by "…". Errors are left to the logger's serializer.
 */
const MAX_TEXT = 4_096;
const MAX_ITEMS = 64;
const MAX_DEPTH = 6;
const CUT = "…";

/** Returns a copy; texts of 4,096 characters, lists and objects of 64 items and 6 levels stay whole. */
export function boundFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return boundObject(fields, MAX_DEPTH);
}

function bound(value: unknown, depth: number): unknown {
  if (typeof value === "string") return value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}${CUT}` : value;
  if (value === null || typeof value !== "object" || value instanceof Error) return value;
  if (depth === 0) return CUT;
  if (value instanceof Uint8Array) return bound(Buffer.from(value.subarray(0, MAX_TEXT)).toString("hex"), depth);
  if ("toJSON" in value && typeof value.toJSON === "function") return bound(value.toJSON(), depth - 1);
  if (!Array.isArray(value)) return boundObject(value, depth);
  const items = value.slice(0, MAX_ITEMS).map((item) => bound(item, depth - 1));
  return value.length > MAX_ITEMS ? [...items, CUT] : items;
}

function boundObject(value: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(value);
  const kept = entries.slice(0, MAX_ITEMS).map(([name, field]) => [name.slice(0, MAX_TEXT), bound(field, depth - 1)]);
  return Object.fromEntries(entries.length > MAX_ITEMS ? [...kept, [CUT, CUT]] : kept);
}
