/**
 * The words of a row of mesh_services that say how its connects are treated.
 *
 * A program reads each word when it needs it, so a change is stored in an order in which it finds the setting before or the
 * one after: other words have no effect while the flag NO_RESCUE is set.
 */
import { ServiceFlag, ServiceRow } from "@isthmus/bpf";
import { type RescueAfter, toRescueFields } from "@isthmus/model";
import type { WordBatch } from "../rows/word-batch.js";

export type ServiceSettings = Pick<ServiceRow, "flags" | "rescueAfterMs">;

type Field = keyof ServiceSettings;

export function settingsOf({ rescueAfter }: { readonly rescueAfter: RescueAfter }): ServiceSettings {
  const { noRescue, rescueAfterMs } = toRescueFields(rescueAfter);
  return { flags: noRescue ? ServiceFlag.NoRescue : 0, rescueAfterMs };
}

/** Puts the words that change into the batch; all of them when `before` is undefined. */
export function addSettings(
  words: WordBatch<number>,
  index: number,
  now: ServiceSettings,
  before: ServiceSettings | undefined,
): void {
  const order: readonly Field[] =
    now.flags & ServiceFlag.NoRescue ? ["flags", "rescueAfterMs"] : ["rescueAfterMs", "flags"];
  for (const field of order)
    if (now[field] !== before?.[field]) words.add(index, ServiceRow.offsets[field], now[field]);
}
