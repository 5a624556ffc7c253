/** Reads the ports of a NetworkPolicy's rule. */
import { protocolNumber, TCP } from "@isthmus/model";
import { LAST_PORT, type PortMatch } from "../model/policy.js";
import { describe, isAbsent, joinPath, type Reader, readChoice, readList, readObject } from "./findings.js";

/** All ports for a list that is empty or absent; no protocol is TCP. */
export function readPorts(reader: Reader, value: unknown, path: string): "all" | readonly PortMatch[] {
  const ports = readList(reader, value, path);
  return ports.length === 0 ? "all" : ports.flatMap(([one, at]) => readPort(reader, one, at));
}

function readPort(reader: Reader, value: unknown, path: string): PortMatch[] {
  const fields = readObject(reader, value, path, ["protocol", "port", "endPort"]);
  if (fields === undefined) return [];
  const { port, endPort } = fields;
  const protocol = readProtocol(reader, fields["protocol"], joinPath(path, "protocol"));
  const at = joinPath(path, "port");
  const endAt = joinPath(path, "endPort");
  if (typeof port !== "number" && !isAbsent(endPort)) {
    reader.refuse(endAt, "is allowed only with a port that is a number: write the first port of the range there");
    return [];
  }
  if (isAbsent(port)) return [{ protocol, first: 0, last: LAST_PORT }];
  if (typeof port === "string") return readName(reader, port, at).map((name) => ({ protocol, name }));
  return readRange(reader, [port, at], [endPort, endAt]).map((range) => ({ protocol, ...range }));
}

function readProtocol(reader: Reader, value: unknown, path: string): number {
  const name = isAbsent(value) ? "TCP" : readChoice(reader, value, path, ["TCP", "UDP", "SCTP"]);
  return (name === undefined ? undefined : protocolNumber(name)) ?? TCP;
}

/** The name of a container's port, as the API server checks it; none with a finding. */
export function readName(reader: Reader, name: string, path: string): string[] {
  const isName = /^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$/.test(name) && /[a-z]/.test(name) && !name.includes("--");
  if (isName) return [name];
  reader.refuse(path, `must be a number or the name of a port such as "http", not ${describe(name)}`);
  return [];
}

/** First and last port, the same when the last is absent; none with a finding. */
function readRange(
  reader: Reader,
  [port, path]: readonly [unknown, string],
  [endPort, endPath]: readonly [unknown, string],
): { readonly first: number; readonly last: number }[] {
  if (!isPort(port)) {
    reader.refuse(path, `must be a number from 1 to ${LAST_PORT} or the name of a port, not ${describe(port)}`);
    return [];
  }
  const last = isAbsent(endPort) ? port : endPort;
  if (isPort(last) && last >= port) return [{ first: port, last }];
  reader.refuse(endPath, `must be a number from ${port}, the port, to ${LAST_PORT}, not ${describe(last)}`);
  return [];
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= LAST_PORT;
}
