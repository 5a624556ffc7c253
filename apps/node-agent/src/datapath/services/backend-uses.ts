/**
 * Which rows of mesh_backends are in use, and by how many slots. Pure: the rows themselves are written by their store.
 *
 * ```
 *            ┌──────────── last release, never written ────────────┐
 *            ▼                                                     │
 *   free ──create──► new ──takeNew──► live ──last release──► unused ──retire──► cooling ──recycle──► free
 *                     └───────────────────────► live ◄──use──┘
 * ```
 */
export interface BackendUses {
  /** An adopted row: live, and unused until it is used. */
  adopt(index: number): void;
  /** free -> new, with one user. */
  create(index: number): void;
  /** Counts one more user of a row that is not free. */
  use(index: number): void;
  /** Counts one user less; true when the row was never written and is free now. */
  release(index: number): boolean;
  /** New, live or unused. */
  isUsable(index: number): boolean;
  /** In the map: live or unused. */
  isLive(index: number): boolean;
  /** new -> live; returns the rows, in the order in which they were created. */
  takeNew(): number[];
  /** unused -> cooling, at most `most` rows; returns them. */
  retire(most: number): number[];
  /** Rows that `retire` returned and that are not free yet, oldest first. */
  readonly cooling: readonly number[];
  /** cooling -> free, the first `count` rows. */
  recycle(count: number): void;
  /** True when there are unused or cooling rows. */
  readonly garbage: boolean;
}

const FREE = 0;
/** Not in the map yet. */
const NEW = 1;
const LIVE = 2;

/** All rows are free. */
export function createBackendUses(): BackendUses {
  /** By index; a row that cools is free here. */
  const states: number[] = [FREE];
  const users: number[] = [0];
  const unused = new Set<number>();
  let created: number[] = [];
  const cooling: number[] = [];

  return {
    adopt(index) {
      states[index] = LIVE;
      users[index] = 0;
      unused.add(index);
    },
    create(index) {
      states[index] = NEW;
      users[index] = 1;
      created.push(index);
    },
    use(index) {
      if (users[index] === 0) unused.delete(index);
      users[index] = (users[index] ?? 0) + 1;
    },
    release(index) {
      const left = (users[index] ?? 0) - 1;
      users[index] = left;
      if (left > 0) return false;
      if (states[index] === LIVE) {
        unused.add(index);
        return false;
      }
      states[index] = FREE;
      return true;
    },
    isUsable: (index) => (states[index] ?? FREE) !== FREE,
    isLive: (index) => states[index] === LIVE,
    takeNew() {
      const rows: number[] = [];
      for (const index of created) {
        // Released meanwhile; or created again after that, and so twice in the list.
        if (states[index] !== NEW) continue;
        states[index] = LIVE;
        rows.push(index);
      }
      created = [];
      return rows;
    },
    retire(most) {
      const rows: number[] = [];
      for (const index of unused) {
        if (rows.length >= most) break;
        states[index] = FREE;
        unused.delete(index);
        cooling.push(index);
        rows.push(index);
      }
      return rows;
    },
    cooling,
    recycle: (count) => void cooling.splice(0, count),
    get garbage() {
      return unused.size > 0 || cooling.length > 0;
    },
  };
}
