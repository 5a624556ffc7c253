/** Reads the stored keys that are not records: head, fence, config. */
import { CONFIG_KEY, HEAD_KEY } from "@isthmus/kvstore";
import { Fence, Head } from "@isthmus/proto";
import { sameBytes } from "@isthmus/records";
import type { Compare, StoredKey } from "./events.js";
import type { PublisherState } from "./state.js";

/** True when the stored config record is absent or has other bytes than `state.config`. */
export function configDirty(state: PublisherState): boolean {
  const stored = state.stored.meta(CONFIG_KEY);
  return stored === undefined || !sameBytes(stored.value, state.config);
}

/** Comparisons that fail when a key is not as `state.stored` has it; a key that is absent there must be absent. */
export function compares(state: PublisherState, ...keys: string[]): Compare[] {
  return keys.map((key) => ({ key, modRevision: state.stored.meta(key)?.modRevision ?? 0n }));
}

/** The head as last seen in the store; undefined when it is absent or cannot be decoded. */
export function headOf(state: PublisherState): Head | undefined {
  return readHead(state.stored.meta(HEAD_KEY));
}

/** Undefined when there is none or it cannot be decoded: a takeover replaces it in both cases. */
export function readHead(stored: StoredKey | undefined): Head | undefined {
  return decode(stored, Head.decode);
}

/** The instance that the fence names; undefined when there is no fence or it cannot be decoded. */
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
