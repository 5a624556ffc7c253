/** An exchange of buckets: which kinds are awaited, and how often it was tried without an end. */
import type { Buckets, Kind } from "@isthmus/proto";

export interface Exchange {
  /** Asks for the buckets of these kinds, and forgets what was awaited before. */
  begin(kinds: readonly Kind[]): readonly Buckets[];
  /** Asks for these again; undefined when that was done often enough. */
  again(kinds: readonly Kind[]): readonly Buckets[] | undefined;
  awaits(kind: Kind): boolean;
  /** The last bucket of a kind is there; true when none is awaited any more. */
  got(kind: Kind): boolean;
  /** Nothing is awaited, nothing was tried. */
  end(): void;
}

const MAX_TRIES = 3;

/** `sums`: what is asked with. */
export function createExchange(sums: (kind: Kind) => Buckets): Exchange {
  const awaited = new Set<Kind>();
  let tries = 0;
  const ask = (kinds: readonly Kind[]) => {
    for (const kind of kinds) awaited.add(kind);
    return kinds.map(sums);
  };
  return {
    begin(kinds) {
      awaited.clear();
      return ask(kinds);
    },
    again(kinds) {
      if (++tries < MAX_TRIES) return ask(kinds);
      tries = 0;
      return undefined;
    },
    awaits: (kind) => awaited.has(kind),
    got(kind) {
      awaited.delete(kind);
      return awaited.size === 0;
    },
    end() {
      awaited.clear();
      tries = 0;
    },
  };
}
