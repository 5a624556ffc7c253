/**
 * mesh_frontends: the keys that clients dial, and the rows that refuse the unknown ports of a VIP.
 *
 * Keys are latin1 strings of the encoded `frontend_key`.
 */
import { FrontendFlag, FrontendKey, FrontendRow, FrontendScope, frontendCheck, Proto } from "@isthmus/bpf";
import { bytesKey, keyBytes } from "@isthmus/model";

/** Latin1 of an encoded `frontend_key`. */
export type FrontendName = string;

export function frontendName(address: Uint8Array, port: number, protocol: number): FrontendName {
  return bytesKey(FrontendKey.encode({ addr: address, port, proto: protocol, scope: FrontendScope.All }));
}

/** The row that answers for all ports of the frontend's VIP that have none of their own. */
export function rejectName(frontend: FrontendName): FrontendName {
  const { addr } = FrontendKey.decode(keyBytes(frontend));
  return frontendName(addr, 0, Proto.Any);
}

export function isRejectName(name: FrontendName): boolean {
  const { port, proto } = FrontendKey.decode(keyBytes(name));
  return port === 0 && proto === Proto.Any;
}

/** Encoded row (latin1) of a frontend that has service row `service`; 0 = refuse everything. */
export function frontendValue(name: FrontendName, service: number): string {
  const flags = service === 0 ? FrontendFlag.Reject : 0;
  return bytesKey(FrontendRow.encode({ service, flags, check: frontendCheck(keyBytes(name)) }));
}
