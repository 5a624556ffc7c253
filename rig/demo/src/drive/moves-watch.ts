/** Reads four times a second how many connects the datapath has moved to another backend. */
import type { MovesReading } from "../judge/moves.js";
import { monoNow } from "../samples/sample.js";

const EVERY_MS = 250;

export interface MovesWatch {
  readonly readings: readonly MovesReading[];
  stop(): void;
}

/** `read`: the counter of the client's node. */
export function watchMoves(read: () => number): MovesWatch {
  const readings: MovesReading[] = [];
  const take = (): void => void readings.push({ at: monoNow(), moved: read() });
  take();
  const timer = setInterval(take, EVERY_MS);
  return { readings, stop: () => clearInterval(timer) };
}
