/**
 * Limits the load that a node's certificate can cause: streams, messages, bytes and bucket exchanges, each as a rate with a
 * burst. A budget belongs to the node and not to the stream, so that a new stream does not get a new budget.
 *
 * The bursts are the most that a correct agent needs. When it connects it reports every running pod and up to 1,000 deleted
 * ones. After a long absence it requests every kind of every source once, and three times where a repair fails. It
 * acknowledges each round of updates of its kernel maps. It opens a stream again after 100 ms to 2 s.
 */
import type { Clock } from "@isthmus/model";
import type { Kind } from "@isthmus/proto";
import { KINDS } from "@isthmus/records";
import { createTokenBucket, type Rate, type TokenBucket } from "../grpc/token-bucket.js";

export interface NodeBudgets {
  /** True when the node may open a stream. */
  stream(node: string): boolean;
  /** Undefined: within the budget. Otherwise a sentence for the agent. */
  message(node: string, bytes: number): string | undefined;
  /** `sources`: number of served ones. An unknown kind costs nothing: its answer has no records. */
  buckets(node: string, kind: Kind, sources: number): string | undefined;
  /** Limits log lines about a refused node: three, then one a minute. */
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
/** The longest time in which a budget becomes full again: LINES need three minutes, buckets two. */
const LONGEST_REFILL_MS = 180_000;

type Kept = "streams" | "messages" | "bytes" | "buckets" | "lines";

/** With full budgets; one for all streams of a server. */
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

  /** Removes nodes whose budgets must be full again: they equal those of unknown nodes. */
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
