/** Compares JSON values regardless of key order: the API server may return the keys of an object in another order. */
import { isDeepStrictEqual } from "node:util";

/** True when both are the same JSON value; undefined fields are absent. */
export function sameJson(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(plain(a), plain(b));
}

/** The same, with all runs of digits considered equal: texts that differ only in a number are the same. */
export function sameJsonBesidesNumbers(a: unknown, b: unknown): boolean {
  const words = (text: string) => text.replace(/\d+/g, "0");
  return isDeepStrictEqual(plain(a, words), plain(b, words));
}

function plain(value: unknown, edit: (text: string) => string = (text) => text): unknown {
  return value === undefined ? undefined : JSON.parse(edit(JSON.stringify(value)));
}
