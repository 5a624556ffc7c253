/** One text for one JSON value, whatever the order in which the API returned its keys (pure). */

const MAX_DEPTH = 64;

/** Keys sorted by code unit, absent fields left out. Undefined for a value that is nested more than 64 levels deep. */
export function canonicalJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(sortedKeys(value, MAX_DEPTH));
  } catch (thrown) {
    if (thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}

function sortedKeys(value: unknown, levels: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (levels === 0) throw new RangeError("nested too deeply");
  if (Array.isArray(value)) return value.map((one) => sortedKeys(one, levels - 1));
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, sortedKeys((value as Record<string, unknown>)[key], levels - 1)]));
}
