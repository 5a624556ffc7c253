/**
 * Keys and rows of mesh_frontends: frontends of Services, rows that refuse the unknown ports of a VIP, and rows that
 * leave a whole VIP to another proxy.
 *
 * Names and values are latin1 strings of the encoded `frontend_key` and `frontend_row`.
 */
import { FrontendFlag, FrontendKey, FrontendRow, FrontendScope, keyCheck, Proto } from "@isthmus/bpf";
import { type Address, addressFromBytes, keyBytes } from "@isthmus/model";

/** Latin1 of an encoded `frontend_key`: 16 characters of address, port, protocol, scope. */
export type FrontendName = string;

const key = Buffer.alloc(FrontendKey.size);
const row = Buffer.alloc(FrontendRow.size);
/** Number of characters of the address, with which a name begins. */
const ADDRESS = FrontendKey.offsets.port;

/** `address`: 16 bytes, IPv4 as v4-mapped. `protocol`: the number that IP has for it. */
export function frontendName(address: Uint8Array, port: number, protocol: number): FrontendName {
  FrontendKey.encode({ addr: address, port, proto: protocol, scope: FrontendScope.All }, key);
  return key.toString("latin1");
}

/** The end of the names of rows for ports without a row. */
const ANY_PORT = frontendName(new Uint8Array(ADDRESS), 0, Proto.Any).slice(ADDRESS);

/** The VIP in a name, 16 bytes. */
export function addressOf(frontend: FrontendName): Address {
  return addressFromBytes(keyBytes(frontend.slice(0, ADDRESS)));
}

/** The row for all ports of the frontend's VIP that have no row. */
export function rejectName(frontend: FrontendName): FrontendName {
  return frontend.slice(0, ADDRESS) + ANY_PORT;
}

/** True for a row of all ports without one: that which refuses them, or that which leaves the VIP to another proxy. */
export function isRejectName(name: FrontendName): boolean {
  return name.endsWith(ANY_PORT);
}

/** The row for a VIP that another proxy serves. */
export function otherProxyName(address: Uint8Array): FrontendName {
  return frontendName(address, 0, Proto.Any);
}

/** Encoded row (latin1) of a frontend that has service row `service`; 0 = refuse everything. */
export function frontendValue(name: FrontendName, service: number): string {
  return encodeRow(name, service, service === 0 ? FrontendFlag.Reject : 0);
}

/** Encoded row (latin1) that leaves the VIP to another proxy. */
export function otherProxyValue(name: FrontendName): string {
  return encodeRow(name, 0, FrontendFlag.Pass);
}

function encodeRow(name: FrontendName, service: number, flags: number): string {
  key.write(name, "latin1");
  FrontendRow.encode({ service, flags, check: keyCheck(key) }, row);
  return row.toString("latin1");
}
