/** Rows of mesh_nat as programs insert them. */
import { bytesKey, parseAddress } from "@isthmus/model";
import { word64 } from "../codec.js";
import { FlowKey, NatFlag, NatRow } from "../gen/index.js";
import { natCheck, tupleKey } from "../nat.js";

/** A flow of TCP whose connect was moved. Addresses as text. */
export interface MovedFlow {
  /** The pod that began it. */
  readonly client: string;
  readonly clientPort: number;
  /** The backend that it dialled. */
  readonly first: string;
  /** The backend that it has now. */
  readonly backend: string;
  /** Of the backends. */
  readonly port: number;
  /** The pod's port on the wire. */
  readonly wirePort: number;
  /** Sequence number of its SYN. */
  readonly isn: number;
}

/** Keys (`bytesKey`) and values of its two rows. */
export function makeNatRows(flow: MovedFlow) {
  const [client, first, backend] = [flow.client, flow.first, flow.backend].map(parseAddress);
  if (client === undefined || first === undefined || backend === undefined) throw new Error("Cannot be");
  const front = tupleKey(client, flow.clientPort, first, flow.port);
  const wire = tupleKey(client, flow.wirePort, backend, flow.port);
  const row = { peerPort: flow.port, moves: 1, tier: 0, isn: flow.isn, backend: 2, before: [1, 0], silent: 0 };
  const isB = (key: Uint8Array) => (Buffer.compare(FlowKey.decode(key).b, client) === 0 ? NatFlag.ClientIsB : 0);
  const frontRow = { ...row, peer: backend, clientPort: flow.wirePort, flags: NatFlag.Front | isB(front), check: 0n };
  const wireRow = { ...row, peer: first, clientPort: flow.clientPort, flags: isB(wire), check: 0n };
  return {
    front: [bytesKey(front), withCheck(front, frontRow)] as const,
    wire: [bytesKey(wire), withCheck(wire, wireRow)] as const,
  };
}

function withCheck(key: Uint8Array, row: NatRow): Uint8Array {
  const { low, high } = natCheck(key, NatRow.encode(row));
  return NatRow.encode({ ...row, check: word64(low, high) });
}
