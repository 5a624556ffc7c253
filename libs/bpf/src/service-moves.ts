/** What became of connects to Services that a backend refused or did not answer, as the programs count it. */
import type { HashPort } from "@isthmus/reconcile";
import { MoveReasonHelp, ServiceMovesKey, ServiceMovesRow } from "./gen/index.js";

export interface ServiceMoves {
  /** Row of the Service in mesh_services. */
  readonly service: number;
  /** `gen` that the row had: with another one by now it is another Service's. */
  readonly generation: number;
  /** How often, by the name of a `MoveReason`; without those that never were. */
  readonly counts: ReadonlyMap<string, number>;
}

/** `map`: mesh_service_moves. */
export function readServiceMoves(map: Pick<HashPort, "parts">): readonly ServiceMoves[] {
  const read: ServiceMoves[] = [];
  for (const part of map.parts()) for (const [key, value] of part) read.push(decode(key, value));
  return read;
}

function decode(key: Uint8Array, value: Uint8Array): ServiceMoves {
  const { service, gen } = ServiceMovesKey.decode(key);
  const counts = ServiceMovesRow.decode(value).count.flatMap((count, reason): [string, number][] => {
    const help = MoveReasonHelp.get(reason);
    return help === undefined || count === 0n ? [] : [[help.name, Number(count)]];
  });
  return { service, generation: gen, counts: new Map(counts) };
}
