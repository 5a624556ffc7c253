/**
 * Assembles raw watch responses into complete revisions.
 *
 * In: responses of one stream, in order. Out: events of complete revisions only. A response is complete with its last
 * fragment (etcd splits it also inside a revision). The watch resumes from the last complete revision + 1, never from a
 * revision of a header, of a `created` or of a progress response.
 *
 * A response may be a backlog of a thousand revisions in hundreds of fragments, so the pending events of one are
 * bounded: above `MAX_PENDING_BYTES` its complete revisions are emitted. A revision is complete once an event of a
 * later one arrived.
 */
import type { IWatchResponse } from "etcd3";
import { keyText } from "./layout.js";

export interface StoreEvent {
  /** Of etcd: `put` for a creation and for a change. */
  readonly type: "put" | "delete";
  /** The absolute key, one character for each byte. */
  readonly key: string;
  /** Empty for a delete. */
  readonly value: Buffer;
  /** Revision of the write or the deletion; several events may have the same. */
  readonly modRevision: bigint;
}

export type AssemblerResult =
  | { readonly type: "created"; readonly storeRevision: bigint }
  | { readonly type: "events"; readonly events: readonly StoreEvent[]; readonly revision: bigint }
  | { readonly type: "alive" }
  | { readonly type: "compacted"; readonly revision: bigint }
  | { readonly type: "canceled"; readonly reason: string };

export interface Assembler {
  /** First revision that has not been emitted. */
  readonly resume: bigint;
  /** `alive`: there are no events of a complete revision yet, or none at all. */
  addResponse(response: IWatchResponse): AssemblerResult;
  /** The stream ended: drops the events of an incomplete response. */
  reset(): void;
}

/** Room for two transactions of etcd's maximum size. */
const MAX_PENDING_BYTES = 4 << 20;

/** `from`: the first revision wanted. `maxPendingBytes`: of the keys and values that wait for the end of a response. */
export function createAssembler(from: bigint, maxPendingBytes = MAX_PENDING_BYTES): Assembler {
  let resume = from;
  let pending: StoreEvent[] = [];
  let bytes = 0;

  /** Events of revisions below `end`; the others stay. */
  function take(end: bigint): AssemblerResult {
    const events = pending.filter(({ modRevision }) => modRevision >= resume && modRevision < end);
    pending = pending.filter(({ modRevision }) => modRevision >= end);
    bytes = pending.reduce((sum, event) => sum + sizeOf(event), 0);
    const revision = events.at(-1)?.modRevision;
    if (revision === undefined) return { type: "alive" };
    resume = revision + 1n;
    return { type: "events", events, revision };
  }

  return {
    get resume() {
      return resume;
    },
    addResponse(response) {
      if (response.canceled) {
        const compacted = BigInt(response.compact_revision);
        if (compacted > 0n) return { type: "compacted", revision: compacted };
        return { type: "canceled", reason: response.cancel_reason };
      }
      if (response.created) return { type: "created", storeRevision: BigInt(response.header.revision) };
      for (const raw of response.events) {
        const event = toEvent(raw);
        pending.push(event);
        bytes += sizeOf(event);
      }
      const newest = pending.at(-1)?.modRevision;
      if (newest === undefined) return { type: "alive" };
      if (!response.fragment) return take(newest + 1n);
      return bytes > maxPendingBytes ? take(newest) : { type: "alive" };
    },
    reset() {
      pending = [];
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
