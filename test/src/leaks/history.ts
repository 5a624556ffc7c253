/**
 * What was asked of the clusters and when, and when it was known to be in force: which states may be in force at a moment.
 *
 * ```
 *   asked(red) ──────────────── in force in east ───── in force in west        red
 *                 asked(blue) ─────────── in force in east ──► …                  blue
 *   admissible in east:  red │ red, blue             │ blue
 * ```
 * Times are microseconds of CLOCK_MONOTONIC, of which processes on one machine have the same.
 */

/** From when on the nodes of a cluster are known to have it; absent: not known yet. */
type InForceAt = Map<string, number>;

export interface Version<T> {
  readonly value: T;
  /** Before the change was asked for. */
  readonly askedAt: number;
  readonly inForceAt: InForceAt;
}

export interface Timeline<T> {
  /** A change is about to be asked for. */
  ask(value: T, at: number): Version<T>;
  /** The last value that was asked for. */
  readonly latest: T;
  /**
   * Values that may have been in force on nodes of the cluster at some moment of a time: one that was in force, and those that were
   * asked for since.
   */
  admissible(cluster: string, from: number, to: number): readonly T[];
  readonly versions: readonly Version<T>[];
}

/** `first`: in force everywhere from the beginning. */
export function createTimeline<T>(first: T): Timeline<T> {
  const versions: Version<T>[] = [{ value: first, askedAt: Number.NEGATIVE_INFINITY, inForceAt: new Map() }];
  return {
    versions,
    get latest() {
      return (versions.at(-1) as Version<T>).value;
    },
    ask(value, at) {
      const version = { value, askedAt: at, inForceAt: new Map<string, number>() };
      versions.push(version);
      return version;
    },
    admissible(cluster, from, to) {
      const first = versions.findLastIndex(
        ({ inForceAt }) => (inForceAt.get(cluster) ?? Number.POSITIVE_INFINITY) <= from,
      );
      return versions
        .filter(({ askedAt }, i) => i >= Math.max(first, 0) && (i === 0 || askedAt <= to))
        .map(({ value }) => value);
    },
  };
}

/** Now, on the clock of the probes. */
export function nowMicros(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
