/** Reads mesh_conntrack: which rows have a flow, and what is known of it (bpf/lib/conntrack.h). */
import type { ArrayPort } from "@isthmus/reconcile";
import { type Hash64, hash64, ROW_CHECK, rowCheck } from "./check.js";
import { viewOf } from "./codec.js";
import { createFlowCheck, createFlowHash, createFlowPlace } from "./flow-hash.js";
import { FlowBody, FlowFlag, FlowGen, FlowKey, FlowRow, FlowSent, FlowWord, Limit } from "./gen/index.js";

const SETS_PER_READ = 256;
const PROTO_TCP = 6;

const { word, key, gen, seen, sent } = FlowRow.offsets;
const PROTO = key + FlowKey.offsets.proto;

/** Rows of the table. */
export function flowCapacity(table: Pick<ArrayPort, "maxEntries">): number {
  return table.maxEntries * Limit.FlowSet;
}

/** Number of flows that have not ended. `nowNs`: of the monotonic clock. Takes some milliseconds for 524,288 rows. */
export function countFlows(
  table: Pick<ArrayPort, "read" | "maxEntries">,
  nowNs: bigint = process.hrtime.bigint(),
): number {
  const now = flowTime(nowNs);
  let flows = 0;
  for (let set = 0; set < table.maxEntries; set += SETS_PER_READ) {
    const bytes = table.read(set, Math.min(SETS_PER_READ, table.maxEntries - set));
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.length; at += FlowRow.size) {
      if (view.getUint32(at + gen, true) < FlowGen.First) continue;
      const state = stateOf(view, at, ageOf(view, at, now));
      if (state === "unanswered" || state === "established") flows++;
    }
  }
  return flows;
}

/** The table of flows, and the number by which programs name a flow's set. */
export interface FlowTable extends Pick<ArrayPort, "read" | "maxEntries"> {
  /** Sets of mesh_flow_bodies, as `read` reads those of mesh_conntrack. */
  readonly readBodies: ArrayPort["read"];
  /** `datapath_config.flow_seed`. */
  readonly seed: bigint;
}

/** What a row of the table is. `unused`: it was never used. `busy`: a program gives it to a flow just now. `invalid`: a word of it is not of its key. */
export type FlowRowState = Flow | "unused" | "busy" | "invalid";

/** A flow, from the end that sent the first packet that was seen. */
export interface Flow {
  /** Its address, 16 bytes. */
  readonly source: Uint8Array;
  /** The address of the other end. */
  readonly destination: Uint8Array;
  /** Of an ICMP echo its id. */
  readonly sourcePort: number;
  /** Of the other end. */
  readonly destinationPort: number;
  /** IP protocol. */
  readonly protocol: number;
  /**
   * `unanswered`: only one end was heard, or no more than SYNs. `closing`: of TCP, one end has sent RST, or both FIN.
   * `ended`: it was silent for so long that its row is free for others.
   */
  readonly state: "unanswered" | "established" | "closing" | "ended";
  /** Units of 2^30 ns since its last packet; after 19 hours it is 0 again. */
  readonly age: number;
  /** `FlowFlag` bits of the packets from the source. */
  readonly flags: number;
  /** Of those from the destination. */
  readonly answerFlags: number;
}

/** Time as `flow_row.seen` counts it. `nowNs`: of the monotonic clock. */
export function flowTime(nowNs: bigint): number {
  return Number((nowNs >> 30n) & 0xffffn);
}

/** Returns what reads the row at `at`, which was copied before `now` (`flowTime`). `seed`: of the table. */
export function createFlowReader(seed: bigint): (bytes: Uint8Array, at: number, now: number) => FlowRowState {
  const check = createFlowCheck(seed);
  return (bytes, at, now) => {
    const view = viewOf(bytes, 0, bytes.length);
    const generation = view.getUint32(at + gen, true);
    if (generation === FlowGen.Unused) return "unused";
    if (generation < FlowGen.First) return "busy";
    const a = FlowWord.fromWord(view.getBigUint64(at + word, true));
    const b = FlowWord.fromWord(view.getBigUint64(at + word + 8, true));
    const expected = check(view, at + key, generation);
    if (a.check !== expected || b.check !== expected) return "invalid";
    const flow = FlowKey.decode(bytes, at + key);
    const isFromA = (a.flags & FlowFlag.Initiator) !== 0;
    const age = ageOf(view, at, now);
    return {
      source: isFromA ? flow.a : flow.b,
      destination: isFromA ? flow.b : flow.a,
      sourcePort: isFromA ? flow.pa : flow.pb,
      destinationPort: isFromA ? flow.pb : flow.pa,
      protocol: flow.proto,
      state: stateOf(view, at, age),
      age,
      flags: isFromA ? a.flags : b.flags,
      answerFlags: isFromA ? b.flags : a.flags,
    };
  };
}

