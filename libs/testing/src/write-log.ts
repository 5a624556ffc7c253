/**
 * Every write to the in-memory kernel is logged here, so that a test can check the state after each one, make one fail,
 * or end the writing process between two of them.
 */
export interface Write {
  readonly map: string;
  readonly what: "insert" | "update" | "delete" | "body" | "word" | "list";
  /** Key (latin1) of a hash, index of an array. */
  readonly at: string | number;
}

/** Thrown by the write before which the process "died", and by all later ones. */
export class Killed extends Error {
  constructor() {
    super("Killed between two writes");
  }
}

/** The log as one process uses it. */
export interface Writer {
  /** Called before a write: throws `Killed`, or the error that the test set for it. */
  begin(write: Write): void;
  /** Called after a write. */
  end(write: Write): void;
}

export interface WriteLog {
  /** Number of writes of all processes. */
  readonly count: number;
  /** The current process dies before its write number `n`, counted from now (0 = the next one). */
  killBefore(n: number): void;
  /** Sets a rule that is called before each write; the write fails with the error that it returns. */
  failWhen(rule: ((write: Write) => Error | undefined) | undefined): void;
  /** Sets a listener that is called after each write. */
  onWrite(listener: ((write: Write) => void) | undefined): void;
  /** Starts a new process; the previous one can no longer write. */
  newWriter(): Writer;
}

export function createWriteLog(): WriteLog {
  let count = 0;
  let left = Number.POSITIVE_INFINITY;
  let current = 0;
  let fail: ((write: Write) => Error | undefined) | undefined;
  let listener: ((write: Write) => void) | undefined;
  return {
    get count() {
      return count;
    },
    killBefore(n) {
      left = n;
    },
    failWhen(rule) {
      fail = rule;
    },
    onWrite(next) {
      listener = next;
    },
    newWriter() {
      const id = ++current;
      left = Number.POSITIVE_INFINITY;
      let dead = false;
      return {
        begin(write) {
          dead ||= id !== current || left <= 0;
          if (dead) throw new Killed();
          const error = fail?.(write);
          if (error !== undefined) throw error;
        },
        end(write) {
          left--;
          count++;
          listener?.(write);
        },
      };
    },
  };
}
