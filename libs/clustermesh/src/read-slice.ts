/**
 * Decodes an encoded `Slice` directly into merged backends, one object each.
 *
 * The generated decoder makes four objects per backend, mostly for fields that the merge does not use. Throws
 * RangeError for bytes that are not a slice.
 */
import type { ClusterId, ClusterName } from "@isthmus/model";
import { Family, type Port } from "@isthmus/proto";
import { BackendCondition, WireCursor } from "@isthmus/records";
import { type AddressWords, isV4Words, readWord } from "./address-words.js";
import { backendHash } from "./backend-hash.js";
import type { TextPool } from "./text-pool.js";
import type { MergedBackend, SliceView } from "./types.js";

const { Ready: READY, Serving: SERVING, Terminating: TERMINATING } = BackendCondition;

/** Field numbers of state.proto with their wire types: 0 = varint, 2 = length-delimited. */
const tag = (field: number, type: 0 | 2): number => (field << 3) | type;
const FAMILY = tag(1, 0);
const PORT = tag(2, 2);
const BACKEND = tag(3, 2);
const PORT_NAME = tag(1, 2);
const PORT_PROTOCOL = tag(2, 0);
const PORT_NUMBER = tag(3, 0);
const ADDRESS = tag(1, 2);
const CONDITIONS = tag(2, 0);
const WEIGHT = tag(3, 0);
const NODE = tag(4, 2);

export interface SliceOwner {
  /** Name that each of its backends gets. */
  readonly cluster: ClusterName;
  /** Id that each of its backends gets; part of their hash. */
  readonly id: ClusterId;
  /** Deduplicates the names of nodes and ports. */
  readonly texts: TextPool;
}

/**
 * `value`: the bytes of the record, kept for as long as the view, which decodes its other ports when they are asked
 * for.
 */
export function readSlice(owner: SliceOwner, value: Uint8Array): SliceView {
  const cursor = new WireCursor(value);
  const ports: Port[] = [];
  /** Start and end of each encoded backend. */
  const spans: number[] = [];
  let family = Family.FAMILY_UNSPECIFIED;
  while (cursor.at < value.length) {
    const next = cursor.tag();
    if (next === FAMILY) family = cursor.varint();
    else if (next === PORT || next === BACKEND) {
      const end = cursor.enter();
      if (next === PORT) ports.push(readPort(owner, cursor, end));
      else spans.push(cursor.at, end);
      cursor.at = end;
    } else cursor.skip(next);
  }
  const first = readBackends(owner, cursor, spans, ports[0]).filter((backend) => familyOf(backend) === family);
  const byPort: (readonly MergedBackend[])[] = [first];
  return {
    family,
    ports,
    backends(port) {
      const cached = byPort[port];
      if (cached !== undefined) return cached;
      const { port: number = 0, protocol = 0 } = ports[port] ?? {};
      const made = first.map((backend) => {
        return { ...backend, port: number, protocol, hash: backendHash(owner.id, backend, number, protocol) };
      });
      byPort[port] = made;
      return made;
    },
  };
}

function readPort({ texts }: SliceOwner, cursor: WireCursor, end: number): Port {
  const whole = cursor.end;
  cursor.end = end;
  let [name, protocol, port] = ["", 0, 0];
  while (cursor.at < end) {
    const next = cursor.tag();
    if (next === PORT_NAME) {
      const until = cursor.enter();
      name = texts.read(cursor.bytes, cursor.at, until);
      cursor.at = until;
    } else if (next === PORT_PROTOCOL) protocol = cursor.varint();
    else if (next === PORT_NUMBER) port = cursor.varint();
    else cursor.skip(next);
  }
  cursor.end = whole;
  return { name, protocol, port };
}

function readBackends(
  owner: SliceOwner,
  cursor: WireCursor,
  spans: readonly number[],
  port: Port | undefined,
): MergedBackend[] {
  const backends: MergedBackend[] = [];
  for (let i = 0; i < spans.length; i += 2) {
    cursor.at = spans[i] ?? 0;
    cursor.end = spans[i + 1] ?? 0;
    const backend = readBackend(owner, cursor, port?.port ?? 0, port?.protocol ?? 0);
    if (backend !== undefined) backends.push(backend);
  }
  return backends;
}

/** Returns undefined when the address does not have 16 bytes. */
function readBackend(owner: SliceOwner, cursor: WireCursor, port: number, protocol: number): MergedBackend | undefined {
  const { bytes, end } = cursor;
  let [address, node, conditions, weight] = [-1, "", 0, 0];
  while (cursor.at < end) {
    const next = cursor.tag();
    if (next === CONDITIONS) conditions = cursor.varint();
    else if (next === WEIGHT) weight = cursor.varint();
    else if (next === ADDRESS || next === NODE) {
      const until = cursor.enter();
      if (next === NODE) node = owner.texts.read(bytes, cursor.at, until);
      else address = until - cursor.at === 16 ? cursor.at : -1;
      cursor.at = until;
    } else cursor.skip(next);
  }
  if (address === -1) return undefined;
  const backend = {
    cluster: owner.cluster,
    clusterId: owner.id,
    word0: readWord(bytes, address),
    word1: readWord(bytes, address + 4),
    word2: readWord(bytes, address + 8),
    word3: readWord(bytes, address + 12),
    hash: 0,
    port,
    protocol,
    ready: (conditions & READY) !== 0,
    serving: (conditions & (SERVING | TERMINATING)) === (SERVING | TERMINATING),
    node,
    weight: weight === 0 ? 1 : weight,
  };
  backend.hash = backendHash(owner.id, backend, port, protocol);
  return backend;
}

function familyOf(address: AddressWords): Family {
  return isV4Words(address) ? Family.FAMILY_IPV4 : Family.FAMILY_IPV6;
}
