/**
 * How much one node may ask of its apiserver, whatever holds its certificate: streams, messages, bytes, and exchanges of buckets,
 * each as a rate with a burst. A budget belongs to the node, not to the stream, so that a new stream begins no new one.
 *
 * The bursts are what an honest agent needs at most. It reports every living pod and up to 1,000 gone ones when it connects;
 * after a long absence it asks for every kind of every source once, and thrice where a repair fails; it acknowledges each round
 * of its kernel's updates. It opens a stream again after 100 ms to 2 s.
 */
import type { Clock } from "@isthmus/model";
import type { Kind } from "@isthmus/proto";
import { KINDS } from "@isthmus/records";
import { createTokenBucket, type Rate, type TokenBucket } from "./token-bucket.js";

export interface NodeBudgets {
  /** A stream is opened. */
  stream(node: string): boolean;
  /** Undefined: within the budget. Otherwise a sentence for the agent. */
  message(node: string, bytes: number): string | undefined;
  /** `sources`: how many are served. A kind that is not known costs nothing: its answer holds no records. */
  buckets(node: string, kind: Kind, sources: number): string | undefined;
  /** A refused node does not fill the log: three lines, then one a minute. */
  mayLog(node: string): boolean;
}

const STREAMS: Rate = { capacity: 30, perSecond: 2 };
const MESSAGES: Rate = { capacity: 5000, perSecond: 1000 };
const BYTES: Rate = { capacity: 4 << 20, perSecond: 512 << 10 };
const LINES: Rate = { capacity: 3, perSecond: 1 / 60 };
/** Every kind of every source four times at once, and again within two minutes. */
const bucketsRate = (sources: number): Rate => {
  const capacity = 4 * KINDS.length * sources;
  return { capacity, perSecond: capacity / 120 };
};

const isKnown = (kind: Kind): boolean => KINDS.some((known) => known === kind);

const SWEEP_MS = 60_000;
/** The longest that any of the budgets takes to be full again: LINES need three minutes, buckets two. */
const LONGEST_REFILL_MS = 180_000;

type Kept = "streams" | "messages" | "bytes" | "buckets" | "lines";

export function createNodeBudgets(clock: Clock): NodeBudgets {
  const nodes = new Map<string, { readonly budgets: Record<Kept, TokenBucket>; readonly usedAt: number }>();
  let sweptAt = clock.now();

  function of(node: string): Record<Kept, TokenBucket> {
    sweep();
    const made = () => createTokenBucket(clock);
    const budgets = nodes.get(node)?.budgets ?? {
      streams: made(),
      messages: made(),
      bytes: made(),
      buckets: made(),
      lines: made(),
    };
    nodes.set(node, { budgets, usedAt: clock.now() });
    return budgets;
  }

  /** Removes nodes that used none of their budgets until all of them were full again: they equal unknown ones. */
  function sweep(): void {
    if (clock.now() - sweptAt < SWEEP_MS) return;
    sweptAt = clock.now();
    for (const [node, { usedAt }] of nodes) if (sweptAt - usedAt >= LONGEST_REFILL_MS) nodes.delete(node);
  }

  return {
    stream: (node) => of(node).streams.take(STREAMS),
    message(node, bytes) {
      const { messages, bytes: volume } = of(node);
      if (!messages.take(MESSAGES)) return `node "${node}" sends messages faster than ${MESSAGES.perSecond} a second`;
      if (!volume.take(BYTES, bytes))
        return `node "${node}" sends messages of more than ${BYTES.perSecond} bytes a second`;
      return undefined;
    },
    buckets(node, kind, sources) {
      if (!isKnown(kind) || of(node).buckets.take(bucketsRate(sources))) return undefined;
      return `node "${node}" sends messages that ask for the same buckets again and again`;
    },
    mayLog: (node) => of(node).lines.take(LINES),
  };
}
