/**
 * Every write to the in-memory kernel passes here, so that a test can look after each one, make one fail, or end the
 * writing process between two of them.
 */
export interface Write {
  readonly map: string;
  readonly what: "insert" | "delete" | "body" | "word" | "list";
  /** Key (latin1) of a hash, index of an array. */
  readonly at: string | number;
}

/** Thrown at the write before which the process "died", and at every one after it. */
export class Killed extends Error {
  constructor() {
    super("Killed between two writes");
  }
}

/** One process that writes. */
export interface Writer {
  /** Lets a write happen: throws `Killed`, or what the test asked for. */
  begin(write: Write): void;
  /** Says that it has happened. */
  end(write: Write): void;
}

export interface WriteLog {
  /** Writes that have happened, of all processes. */
  readonly count: number;
  /** The current process dies before its write number `n` (0 = its first from now on). */
  killBefore(n: number): void;
  /** Asked before each write; an error returned is that write's failure. */
  failWhen(rule: ((write: Write) => Error | undefined) | undefined): void;
  /** Called after each write. */
  onWrite(listener: ((write: Write) => void) | undefined): void;
  /** A new process; the one before can no longer write. */
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
      const own = ++current;
      left = Number.POSITIVE_INFINITY;
      let dead = false;
      return {
        begin(write) {
          dead ||= own !== current || left <= 0;
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
