/** Rows of mesh_nat: the two tuples of each flow whose connect was moved to another backend (bpf/lib/nat.h). */
import { bytesKey } from "@isthmus/model";
import { type Hash64, hash64, ROW_CHECK, rowCheck } from "./check.js";
import { viewOf } from "./codec.js";
import { FlowKey, NatFlag, NatRow, Proto } from "./gen/index.js";

/** One tuple of a moved flow. */
export interface NatTuple {
  /** True: the flow as its pod sees it; false: the flow on the wire. */
  readonly isFront: boolean;
  /** True: the pod that began the flow is end b of the key; false: end a. */
  readonly isClientB: boolean;
  /** Key of the other tuple (`bytesKey` of a `struct flow_key`). */
  readonly other: string;
}

const { peer, peerPort, clientPort, flags, check } = NatRow.offsets;
const BEGIN = hash64(ROW_CHECK);

/** What a row of mesh_nat says; undefined: its check is of another key or content, and programs ignore it. */
export function readNatRow(key: Uint8Array, row: Uint8Array): NatTuple | undefined {
  const { low, high } = natCheck(key, row);
  const view = viewOf(row, 0, NatRow.size);
  if (view.getUint32(check, true) !== low || view.getUint32(check + 4, true) !== high) return undefined;
  const bits = view.getUint8(flags);
  const isClientB = (bits & NatFlag.ClientIsB) !== 0;
  const end = isClientB ? FlowKey.offsets.b : FlowKey.offsets.a;
  const client = key.subarray(end, end + ADDRESS);
  const backend = row.subarray(peer, peer + ADDRESS);
  const ports = [view.getUint16(clientPort), view.getUint16(peerPort)] as const;
  const other = bytesKey(tupleKey(client, ports[0], backend, ports[1]));
  return { isFront: (bits & NatFlag.Front) !== 0, isClientB, other };
}

const ADDRESS = 16;

/** Address of the pod that began a flow, from the key of a tuple of it (both `bytesKey`). */
export function clientOf(key: string, { isClientB }: NatTuple): string {
  const end = isClientB ? FlowKey.offsets.b : FlowKey.offsets.a;
  return key.slice(end, end + ADDRESS);
}

/** As nat_check(), of an encoded key and row. */
export function natCheck(key: Uint8Array, row: Uint8Array): Hash64 {
  const hash = { ...BEGIN };
  rowCheck(hash, viewOf(key, 0, FlowKey.size), 0, FlowKey.size / 8);
  rowCheck(hash, viewOf(row, 0, NatRow.size), 0, check / 8);
  return hash;
}

/** As tuple_key(): the encoded key of a flow of TCP between a pod and a backend, addresses of 16 bytes. */
export function tupleKey(client: Uint8Array, ownPort: number, backend: Uint8Array, port: number): Uint8Array {
  const isA = comesFirst(client, backend);
  const [a, b, pa, pb] = isA ? [client, backend, ownPort, port] : [backend, client, port, ownPort];
  return FlowKey.encode({ a, b, pa, pb, proto: Proto.Tcp, space: 0 });
}

/** As comes_first(), whose words have their last byte in front. Addresses differ: a pod reaches itself without programs. */
function comesFirst(a: Uint8Array, b: Uint8Array): boolean {
  let last = ADDRESS - 1;
  while (last > 0 && a[last] === b[last]) last--;
  return (a[last] ?? 0) < (b[last] ?? 0);
}
