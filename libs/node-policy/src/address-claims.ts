/**
 * Which record an address belongs to, of all clusters: one of the local cluster if it names the address, else one of the cluster
 * that named it first. Of one cluster a node comes before its health address, and both before a pod.
 */
import { type IdentityNumber, RESERVED } from "@isthmus/identity";

/** A record that names an address. */
export interface Claim {
  /** Real id. */
  readonly cluster: number;
  /** Key of the record; with the cluster it names the claim. */
  readonly record: string;
  /** Of the address, if the claim decides. */
  readonly identity: IdentityNumber;
}

export interface AddressClaims {
  /** Replaces the record's claim of this address, which keeps its turn. */
  set(address: string, claim: Claim): void;
  /** Nothing happens for a claim that is not there. */
  delete(address: string, claim: Pick<Claim, "cluster" | "record">): void;
  /** The claim that decides; undefined: there is none. */
  owner(address: string): Claim | undefined;
  /** All that are claimed. */
  addresses(): Iterable<string>;
}

/** `localCluster`: its real id. */
export function createAddressClaims(localCluster: number): AddressClaims {
  /** In the order in which they came; nearly always one. */
  const claims = new Map<string, readonly Claim[]>();
  return {
    set(address, claim) {
      const all = claims.get(address) ?? [];
      const i = all.findIndex((one) => isSame(one, claim));
      claims.set(address, i < 0 ? [...all, claim] : all.with(i, claim));
    },
    delete(address, claim) {
      const left = claims.get(address)?.filter((one) => !isSame(one, claim)) ?? [];
      if (left.length === 0) claims.delete(address);
      else claims.set(address, left);
    },
    owner(address) {
      const all = claims.get(address) ?? [];
      const [first] = all;
      if (all.length < 2) return first;
      const cluster = all.some((one) => one.cluster === localCluster) ? localCluster : first?.cluster;
      return all.filter((one) => one.cluster === cluster).sort((a, b) => rank(a) - rank(b))[0];
    },
    addresses: () => claims.keys(),
  };
}

function isSame(a: Pick<Claim, "cluster" | "record">, b: Pick<Claim, "cluster" | "record">): boolean {
  return a.cluster === b.cluster && a.record === b.record;
}

const RANKS: readonly number[] = [RESERVED.host, RESERVED["remote-node"], RESERVED.health];

function rank({ identity }: Claim): number {
  const i = RANKS.indexOf(identity);
  return i < 0 ? RANKS.length : i;
}
