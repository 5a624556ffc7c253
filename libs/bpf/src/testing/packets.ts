/** Ethernet frames with an IPv4 packet, as program tests send them and read them back. */
import { parseAddress, TCP, UDP } from "@isthmus/model";

export const ICMP = 1;
/** Bits of the TCP header's flags. */
export const TcpFlag = { Fin: 0x01, Syn: 0x02, Rst: 0x04, Ack: 0x10 } as const;

export interface PacketFields {
  /** `02:00:00:00:00:01` */
  readonly sourceMac: string;
  readonly targetMac: string;
  /** IPv4 in dotted form. */
  readonly source: string;
  readonly target: string;
  /** Number that IP has for it. */
  readonly protocol: number;
  /** Of ICMP: type and code in one number, and the id. */
  readonly sourcePort: number;
  readonly targetPort: number;
  /** `TcpFlag`; ignored for other protocols. */
  readonly flags: number;
  /** Of TCP: sequence and acknowledgement number. */
  readonly seq: number;
  readonly ack: number;
  readonly ttl: number;
  /** Flags and offset of the IPv4 header; 0x4000 = do not fragment. */
  readonly fragment: number;
  /** Of the IPv4 header: the fragments of a datagram have the same. */
  readonly id: number;
  /** 20 or more. */
  readonly headerLength: number;
  /** Bytes after the TCP, UDP or ICMP header. */
  readonly payload: number;
  /** The bytes after the header of TCP, UDP or ICMP, in the place of `payload` zeros. */
  readonly quoted?: Uint8Array;
}

const DEFAULTS = {
  protocol: TCP,
  sourcePort: 40_000,
  targetPort: 80,
  flags: TcpFlag.Syn,
  seq: 0,
  ack: 0,
  ttl: 64,
  fragment: 0x4000,
  id: 0,
  headerLength: 20,
  payload: 0,
};
const ETH = 14;

/** What an ICMP error quotes of a frame: its IPv4 header, and 8 bytes more. */
export function quote(frame: Uint8Array): Uint8Array {
  return frame.subarray(ETH, ETH + 28);
}

/** A frame with correct checksums of IPv4; that of TCP, UDP or ICMP is 0, since programs do not read it. */
export function makePacket(given: Partial<PacketFields> & Pick<PacketFields, "source" | "target">): Buffer {
  const fields = { sourceMac: "02:00:00:00:00:aa", targetMac: "02:00:00:00:00:bb", ...DEFAULTS, ...given };
  const l4 = fields.protocol === TCP ? 20 : 8;
  const payload = fields.quoted ?? new Uint8Array(fields.payload);
  const frame = Buffer.concat([Buffer.alloc(ETH + fields.headerLength + l4), payload]);
  frame.write(fields.targetMac.replaceAll(":", ""), 0, "hex");
  frame.write(fields.sourceMac.replaceAll(":", ""), 6, "hex");
  frame.writeUInt16BE(0x0800, 12);
  const ip = frame.subarray(ETH);
  ip[0] = 0x40 | (fields.headerLength / 4);
  ip.writeUInt16BE(ip.length, 2);
  ip.writeUInt16BE(fields.id, 4);
  ip.writeUInt16BE(fields.fragment, 6);
  ip[8] = fields.ttl;
  ip[9] = fields.protocol;
  ip.set(parseAddress(fields.source).subarray(12), 12);
  ip.set(parseAddress(fields.target).subarray(12), 16);
  ip.writeUInt16BE(ipChecksum(ip.subarray(0, fields.headerLength)), 10);
  writeL4(ip.subarray(fields.headerLength), fields);
  return frame;
}

function writeL4(l4: Buffer, { protocol, sourcePort, targetPort, flags, seq, ack }: PacketFields): void {
  l4.writeUInt16BE(sourcePort, 0);
  if (protocol === ICMP) return void l4.writeUInt16BE(targetPort, 4);
  l4.writeUInt16BE(targetPort, 2);
  if (protocol === UDP) l4.writeUInt16BE(l4.length, 4);
  if (protocol === TCP) {
    l4.writeUInt32BE(seq >>> 0, 4);
    l4.writeUInt32BE(ack >>> 0, 8);
    l4[12] = 0x50;
    l4[13] = flags;
  }
}

/** Writes the checksum of TCP, for a frame that a stack is to take. */
export function sealTcp(frame: Buffer): Buffer {
  const ip = frame.subarray(ETH);
  const segment = ip.subarray((ip.readUInt8(0) & 0x0f) * 4);
  segment.writeUInt16BE(0, 16);
  const pseudo = Buffer.from([...ip.subarray(12, 20), 0, TCP, segment.length >> 8, segment.length & 0xff]);
  segment.writeUInt16BE(ipChecksum(Buffer.concat([pseudo, segment])), 16);
  return frame;
}

/** What programs change of a frame. `checksumOk`: that of IPv4. `sourcePort`: of ICMP type and code, as in `PacketFields`. */
export function readPacket(frame: Uint8Array) {
  const bytes = Buffer.from(frame);
  const mac = (at: number) =>
    bytes
      .subarray(at, at + 6)
      .toString("hex")
      .replace(/..(?!$)/g, "$&:");
  const ip = bytes.subarray(ETH, ETH + 20);
  const [source, target] = [ip.subarray(12, 16).join("."), ip.subarray(16).join(".")];
  const sourcePort = bytes.length > ETH + 21 ? bytes.readUInt16BE(ETH + 20) : undefined;
  const header = { source, target, ttl: ip[8], protocol: ip[9], checksumOk: ipChecksum(ip) === 0 };
  return { targetMac: mac(0), sourceMac: mac(6), ...header, sourcePort };
}

/** Two ends as `10.1.0.1:80`, the numbers and the flags of a TCP segment. */
export interface Segment {
  /** An ICMP error quotes it. */
  readonly isQuoted: boolean;
  readonly source: string;
  readonly target: string;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
}

/** Reads a TCP segment, or the part of one that an ICMP error quotes: the rest is 0. */
export function readSegment(frame: Uint8Array): Segment {
  const bytes = Buffer.from(frame);
  const isQuoted = bytes[ETH + 9] === ICMP;
  const ip = bytes.subarray(isQuoted ? ETH + 28 : ETH);
  const tcp = ip.subarray(20);
  const end = (address: number, port: number) =>
    `${ip.subarray(address, address + 4).join(".")}:${tcp.readUInt16BE(port)}`;
  const rest = isQuoted ? { ack: 0, flags: 0 } : { ack: tcp.readUInt32BE(8), flags: tcp[13] ?? 0 };
  return { isQuoted, source: end(12, 0), target: end(16, 2), seq: tcp.readUInt32BE(4), ...rest };
}

/** 0 for a header that has its checksum. */
function ipChecksum(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
