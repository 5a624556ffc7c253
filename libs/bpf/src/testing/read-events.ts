/** Reads the events of programs on devices in tests. */
import { PacketEvent } from "../gen/index.js";
import type { PacketEvents } from "../packet-events.js";
import { eachRecord } from "../ring-events.js";

/** The next `count` events, in their order; waits for them. */
export function readEvents(events: Pick<PacketEvents, "read">, count: number): Promise<readonly PacketEvent[]> {
  return new Promise((resolve) => {
    const found: PacketEvent[] = [];
    const reader = events.read(1 << 24, (batch) => {
      eachRecord(batch, (view, offset) =>
        found.push(PacketEvent.decode(new Uint8Array(view.buffer, view.byteOffset), offset)),
      );
      if (found.length < count) return;
      reader.close();
      resolve(found);
    });
  });
}
