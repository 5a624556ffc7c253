/**
 * Keys and rows of mesh_frontends: frontends of Services, rows that refuse the unknown ports of a VIP, and rows that
 * leave a whole VIP to another proxy.
 *
 * Names and values are latin1 strings of the encoded `frontend_key` and `frontend_row`, built here without the codecs
 * (a first load needs tens of thousands of them); frontends.test.ts compares them with the codecs.
 */
import { FrontendFlag, FrontendKey, frontendCheck } from "@isthmus/bpf";
import { type Address, addressFromBytes, bytesKey, keyBytes } from "@isthmus/model";

/** Latin1 of an encoded `frontend_key`: 16 characters of address, port, protocol, scope. */
export type FrontendName = string;

const ANY_PORT = "\0\0\0\0";
const key = Buffer.alloc(FrontendKey.size);

export function frontendName(address: Uint8Array, port: number, protocol: number): FrontendName {
  return bytesKey(address) + String.fromCharCode(port >> 8, port & 0xff, protocol, 0);
}

export function addressOf(frontend: FrontendName): Address {
  return addressFromBytes(keyBytes(frontend.slice(0, 16)));
}

/** The row for all ports of the frontend's VIP that have no row. */
export function rejectName(frontend: FrontendName): FrontendName {
  return frontend.slice(0, 16) + ANY_PORT;
}

export function isRejectName(name: FrontendName): boolean {
  return name.endsWith(ANY_PORT);
}

/** The row for a VIP that another proxy serves. */
export function otherProxyName(address: Uint8Array): FrontendName {
  return bytesKey(address) + ANY_PORT;
}

/** Encoded row (latin1) of a frontend that has service row `service`; 0 = refuse everything. */
export function frontendValue(name: FrontendName, service: number): string {
  return encodeRow(name, service, service === 0 ? FrontendFlag.Reject : 0);
}

export function otherProxyValue(name: FrontendName): string {
  return encodeRow(name, 0, FrontendFlag.Pass);
}

function encodeRow(name: FrontendName, service: number, flags: number): string {
  key.write(name, "latin1");
  const check = frontendCheck(key);
  const index = [service & 0xff, (service >>> 8) & 0xff, (service >>> 16) & 0xff, service >>> 24] as const;
  return String.fromCharCode(...index, flags & 0xff, flags >> 8, check & 0xff, check >> 8);
}
