/** The reserved identities, with the numbers that Cilium uses; their cluster bits are 0. */
import type { IdentityNumber } from "./number.js";

export const RESERVED = {
  host: 1,
  world: 2,
  unmanaged: 3,
  health: 4,
  init: 5,
  "remote-node": 6,
  "kube-apiserver": 7,
  ingress: 8,
  "world-ipv4": 9,
  "world-ipv6": 10,
} as const;

export type ReservedName = keyof typeof RESERVED;

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(RESERVED).map(([name, number]) => [number, name]));

/** The number that Cilium uses for it too: 2 for `world`. */
export function reservedIdentity(name: ReservedName): IdentityNumber {
  return RESERVED[name] as number as IdentityNumber;
}

/** `reserved:world` for a reserved number, undefined for any other. */
export function reservedLabel(identity: number): string | undefined {
  const name = NAMES.get(identity);
  return name === undefined ? undefined : `reserved:${name}`;
}
