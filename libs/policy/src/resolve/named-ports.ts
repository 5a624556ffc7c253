/** Ports that rules name, by the ports that a pod or an identity has. */
import type { NamedPort, PortMatch } from "../model/policy.js";

/** The named ports of one pod, or of all pods of an identity together. */
export interface PortNames {
  /** The same text for the same ports, in whatever order they came. */
  readonly text: string;
  /** Sorted, none twice. */
  readonly ports: readonly NamedPort[];
}

export const NO_PORT_NAMES: PortNames = { text: "", ports: [] };

/** Absent: none. */
export function createPortNames(ports: readonly NamedPort[] | undefined): PortNames {
  if (ports === undefined || ports.length === 0) return NO_PORT_NAMES;
  const sorted = new Map(ports.map((one) => [`${one.name}/${one.protocol}=${one.port}`, one]));
  const texts = [...sorted.keys()].sort();
  return { text: texts.join(","), ports: texts.flatMap((text) => sorted.get(text) ?? []) };
}

/** Ports of one protocol, from the first to the last. */
export type PortRange = Extract<PortMatch, { readonly first: number }>;

/** The ranges of a match: itself, or one for each port of that name and protocol. */
export function rangesOf(match: PortMatch, names: PortNames): readonly PortRange[] {
  if (!("name" in match)) return [match];
  return names.ports
    .filter(({ name, protocol }) => name === match.name && protocol === match.protocol)
    .map(({ protocol, port }) => ({ protocol, first: port, last: port }));
}
