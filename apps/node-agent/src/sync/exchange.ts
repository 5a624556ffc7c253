/**
 * The state of an exchange of buckets: the kind that is asked for, those that follow it, and the number of tries.
 *
 * Kinds are asked for one after the other: the sums of all kinds at once would block the event loop for four times as
 * long.
 */
import type { Buckets, Kind } from "@isthmus/proto";

export interface Exchange {
  /** Asks for the first of these kinds, and forgets the exchange before; undefined for no kind. */
  begin(kinds: readonly Kind[]): Buckets | undefined;
  /** Asks for these kinds again, before those that follow; undefined after `MAX_TRIES` tries. */
  again(kinds: readonly Kind[]): Buckets | undefined;
  /** True for the kind that is asked for. */
  awaits(kind: Kind): boolean;
  /** The last bucket of the kind was received: asks for the next one; undefined when none is left. */
  next(): Buckets | undefined;
  /** Ends the exchange: no kind is awaited, no try is counted. */
  end(): void;
}

const MAX_TRIES = 3;

/** `sums`: makes the message that asks for the buckets of a kind. */
export function createExchange(sums: (kind: Kind) => Buckets): Exchange {
  /** The first one is asked for. */
  let kinds: readonly Kind[] = [];
  let tries = 0;

  function ask(wanted: readonly Kind[]): Buckets | undefined {
    kinds = wanted;
    const [kind] = kinds;
    return kind === undefined ? undefined : sums(kind);
  }

  return {
    begin: ask,
    again(wanted) {
      if (++tries < MAX_TRIES) return ask([...wanted, ...kinds.filter((kind) => !wanted.includes(kind))]);
      tries = 0;
      return undefined;
    },
    awaits: (kind) => kinds[0] === kind,
    next: () => ask(kinds.slice(1)),
    end() {
      kinds = [];
      tries = 0;
    },
  };
}
