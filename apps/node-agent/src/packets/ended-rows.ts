/**
 * Decides which rows of mesh_nat no packet needs any more. It writes nothing.
 *
 * A flow has two rows, of its tuple at the pod (front) and of that on the wire, and two rows of mesh_conntrack, which both
 * see all its packets. Its rows may go:
 *
 * | what mesh_conntrack says of the tuple on the wire | when both were silent for longer than |
 * |---|---|
 * | closing: RST, or both FIN | `limits.closed`: late segments are translated until then |
 * | never answered, since its first packet | `limits.unanswered` |
 * | anything else | `limits.idle` |
 * | nothing, nor of the tuple at the pod: rows are given to other flows at any time | `limits.idle` from when this was first seen, or `limits.closed` if it was closing |
 *
 * Rows of a client that is no pod of this node any more may go at once: no packet is of its flows.
 *
 * The tuple at the pod does not say whether a flow closes: a late RST of the backend that refused it counts there.
 *
 * A row that no other one leads back to, or whose check is wrong, may go when it was so in the call before too: programs
 * insert the two rows of a flow one after the other.
 */
import { clientOf, type Flow, FlowFlag, Limit, NatRow, type NatTuple, readNatRow } from "@isthmus/bpf";
import { bytesKey, keyBytes } from "@isthmus/model";
import { inSlices, type Slices } from "@isthmus/runtime";

/** In units of 2^30 ns (1.07 s), as `flow_row.seen`. */
export interface SilenceLimits {
  readonly closed: number;
  readonly unanswered: number;
  readonly idle: number;
}

/** A segment lives 64 s at most (60 units); a kernel repeats its SYNs for 127 s. */
export const SILENCE_LIMITS: SilenceLimits = {
  closed: 60,
  unanswered: Limit.FlowIdle,
  idle: Limit.FlowIdleTcp,
};

export interface EndedRowsModules {
  /** The row of mesh_conntrack of a flow with this key (`struct flow_key`). */
  readonly findFlow: (flowKey: Uint8Array) => Flow | undefined;
  /** Time as `flow_row.seen` counts it; wraps around at 2^16. */
  readonly flowTime: () => number;
  readonly limits: SilenceLimits;
  /** True for the address (`bytesKey`) of a pod of this node. */
  readonly isPod: (address: string) => boolean;
}

/** What `find` found. */
export interface FoundRows {
  /** The rows that may be deleted. */
  readonly ended: NatRows;
  /** How many flows the others are of, by the address of their client (`bytesKey`). */
  readonly living: ReadonlyMap<string, number>;
}

/** Rows of mesh_nat: key to value, as `HashPort.load` has them. */
export type NatRows = ReadonlyMap<string, Uint8Array>;

export interface EndedRows {
  /** To be called with all rows, every few seconds. */
  find(rows: NatRows): Slices<FoundRows>;
}

/** What is remembered of a flow from one call to the next. */
interface Memory {
  /** It was closing when its row was last seen. */
  readonly closing: boolean;
  /** Since when neither of its tuples has a row; undefined: one has. */
  readonly goneSince: number | undefined;
}

const ROWS_PER_SLICE = 32;

/** Knows nothing of earlier calls: flows without rows, and single rows, are first seen with the first call. */
export function createEndedRows({ findFlow, flowTime, limits, isPod }: EndedRowsModules): EndedRows {
  /** Of flows that close or have no rows, and single rows, by `nameOf`. Only those of the call before. */
  let known = new Map<string, Memory>();
  let single = new Set<string>();

  function limitOf(onWire: Flow | undefined, closing: boolean): number {
    if (closing) return limits.closed;
    return onWire !== undefined && wasNeverAnswered(onWire) ? limits.unanswered : limits.idle;
  }

  /** Notes in `seen` what the next call must know of the flow. `value`: of its row `front`. */
  function hasEnded(front: string, value: Uint8Array, wire: string, seen: Map<string, Memory>): boolean {
    const [onWire, atPod] = [findFlow(keyBytes(wire)), findFlow(keyBytes(front))];
    const before = onWire === undefined ? known.get(nameOf(front, value)) : undefined;
    const closing = onWire === undefined ? before?.closing === true : onWire.state === "closing";
    const now = flowTime();
    const isGone = onWire === undefined && atPod === undefined;
    const goneSince = isGone ? (before?.goneSince ?? now) : undefined;
    if (closing || isGone) seen.set(nameOf(front, value), { closing, goneSince });
    const silent =
      goneSince === undefined
        ? Math.min(onWire?.age ?? Number.POSITIVE_INFINITY, atPod?.age ?? Number.POSITIVE_INFINITY)
        : (now - goneSince) & 0xffff;
    return silent > limitOf(onWire, closing);
  }

  return {
    *find(rows) {
      const tuples = new Map<string, NatTuple>();
      yield* inSlices(rows, ROWS_PER_SLICE, ([key, value]) => {
        const tuple = readNatRow(keyBytes(key), value);
        if (tuple !== undefined) tuples.set(key, tuple);
      });
      const [ended, seen, alone] = [new Map<string, Uint8Array>(), new Map<string, Memory>(), new Set<string>()];
      const living = new Map<string, number>();
      yield* inSlices(rows, ROWS_PER_SLICE, ([key, value]) => {
        const tuple = tuples.get(key);
        const other = tuple && rows.get(tuple.other);
        if (tuple !== undefined && !isPod(clientOf(key, tuple))) ended.set(key, value);
        else if (tuple === undefined || other === undefined || !isPair(tuple, tuples.get(tuple.other), key)) {
          const name = nameOf(key, value);
          alone.add(name);
          if (single.has(name)) ended.set(key, value);
        } else if (!tuple.isFront) return;
        else if (hasEnded(key, value, tuple.other, seen)) {
          ended.set(key, value);
          ended.set(tuple.other, other);
        } else {
          const client = clientOf(key, tuple);
          living.set(client, (living.get(client) ?? 0) + 1);
        }
      });
      known = seen;
      single = alone;
      return { ended, living };
    },
  };
}

/** Names a row by its key and its check: not what another flow has at the key later. */
function nameOf(key: string, value: Uint8Array): string {
  return key + bytesKey(value.subarray(NatRow.offsets.check));
}

function isPair(tuple: NatTuple, other: NatTuple | undefined, key: string): boolean {
  return other !== undefined && other.other === key && other.isFront !== tuple.isFront;
}

/** A flow that was picked up may have been answered before. */
function wasNeverAnswered({ state, flags, answerFlags }: Flow): boolean {
  return state === "unanswered" && ((flags | answerFlags) & FlowFlag.PickedUp) === 0;
}
