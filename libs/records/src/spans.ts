/**
 * The stores that an index has followed, one after another; they decide which positions of clients it can still use.
 *
 * A span covers one store id; a step back in the same store (a restore) begins another. Its `first` position is where
 * the index began to follow: earlier changes are unknown.
 */
import { bytesKey } from "@isthmus/model";
import type { Position } from "@isthmus/proto";
import { sameBytes } from "./hash.js";
import { isAtMost } from "./position.js";

export interface Span {
  /** 1 for the first span of an index, then one more for each. */
  readonly order: number;
  /** Where the index began to follow this store. */
  readonly first: Position;
  /** Where the index was in this store at last. */
  last: Position;
}

/** A point in the history of an index. */
export interface Point {
  /** The store that was followed at this point. */
  readonly span: Span;
  /** The position in that store. */
  readonly position: Position;
}

export interface Spans {
  /** Undefined before the first `enter`. */
  readonly current: Span | undefined;
  /** Moves to a position. A new store id, or an older position in the same store, begins a new span. */
  enter(position: Position): Span;
  /** The newest span of this store; undefined when it is not among the last 8, or was never followed. */
  find(storeId: Uint8Array): Span | undefined;
}

/** Number of latest spans whose positions the index can use. */
const MAX_SPANS = 8;

/** Without any span. */
export function createSpans(): Spans {
  const byStore = new Map<string, Span>();
  let current: Span | undefined;
  return {
    get current() {
      return current;
    },
    enter(position) {
      const old = current;
      if (old !== undefined && sameBytes(old.last.storeId, position.storeId) && isAtMost(old.last, position)) {
        old.last = position;
        return old;
      }
      const span: Span = { order: (old?.order ?? 0) + 1, first: position, last: position };
      current = span;
      byStore.set(bytesKey(position.storeId), span);
      for (const [id, each] of byStore) if (each.order + MAX_SPANS <= span.order) byStore.delete(id);
      return span;
    },
    find: (storeId) => byStore.get(bytesKey(storeId)),
  };
}

/** True when a client at position `have` of `span` already has the change at `point`. */
export function hasChange(span: Span, have: Position, point: Point | undefined): boolean {
  if (point === undefined || point.span.order < span.order) return true;
  return point.span === span && isAtMost(point.position, have);
}
