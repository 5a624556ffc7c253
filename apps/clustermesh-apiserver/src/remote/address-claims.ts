/**
 * The owner of each address among all clusters: the local cluster if it claims the address, else the first claimant.
 *
 * A cluster keeps an address while one of its records claims it: a changed record first claims its new addresses, then
 * releases those that it no longer names. Claims of other clusters wait. When an address changes its owner, listeners get
 * the affected records, so that only those are judged again.
 */
import { bytesKey } from "@isthmus/model";
import { createEmitter } from "@isthmus/runtime";

/** The local cluster's id among claimants. */
export const LOCAL = 0;

/** A record that claims an address. */
export interface Claimant {
  /** Id of its cluster; LOCAL for the local one. */
  readonly cluster: number;
  /** Relative to the prefix of its cluster. */
  readonly key: string;
}

export interface AddressClaims {
  /** Replaces all claims of one record; an empty list removes them. */
  set(cluster: number, key: string, addresses: readonly Uint8Array[]): void;
  /** The owner's cluster id, LOCAL for the local cluster; undefined when no record claims the address. */
  owner(address: Uint8Array): number | undefined;
  /** Calls the listener with the records that gained or lost an address by the change of another record. */
  onChange(listener: (concerned: readonly Claimant[]) => void): () => void;
}

/** Clusters in the order of their claims, each with its records that claim the address. */
type Claims = Map<number, Set<string>>;

const NONE: readonly string[] = [];

/** Without claims; one is shared by all peers, since an address has one owner among all clusters. */
export function createAddressClaims(): AddressClaims {
  const byAddress = new Map<string, Claims>();
  const byCluster = new Map<number, Map<string, readonly string[]>>();
  const changes = createEmitter<readonly Claimant[]>();

  function ownerOf(address: string): number | undefined {
    const claims = byAddress.get(address);
    return claims?.has(LOCAL) ? LOCAL : claims?.keys().next().value;
  }

  function claim(address: string, cluster: number, key: string): void {
    const claims: Claims = byAddress.get(address) ?? new Map();
    byAddress.set(address, claims);
    const keys = claims.get(cluster);
    if (keys === undefined) claims.set(cluster, new Set([key]));
    else keys.add(key);
  }

  function release(address: string, cluster: number, key: string): void {
    const claims = byAddress.get(address);
    const keys = claims?.get(cluster);
    keys?.delete(key);
    if (keys?.size === 0) claims?.delete(cluster);
    if (claims?.size === 0) byAddress.delete(address);
  }

  /** Stores the claims of a record and returns its previous ones. */
  function replace(cluster: number, key: string, addresses: readonly string[]): readonly string[] {
    const records = byCluster.get(cluster) ?? new Map<string, readonly string[]>();
    const before = records.get(key) ?? NONE;
    if (addresses.length > 0) records.set(key, addresses);
    else records.delete(key);
    if (records.size > 0) byCluster.set(cluster, records);
    else byCluster.delete(cluster);
    return before;
  }

  /** Records of the previous and of the new owner; other claims of the address still wait. */
  function* concernedBy(address: string, before: number | undefined): Generator<Claimant> {
    const after = ownerOf(address);
    if (before === after) return;
    for (const cluster of [before, after]) {
      if (cluster === undefined) continue;
      for (const key of byAddress.get(address)?.get(cluster) ?? []) yield { cluster, key };
    }
  }

  return {
    set(cluster, key, addresses) {
      const wanted = new Set(addresses.map(bytesKey));
      const before = new Set(replace(cluster, key, [...wanted]));
      const concerned: Claimant[] = [];
      const change = (address: string, act: typeof claim): void => {
        const owner = ownerOf(address);
        act(address, cluster, key);
        for (const claimant of concernedBy(address, owner)) {
          if (claimant.cluster !== cluster || claimant.key !== key) concerned.push(claimant);
        }
      };
      for (const address of wanted) if (!before.has(address)) change(address, claim);
      for (const address of before) if (!wanted.has(address)) change(address, release);
      if (concerned.length > 0) changes.emit(concerned);
    },
    owner: (address) => ownerOf(bytesKey(address)),
    onChange: changes.subscribe,
  };
}
