/** Reads the stored keys that are not records: head, fence, config. */
import { CONFIG_KEY, HEAD_KEY } from "@isthmus/kvstore";
import { Fence, Head } from "@isthmus/proto";
import { sameBytes } from "@isthmus/records";
import type { Compare, StoredKey } from "./events.js";
import type { PublisherState } from "./state.js";

export function configDirty(state: PublisherState): boolean {
  const stored = state.stored.meta(CONFIG_KEY);
  return stored === undefined || !sameBytes(stored.value, state.config);
}

export function compares(state: PublisherState, ...keys: string[]): Compare[] {
  return keys.map((key) => ({ key, modRevision: state.stored.meta(key)?.modRevision ?? 0n }));
}

export function headOf(state: PublisherState): Head | undefined {
  return readHead(state.stored.meta(HEAD_KEY));
}

/** Undefined when there is none or it cannot be decoded: a takeover replaces it in both cases. */
export function readHead(stored: StoredKey | undefined): Head | undefined {
  return decode(stored, Head.decode);
}

export function readFence(stored: StoredKey | undefined): string | undefined {
  return decode(stored, Fence.decode)?.instance;
}

function decode<T>(stored: StoredKey | undefined, read: (value: Uint8Array) => T): T | undefined {
  try {
    return stored === undefined ? undefined : read(stored.value);
  } catch {
    return undefined;
  }
}
