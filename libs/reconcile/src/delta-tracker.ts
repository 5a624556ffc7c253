/**
 * Keeps the desired and the actual entries of one kernel map, and their difference. No I/O.
 *
 * ```
 *        desired            actual
 *      ┌─────────┬────────┬─────────┐
 *      │ insert  │ equal  │ remove  │      a key with two different values is in both: remove it, then insert it
 *      └─────────┴────────┴─────────┘
 * ```
 * Keys and values are encoded bytes as latin1 strings (`bytesKey`), so "equal" means equal for the kernel. Every call is
 * O(1): it updates the sets of pending keys.
 */
export interface DeltaTracker {
  /** What the kernel must hold: value by key, latin1. */
  readonly desired: ReadonlyMap<string, string>;
  /** What the kernel holds, as far as it was read or written: value by key, latin1. */
  readonly actual: ReadonlyMap<string, string>;
  /** Keys whose desired value is not in the kernel. */
  readonly toInsert: ReadonlySet<string>;
  /** The keys of `toInsert` that the kernel does not have at all: each needs a further entry. */
  readonly absent: ReadonlySet<string>;
  /** Keys whose actual value is not desired. */
  readonly toRemove: ReadonlySet<string>;
  /** Also for a key that is desired with another value. */
  setDesired(key: string, value: string): void;
  /** Also for a key that is not desired. */
  deleteDesired(key: string): void;
  /** Records a value that was read from or written to the kernel. */
  setActual(key: string, value: string): void;
  /** Records that the kernel does not hold the key. */
  deleteActual(key: string): void;
}

/** Nothing is desired, and nothing is known to be in the kernel. */
export function createDeltaTracker(): DeltaTracker {
  const desired = new Map<string, string>();
  const actual = new Map<string, string>();
  const toInsert = new Set<string>();
  const absent = new Set<string>();
  const toRemove = new Set<string>();

  function compare(key: string, wanted: string | undefined, current: string | undefined): void {
    const differs = wanted !== current;
    if (differs && wanted !== undefined) toInsert.add(key);
    else toInsert.delete(key);
    if (wanted !== undefined && current === undefined) absent.add(key);
    else absent.delete(key);
    if (differs && current !== undefined) toRemove.add(key);
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
