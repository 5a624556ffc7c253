/**
 * Reads a BPF ring buffer in batches.
 *
 * A thread of the addon empties the ring into a bounded queue, whatever the event loop does. The loop takes one batch of
 * at most 64 KiB per turn, so that neither events nor other work wait for each other. Records that find the queue full
 * are counted in the next batch; those that find the ring full are counted by the program that wrote them.
 */
import { type Fd, native, type RingBatch } from "./native.js";

export interface RingEvents {
  /** Ends the thread; records that are still queued are dropped. */
  close(): void;
}

/** Calls `onBatch` with the records in their order. Keeps the process alive until `close()`. */
export function readRingEvents(map: Fd, maxQueuedBytes: number, onBatch: (batch: RingBatch) => void): RingEvents {
  const ring = native().openRing(map, maxQueuedBytes);
  ring.listen(() => onBatch(ring.take()));
  return { close: () => ring.close() };
}

/** Calls `onRecord` for each record of a batch: its data is `length` bytes of `view` at `offset`. */
export function eachRecord(
  { records }: Pick<RingBatch, "records">,
  onRecord: (view: DataView, offset: number, length: number) => void,
): void {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  for (let at = 0; at < records.length; ) {
    const length = view.getUint32(at, true);
    onRecord(view, at + 8, length);
    at += 8 + Math.ceil(length / 8) * 8;
  }
}
