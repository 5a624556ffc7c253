/**
 * From raw watch responses to complete revisions.
 *
 * In: responses of one stream, in order. Out: events of complete revisions only. A response counts when its last fragment
 * is in (fragments cut inside a revision), and the point to resume from is the last complete revision + 1: never a
 * revision of a header, of a `created` or of a progress response.
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

export function createAssembler(from: bigint): Assembler {
  let resume = from;
  let held: StoreEvent[] = [];
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
      for (const event of response.events) held.push(toEvent(event));
      if (response.fragment || held.length === 0) return { type: "alive" };
      const events = held.filter((event) => event.modRevision >= resume);
      held = [];
      const revision = events.at(-1)?.modRevision;
      if (revision === undefined) return { type: "alive" };
      resume = revision + 1n;
      return { type: "events", events, revision };
    },
    reset() {
      held = [];
    },
  };
}

function toEvent({ type, kv }: IWatchResponse["events"][number]): StoreEvent {
  const modRevision = BigInt(kv.mod_revision);
  return { type: type === "Delete" ? "delete" : "put", key: keyText(kv.key), value: kv.value, modRevision };
}
