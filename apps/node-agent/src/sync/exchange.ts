/** The state of an exchange of buckets: the kinds that are awaited, and the number of tries. */
import type { Buckets, Kind } from "@isthmus/proto";

export interface Exchange {
  /** Asks for the buckets of these kinds, and forgets what was awaited before. */
  begin(kinds: readonly Kind[]): readonly Buckets[];
  /** Asks for these kinds again; undefined after `MAX_TRIES` tries. */
  again(kinds: readonly Kind[]): readonly Buckets[] | undefined;
  /** True from when the kind is asked for until `complete`, or the end of the exchange. */
  awaits(kind: Kind): boolean;
  /** The last bucket of a kind was received; returns true when no kind is awaited any more. */
  complete(kind: Kind): boolean;
  /** Ends the exchange: no kind is awaited, no try is counted. */
  end(): void;
}

const MAX_TRIES = 3;

/** `sums`: makes the message that asks for the buckets of a kind. */
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
    complete(kind) {
      awaited.delete(kind);
      return awaited.size === 0;
    },
    end() {
      awaited.clear();
      tries = 0;
    },
  };
}
