/** Compares a value as written with the same value as the API server returns it, with the keys of objects in another order. */
import { isDeepStrictEqual } from "node:util";

/** True when both are the same JSON value; undefined fields are absent. */
export function sameJson(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(plain(a), plain(b));
}

/** The same with all runs of digits equal: in texts that count something, only the words matter. */
export function sameJsonBesidesNumbers(a: unknown, b: unknown): boolean {
  const words = (text: string) => text.replace(/\d+/g, "0");
  return isDeepStrictEqual(plain(a, words), plain(b, words));
}

function plain(value: unknown, edit: (text: string) => string = (text) => text): unknown {
  return value === undefined ? undefined : JSON.parse(edit(JSON.stringify(value)));
}
