/**
 * Desired and actual state of one kernel object, side by side; no I/O.
 *
 * ```
 *        desired            actual
 *      ┌─────────┬────────┬─────────┐
 *      │ insert  │ equal  │ remove  │      a key with two different values is in both: remove it, then insert it
 *      └─────────┴────────┴─────────┘
 * ```
 * Values are the encoded bytes as latin1 strings (`bytesKey`), so "equal" means what the kernel would see. Every call
 * is O(1); what is pending is kept, never searched for.
 */
export interface DeltaTracker {
  readonly desired: ReadonlyMap<string, string>;
  readonly actual: ReadonlyMap<string, string>;
  /** Keys whose desired value is not in the kernel. */
  readonly toInsert: ReadonlySet<string>;
  /** Those of `toInsert` that the kernel has with no value at all: each takes another entry. */
  readonly absent: ReadonlySet<string>;
  /** Keys whose actual value is not desired. */
  readonly toRemove: ReadonlySet<string>;
  setDesired(key: string, value: string): void;
  deleteDesired(key: string): void;
  /** What the kernel was found or made to hold. */
  setActual(key: string, value: string): void;
  deleteActual(key: string): void;
}

export function createDeltaTracker(): DeltaTracker {
  const desired = new Map<string, string>();
  const actual = new Map<string, string>();
  const toInsert = new Set<string>();
  const absent = new Set<string>();
  const toRemove = new Set<string>();

  function compare(key: string, wanted: string | undefined, found: string | undefined): void {
    const differs = wanted !== found;
    if (differs && wanted !== undefined) toInsert.add(key);
    else toInsert.delete(key);
    if (wanted !== undefined && found === undefined) absent.add(key);
    else absent.delete(key);
    if (differs && found !== undefined) toRemove.add(key);
    else toRemove.delete(key);
  }

  return {
    desired,
    actual,
    toInsert,
    absent,
    toRemove,
    setDesired(key, value) {
      desired.set(key, value);
      compare(key, value, actual.get(key));
    },
    deleteDesired(key) {
      desired.delete(key);
      compare(key, undefined, actual.get(key));
    },
    setActual(key, value) {
      actual.set(key, value);
      compare(key, desired.get(key), value);
    },
    deleteActual(key) {
      actual.delete(key);
      compare(key, desired.get(key), undefined);
    },
  };
}
