/**
 * Decodes what the kernel serves: frontends, their tiers, the backends in their slots.
 *
 * In: the result of `loadKernel`. Out: the backend rows that a program can choose from. Slots without a live backend
 * are left out, since programs skip them.
 */
import { BackendRow, backendIndex, TierWord } from "@isthmus/bpf";
import type { ArrayPort } from "@isthmus/reconcile";
import { inSlices, type Slices } from "@isthmus/runtime";
import type { FrontendName } from "../../desired/services/frontends.js";
import type { ServedFrontends, ServedTier } from "../../desired/services/records-from-kernel.js";
import type { Loaded } from "./load.js";

const FRONTENDS_PER_SLICE = 16;

/** By frontend, its tiers with an adopted table. Rows are read from `backends`, which nothing may write meanwhile. */
export function* readServices(backends: ArrayPort, loaded: Pick<Loaded, "services">): Slices<ServedFrontends> {
  const rowOf = cachedRows(backends);
  const served = new Map<FrontendName, readonly ServedTier[]>();
  yield* inSlices(loaded.services, FRONTENDS_PER_SLICE, ([name, { tiers }]) => {
    const read = tiers.flatMap(({ word, table }): ServedTier[] => {
      if (table === undefined) return [];
      const { tries, cluster } = TierWord.fromWord(word);
      const slots = table.ids.map(rowOf).filter((row) => row !== undefined);
      return [{ tries, cluster, slots }];
    });
    served.set(name, read);
  });
  return served;
}

/** Rows by id: reads a chunk when one of its rows is asked for, unlike `readChunks`, which reads the whole map. */
function cachedRows(port: ArrayPort): (id: number) => BackendRow | undefined {
  const CHUNK = 1024;
  const chunks = new Map<number, Uint8Array>();
  return (id) => {
    const index = backendIndex(id);
    if (id === 0 || index >= port.maxEntries) return undefined;
    const first = index - (index % CHUNK);
    let chunk = chunks.get(first);
    if (chunk === undefined) {
      chunk = port.read(first, Math.min(CHUNK, port.maxEntries - first));
      chunks.set(first, chunk);
    }
    const row = BackendRow.decode(chunk, (index - first) * BackendRow.size);
    return row.id === id ? row : undefined;
  };
}
