/**
 * Records when the words of Services change in a node's map: reads all rows every millisecond.
 *
 * Two changes of a row between two reads would count once; the feeder leaves seconds between the changes of a Service.
 */
import { ServiceRow } from "@isthmus/bpf";
import { type Moment, monotonicMs } from "./moment.js";

export interface RowWatch {
  /** Returns every change since the last call. */
  takeChanges(): readonly Moment[];
  stop(): void;
}

const WORDS = ServiceRow.size / 4;

/** `rows`: the row of each Service. `read`: returns the current rows 0..n. */
export function watchRows(rows: readonly number[], read: (count: number) => Uint8Array): RowWatch {
  const count = Math.max(...rows) + 1;
  const look = () => {
    const bytes = read(count);
    return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  };
  let last = look();
  let changes: Moment[] = [];
  const timer = setInterval(() => {
    const now = look();
    const ms = monotonicMs();
    rows.forEach((row, service) => {
      const at = row * WORDS;
      if (now[at] !== last[at] || now[at + 1] !== last[at + 1]) changes.push({ service, ms });
    });
    last = now;
  }, 1);
  return {
    takeChanges() {
      const taken = changes;
      changes = [];
      return taken;
    },
    stop: () => clearInterval(timer),
  };
}
