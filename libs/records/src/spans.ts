/**
 * The stores an index has followed one after the other: what of a client's position is still understood.
 *
 * A span is what was seen of one store id, or of the same one after it was set back (a restore). Its `first` position is
 * where following began: what happened before is not known.
 */
import { bytesKey } from "@isthmus/model";
import type { Position } from "@isthmus/proto";
import { sameBytes } from "./hash.js";
import { isAtMost } from "./position.js";

export interface Span {
  readonly order: number;
  readonly first: Position;
  last: Position;
}

/** A point in the history of an index. */
export interface Point {
  readonly span: Span;
  readonly position: Position;
}

export interface Spans {
  readonly current: Span | undefined;
  /** Moves to a position; a new store id, or a step back within one, begins a new span. */
  enter(position: Position): Span;
  find(storeId: Uint8Array): Span | undefined;
}

/** Stores whose positions are still understood after they were replaced. */
const MAX_SPANS = 8;

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

/** True when who holds `have` of `span` knows what happened at `point`. */
export function includes(span: Span, have: Position, point: Point | undefined): boolean {
  if (point === undefined || point.span.order < span.order) return true;
  return point.span === span && isAtMost(point.position, have);
}
