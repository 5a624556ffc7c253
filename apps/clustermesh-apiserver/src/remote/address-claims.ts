/**
 * Who an address belongs to, across clusters: the own cluster always, else the first that claimed it.
 *
 * A claim that is not the owner's waits; when the owner lets go, or the own cluster comes in, listeners hear that the
 * address changed hands and look at their records again.
 */
import { bytesKey } from "@isthmus/model";

/** The own cluster's place among claimants. */
export const OWN = 0;

export interface AddressClaims {
  /** Counts one more claim of a cluster; returns the owner's id. */
  claim(address: Uint8Array, cluster: number): number;
  /** Counts one claim less. */
  release(address: Uint8Array, cluster: number): void;
  owner(address: Uint8Array): number | undefined;
  /** Told when an address that several claim changes hands. */
  onChange(listener: () => void): () => void;
}

export function createAddressClaims(): AddressClaims {
  const claims = new Map<string, Map<number, number>>();
  const listeners = new Set<() => void>();
  const ownerOf = (key: string): number | undefined => {
    const claimants = claims.get(key);
    return claimants?.has(OWN) ? OWN : claimants?.keys().next().value;
  };
  const changing = (address: Uint8Array, change: (key: string) => void): void => {
    const key = bytesKey(address);
    const before = ownerOf(key);
    change(key);
    const after = ownerOf(key);
    if (before === undefined || after === undefined || before === after) return;
    for (const listener of listeners) listener();
  };
  return {
    claim(address, cluster) {
      changing(address, (key) => {
        const claimants = claims.get(key) ?? new Map<number, number>();
        claimants.set(cluster, (claimants.get(cluster) ?? 0) + 1);
        claims.set(key, claimants);
      });
      return ownerOf(bytesKey(address)) ?? cluster;
    },
    release(address, cluster) {
      changing(address, (key) => {
        const claimants = claims.get(key);
        const left = (claimants?.get(cluster) ?? 0) - 1;
        if (left > 0) claimants?.set(cluster, left);
        else claimants?.delete(cluster);
        if (claimants?.size === 0) claims.delete(key);
      });
    },
    owner: (address) => ownerOf(bytesKey(address)),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
