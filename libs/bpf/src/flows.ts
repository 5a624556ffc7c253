/** Reads mesh_conntrack: which rows have a flow, and whether it has ended (bpf/lib/conntrack.h). */
import type { ArrayPort } from "@isthmus/reconcile";
import { FlowGen, FlowRow, FlowSent, Limit } from "./gen/index.js";

const SETS_PER_READ = 256;
const PROTO_TCP = 6;
/** `FLOW_IDLE` and `FLOW_IDLE_TCP` of bpf/lib/conntrack.h. */
const IDLE = 128;
const IDLE_TCP = 20_480;

const { key, gen, seen, sent } = FlowRow.offsets;
const PROTO = key + 36;

/** Rows of the table. */
export function flowCapacity(table: Pick<ArrayPort, "maxEntries">): number {
  return table.maxEntries * Limit.FlowSet;
}

/** Number of flows that have not ended. `nowNs`: of the monotonic clock. Takes some milliseconds for 262,144 rows. */
export function countFlows(
  table: Pick<ArrayPort, "read" | "maxEntries">,
  nowNs: bigint = process.hrtime.bigint(),
): number {
  const now = Number((nowNs >> 30n) & 0xffffn);
  let flows = 0;
  for (let set = 0; set < table.maxEntries; set += SETS_PER_READ) {
    const bytes = table.read(set, Math.min(SETS_PER_READ, table.maxEntries - set));
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.length; at += FlowRow.size)
      if (view.getUint32(at + gen, true) >= FlowGen.First && !hasEnded(view, at, now)) flows++;
  }
  return flows;
}

/** As `has_ended()` and the age in `use_of()`. */
function hasEnded(view: DataView, at: number, now: number): boolean {
  const idle = (now - view.getUint16(at + seen, true)) & 0xffff;
  if (view.getUint8(at + PROTO) !== PROTO_TCP) return idle > IDLE;
  const [a, b] = [view.getUint8(at + sent), view.getUint8(at + sent + 1)];
  return ((a | b) & FlowSent.Rst) !== 0 || (a & b & FlowSent.Fin) !== 0 || idle > IDLE_TCP;
}
