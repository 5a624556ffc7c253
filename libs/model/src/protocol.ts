/** L4 protocols by their IANA number, as in packets, maps and records. */
export const TCP = 6;
export const UDP = 17;
export const SCTP = 132;

export type Protocol = typeof TCP | typeof UDP | typeof SCTP;

const NAMES: ReadonlyMap<number, string> = new Map([
  [TCP, "TCP"],
  [UDP, "UDP"],
  [SCTP, "SCTP"],
]);

/** "TCP", "UDP" or "SCTP"; the number as text for any other. */
export function protocolName(protocol: number): string {
  return NAMES.get(protocol) ?? String(protocol);
}

/** The number of a Kubernetes protocol name; undefined when it is not one of the three. */
export function protocolNumber(name: string): Protocol | undefined {
  return { TCP, UDP, SCTP }[name] as Protocol | undefined;
}
