/** Protocols and ports of `mesh policy explain`. */
const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ["tcp", 6],
  ["udp", 17],
  ["sctp", 132],
  ["icmp", 1],
]);
const ICMP = 1;

/** The names that `protocolNumberOf` knows. */
export const PROTOCOL_NAMES: readonly string[] = [...PROTOCOLS.keys()];

/** Of `tcp`, in either case; undefined: none that policies know. */
export function protocolNumberOf(name: string): number | undefined {
  return PROTOCOLS.get(name.toLowerCase());
}

/** `TCP`; the number of another protocol. */
export function protocolText(protocol: number): string {
  for (const [name, number] of PROTOCOLS) if (number === protocol) return name.toUpperCase();
  return `protocol ${protocol}`;
}

/** As policies and maps have it: ICMP has a type in the place of the port. `number`: as it was written. */
export function portOf(protocol: number, number: number): number {
  return protocol === ICMP ? number << 8 : number;
}

/** `80/TCP`; `type 8/ICMP` */
export function portText(protocol: number, port: number): string {
  return protocol === ICMP ? `type ${port >> 8}/ICMP` : `${port}/${protocolText(protocol)}`;
}
