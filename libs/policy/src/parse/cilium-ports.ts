/** Reads ports and ICMP types of rules of Cilium policies. */
import { SCTP, TCP, UDP } from "@isthmus/model";
import { LAST_PORT, type PortMatch } from "../model/policy.js";
import { describe, isAbsent, joinPath, type Reader, readChoice, readList, readObject, readText } from "./findings.js";
import { readName } from "./network-policy-ports.js";

/** By name; `ANY` is every protocol with ports. */
const PROTOCOLS: Readonly<Record<string, readonly number[]>> = {
  TCP: [TCP],
  UDP: [UDP],
  SCTP: [SCTP],
  ANY: [TCP, UDP, SCTP],
  VRRP: [112],
  IGMP: [2],
};
const PORTLESS = ["VRRP", "IGMP"];
const ICMP: Readonly<Record<string, number>> = { IPv4: 1, IPv6: 58 };

/** All ports where there is neither a port nor an ICMP type. */
export function readCiliumPorts(
  reader: Reader,
  [toPorts, path]: readonly [unknown, string],
  [icmps, icmpPath]: readonly [unknown, string],
): "all" | readonly PortMatch[] {
  const ports = readList(reader, toPorts, path);
  const types = readList(reader, icmps, icmpPath);
  if (ports.length > 0 && types.length > 0)
    reader.refuse(icmpPath, "cannot be beside toPorts: write a rule of its own");
  if (ports.length === 0 && types.length === 0) return "all";
  return [
    ...ports.flatMap(([one, at]) => readPortRule(reader, one, at)),
    ...types.flatMap(([one, at]) => readIcmpRule(reader, one, at)),
  ];
}

function readPortRule(reader: Reader, value: unknown, path: string): readonly PortMatch[] {
  const fields = readObject(reader, value, path, ["ports"]);
  if (fields === undefined) return [];
  const at = joinPath(path, "ports");
  const ports = readList(reader, fields["ports"], at);
  if (ports.length === 0) reader.refuse(at, 'must have a port; "0" is all of them');
  return ports.flatMap(([one, where]) => readPort(reader, one, where));
}

function readPort(reader: Reader, value: unknown, path: string): readonly PortMatch[] {
  const fields = readObject(reader, value, path, ["port", "endPort", "protocol"]);
  if (fields === undefined) return [];
  const at = joinPath(path, "port");
  const port = readText(reader, fields["port"], at);
  const written = fields["protocol"];
  const name = isAbsent(written)
    ? "ANY"
    : readChoice(reader, written, joinPath(path, "protocol"), Object.keys(PROTOCOLS));
  if (port === undefined || name === undefined) return [];
  const protocols = PROTOCOLS[name] ?? [];
  if (PORTLESS.includes(name) && port !== "0") reader.refuse(at, `must be "0" for the protocol ${name}`);
  const endAt = joinPath(path, "endPort");
  const endPort = fields["endPort"] === 0 ? undefined : fields["endPort"];
  if (/^\d{1,5}$/.test(port)) {
    const range = readRange(reader, [Number(port), at], [endPort, endAt]);
    return range === undefined ? [] : protocols.map((protocol) => ({ protocol, ...range }));
  }
  if (!isAbsent(endPort)) reader.refuse(endAt, "is allowed only with a port that is a number");
  return readName(reader, port.toLowerCase(), at).flatMap((one) =>
    protocols.map((protocol) => ({ protocol, name: one })),
  );
}

/** Port 0 is all ports. */
function readRange(
  reader: Reader,
  [port, path]: readonly [number, string],
  [endPort, endPath]: readonly [unknown, string],
): { readonly first: number; readonly last: number } | undefined {
  if (port > LAST_PORT) {
    reader.refuse(path, `must be from 0 to ${LAST_PORT}, not ${port}`);
    return undefined;
  }
  if (isAbsent(endPort)) return { first: port, last: port === 0 ? LAST_PORT : port };
  const isEnd = Number.isInteger(endPort) && (endPort as number) >= port && (endPort as number) <= LAST_PORT;
  if (isEnd && port > 0) return { first: port, last: endPort as number };
  reader.refuse(
    endPath,
    `must be a number from the port to ${LAST_PORT}, of a port that is not 0, not ${describe(endPort)}`,
  );
  return undefined;
}

function readIcmpRule(reader: Reader, value: unknown, path: string): readonly PortMatch[] {
  const fields = readObject(reader, value, path, ["fields"]);
  if (fields === undefined) return [];
  const at = joinPath(path, "fields");
  const types = readList(reader, fields["fields"], at);
  if (types.length === 0) reader.refuse(at, "must have a type");
  return types.flatMap(([one, where]) => readIcmpType(reader, one, where));
}

/** A type with any of its codes; type and code are where a port is otherwise. */
function readIcmpType(reader: Reader, value: unknown, path: string): readonly PortMatch[] {
  const fields = readObject(reader, value, path, ["family", "type"]);
  if (fields === undefined) return [];
  const { family, type } = fields;
  const name = isAbsent(family) ? "IPv4" : readChoice(reader, family, joinPath(path, "family"), Object.keys(ICMP));
  if (!Number.isInteger(type) || (type as number) < 0 || (type as number) > 255) {
    reader.refuse(joinPath(path, "type"), `must be a number from 0 to 255, not ${describe(type)}`);
    return [];
  }
  const first = (type as number) << 8;
  return name === undefined ? [] : [{ protocol: ICMP[name] ?? 0, first, last: first | 255 }];
}