function ageOf(view: DataView, at: number, now: number): number {
  return (now - view.getUint16(at + seen, true)) & 0xffff;
}

/** As `use_of()`, of the row at `at`. */
function stateOf(view: DataView, at: number, age: number): Flow["state"] {
  const isTcp = view.getUint8(at + PROTO) === PROTO_TCP;
  const [a, b] = [view.getUint8(at + sent), view.getUint8(at + sent + 1)];
  if (age > (isTcp ? Limit.FlowIdleTcp : Limit.FlowIdle)) return "ended";
  if (isTcp && (((a | b) & FlowSent.Rst) !== 0 || (a & b & FlowSent.Fin) !== 0)) return "closing";
  return a === 0 || b === 0 || ((a | b) & FlowSent.Data) === 0 ? "unanswered" : "established";
}

/** `flow_word.check` of a row with this encoded key and `gen`. */
export function flowRowCheck(flowKey: Uint8Array, generation: number, seed: bigint): number {
  return createFlowCheck(seed)(viewOf(flowKey, 0, FlowKey.size), 0, generation);
}

/**
 * Returns what finds the row of a flow by its encoded key, as programs do; undefined: it has none, or one that is being
 * written. `monotonicNs`: the clock of the programs.
 */
export function createFlowLookup(
  table: Pick<FlowTable, "read" | "maxEntries" | "seed">,
  monotonicNs: () => bigint,
): (flowKey: Uint8Array) => Flow | undefined {
  const [placeOf, readFlow] = [createFlowPlace(table.seed, table.maxEntries), createFlowReader(table.seed)];
  return (flowKey) => {
    const rows = table.read(placeOf(viewOf(flowKey, 0, FlowKey.size), 0), 1);
    const now = flowTime(monotonicNs());
    for (let at = 0; at < rows.length; at += FlowRow.size) {
      if (Buffer.compare(rows.subarray(at + key, at + key + FlowKey.size), flowKey) !== 0) continue;
      const flow = readFlow(rows, at, now);
      return typeof flow === "string" ? undefined : flow;
    }
    return undefined;
  };
}

/** What a pod of this node dialled. */
export interface OriginalDestination {
  /** Address of the Service, 16 bytes. */
  readonly vip: Uint8Array;
  /** Its port. */
  readonly vipPort: number;
  /** Index into mesh_services. */
  readonly service: number;
  /** Backend id. */
  readonly backend: number;
  /** Sequence number of the SYN; 0 if the flow is not TCP. */
  readonly isn: number;
}

/**
 * Returns what the body of a flow says; undefined: its pod dialled no Service, or row and body are not of one flow.
 * `row`, `body`: a row of mesh_conntrack and one of mesh_flow_bodies, of the same place.
 */
export function createBodyReader(seed: bigint): (row: Uint8Array, body: Uint8Array) => OriginalDestination | undefined {
  const checkBody = createBodyCheck(seed);
  const { check } = FlowBody.offsets;
  return (row, body) => {
    const view = viewOf(body, 0, FlowBody.size);
    const { low, high } = checkBody(viewOf(row, 0, FlowRow.size), view);
    if (view.getUint32(check, true) !== low || view.getUint32(check + 4, true) !== high) return undefined;
    const { vip, vipPort, service, backend, isn } = FlowBody.decode(body);
    return { vip, vipPort, service, backend, isn };
  };
}

/** `flow_body.check` of an encoded body beside an encoded row. */
export function flowBodyCheck(row: Uint8Array, body: Uint8Array, seed: bigint): bigint {
  const { low, high } = createBodyCheck(seed)(viewOf(row, 0, FlowRow.size), viewOf(body, 0, FlowBody.size));
  return (BigInt(high) << 32n) | BigInt(low);
}

/** Returns body_check() of a row and a body: one object, which the next call changes. */
function createBodyCheck(seed: bigint): (row: DataView, body: DataView) => Hash64 {
  const hashFlow = createFlowHash(seed);
  const begin = hash64(ROW_CHECK);
  return (row, body) => {
    const hash = hashFlow(row, key);
    hash.low = (hash.low ^ begin.low ^ row.getUint32(gen, true)) >>> 0;
    hash.high = (hash.high ^ begin.high) >>> 0;
    rowCheck(hash, body, 0, FlowBody.offsets.check / 8);
    return hash;
  };
}
