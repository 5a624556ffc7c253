/**
 * When the words of Services change in a node's map: all rows looked at every millisecond.
 *
 * What changes twice between two looks is seen once; the feeder gives each Service seconds between its changes.
 */
import { ServiceRow } from "@isthmus/bpf";
import { type Moment, monotonicMs } from "./moment.js";

export interface RowWatch {
  /** Every change seen since the last call. */
  take(): readonly Moment[];
  stop(): void;
}

const WORDS = ServiceRow.size / 4;

/** `rows`: by Service, its row. `read`: rows 0..n as they are now. */
export function watchRows(rows: readonly number[], read: (count: number) => Uint8Array): RowWatch {
  const count = Math.max(...rows) + 1;
  const look = () => {
    const bytes = read(count);
    return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  };
  let last = look();
  let seen: Moment[] = [];
  const timer = setInterval(() => {
    const now = look();
    const ms = monotonicMs();
    rows.forEach((row, service) => {
      const at = row * WORDS;
      if (now[at] !== last[at] || now[at + 1] !== last[at + 1]) seen.push({ service, ms });
    });
    last = now;
  }, 1);
  return {
    take() {
      const taken = seen;
      seen = [];
      return taken;
    },
    stop: () => clearInterval(timer),
  };
}
