/**
 * From raw watch responses to complete revisions.
 *
 * In: responses of one stream, in order. Out: events of complete revisions only. A response counts when its last fragment
 * is in (fragments cut inside a revision), and the point to resume from is the last complete revision + 1: never a
 * revision of a header, of a `created` or of a progress response.
 *
 * A response may be a backlog of a thousand revisions in hundreds of fragments. What is held of one is bounded: above
 * `HELD_BYTES` the revisions that are complete go out; they are, once an event of a later one is there.
 */
import type { IWatchResponse } from "etcd3";
import { keyText } from "./layout.js";

export interface StoreEvent {
  readonly type: "put" | "delete";
  readonly key: string;
  /** Empty for a delete. */
  readonly value: Buffer;
  readonly modRevision: bigint;
}

export type Assembled =
  | { readonly type: "created"; readonly storeRevision: bigint }
  | { readonly type: "events"; readonly events: readonly StoreEvent[]; readonly revision: bigint }
  | { readonly type: "alive" }
  | { readonly type: "compacted"; readonly revision: bigint }
  | { readonly type: "canceled"; readonly reason: string };

export interface Assembler {
  /** First revision that is still wanted. */
  readonly resume: bigint;
  accept(response: IWatchResponse): Assembled;
  /** The stream ended: what is held of an incomplete response is forgotten. */
  reset(): void;
}

/** Two transactions of etcd's largest size fit. */
const HELD_BYTES = 4 << 20;

export function createAssembler(from: bigint, heldBytes = HELD_BYTES): Assembler {
  let resume = from;
  let held: StoreEvent[] = [];
  let bytes = 0;

  /** Events of revisions below `end`; the others stay. */
  function take(end: bigint): Assembled {
    const events = held.filter(({ modRevision }) => modRevision >= resume && modRevision < end);
    held = held.filter(({ modRevision }) => modRevision >= end);
    bytes = held.reduce((sum, event) => sum + sizeOf(event), 0);
    const revision = events.at(-1)?.modRevision;
    if (revision === undefined) return { type: "alive" };
    resume = revision + 1n;
    return { type: "events", events, revision };
  }

  return {
    get resume() {
      return resume;
    },
    accept(response) {
      if (response.canceled) {
        const compacted = BigInt(response.compact_revision);
        if (compacted > 0n) return { type: "compacted", revision: compacted };
        return { type: "canceled", reason: response.cancel_reason };
      }
      if (response.created) return { type: "created", storeRevision: BigInt(response.header.revision) };
      for (const raw of response.events) {
        const event = toEvent(raw);
        held.push(event);
        bytes += sizeOf(event);
      }
      const newest = held.at(-1)?.modRevision;
      if (newest === undefined) return { type: "alive" };
      if (!response.fragment) return take(newest + 1n);
      return bytes > heldBytes ? take(newest) : { type: "alive" };
    },
    reset() {
      held = [];
      bytes = 0;
    },
  };
}

function sizeOf({ key, value }: StoreEvent): number {
  return key.length + value.length;
}

function toEvent({ type, kv }: IWatchResponse["events"][number]): StoreEvent {
  const modRevision = BigInt(kv.mod_revision);
  return { type: type === "Delete" ? "delete" : "put", key: keyText(kv.key), value: kv.value, modRevision };
}
