/** The keys beside the records as they stand in the store: head, fence, config. */
import { CONFIG_KEY, HEAD_KEY } from "@isthmus/kvstore";
import { Fence, Head } from "@isthmus/proto";
import { sameBytes } from "@isthmus/records";
import type { Compare, StoredKey } from "./events.js";
import type { PublisherState } from "./state.js";

export function configDirty(state: PublisherState): boolean {
  const standing = state.stored.meta(CONFIG_KEY);
  return standing === undefined || !sameBytes(standing.value, state.config);
}

export function compares(state: PublisherState, ...keys: string[]): Compare[] {
  return keys.map((key) => ({ key, modRevision: state.stored.meta(key)?.modRevision ?? 0n }));
}

export function headOf(state: PublisherState): Head | undefined {
  return readHead(state.stored.meta(HEAD_KEY));
}

/** Undefined when there is none or it cannot be read: both are replaced by taking over. */
export function readHead(standing: StoredKey | undefined): Head | undefined {
  return decode(standing, Head.decode);
}

export function readFence(standing: StoredKey | undefined): string | undefined {
  return decode(standing, Fence.decode)?.instance;
}

function decode<T>(standing: StoredKey | undefined, read: (value: Uint8Array) => T): T | undefined {
  try {
    return standing === undefined ? undefined : read(standing.value);
  } catch {
    return undefined;
  }
}
