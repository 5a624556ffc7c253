/**
 * The prefix that the identities of a cluster have by themselves: the longest that policies name and that contains all pod ranges
 * of the cluster. Its pods with another longest prefix need node-local identities; without it all of them would, once a policy
 * names 0.0.0.0/0. That is the home of the reserved identities, which are those of cluster 0.
 *
 * An identity must not mean another prefix while the maps give it to an address. So a home that changes with the ranges is left
 * first, by a flush in which no address has it.
 */
import { formatPrefix, type Prefix, parsePrefix } from "@isthmus/model";

export interface HomePrefixes {
  /** Undefined: the identities of this cluster are in no prefix. */
  of(cluster: number): Prefix | undefined;
  /** False while its home is left: each pod of it needs a node-local identity. */
  isSettled(cluster: number): boolean;
  /** `prefixesChanged`: other prefixes are told apart. `supernets`: clusters with another one. */
  update(prefixesChanged: boolean, supernets: ReadonlySet<number>): HomeChanges;
}

export interface HomeChanges {
  /** Clusters whose identities have another prefix. */
  readonly homes: ReadonlySet<number>;
  /** Clusters whose addresses must be looked at. */
  readonly addresses: ReadonlySet<number>;
  /** A home is left and must be updated with the next flush. */
  readonly again: boolean;
}

export interface HomePrefixesModules {
  /** The longest prefix that contains all pod ranges of a cluster, not of cluster 0. */
  readonly supernet: (cluster: number) => Prefix | undefined;
  /** The longest prefix that is told apart and contains this one. */
  readonly containing: (prefix: Prefix) => Prefix | undefined;
  /** True when the maps may give identities of the cluster to addresses. */
  readonly isUsed: (cluster: number) => boolean;
}

const RESERVED_CLUSTER = 0;
const ALL_IPV4 = parsePrefix("0.0.0.0/0");

/** No cluster has a home. */
export function createHomePrefixes({ supernet, containing, isUsed }: HomePrefixesModules): HomePrefixes {
  const homes = new Map<number, Prefix>();
  const known = new Set([RESERVED_CLUSTER]);
  const leaving = new Set<number>();

  return {
    of: (cluster) => homes.get(cluster),
    isSettled: (cluster) => !leaving.has(cluster),
    update(prefixesChanged, supernets) {
      const [changed, addresses] = [new Set<number>(), new Set<number>()];
      for (const cluster of supernets) known.add(cluster);
      for (const cluster of prefixesChanged ? known : new Set([...supernets, ...leaving])) {
        const whole = cluster === RESERVED_CLUSTER ? ALL_IPV4 : supernet(cluster);
        const wanted = whole && containing(whole);
        if (whole === undefined) known.delete(cluster);
        const wasLeaving = leaving.delete(cluster);
        if (isSamePrefix(wanted, homes.get(cluster))) {
          if (wasLeaving) addresses.add(cluster);
          continue;
        }
        addresses.add(cluster);
        // Of prefixes alone that are told apart for no policy yet, or for none any more, no policy says anything.
        if (!wasLeaving && supernets.has(cluster) && isUsed(cluster)) {
          leaving.add(cluster);
          continue;
        }
        changed.add(cluster);
        if (wanted === undefined) homes.delete(cluster);
        else homes.set(cluster, wanted);
      }
      return { homes: changed, addresses, again: leaving.size > 0 };
    },
  };
}

/** True for two that are equal or both absent. */
export function isSamePrefix(a: Prefix | undefined, b: Prefix | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && formatPrefix(a) === formatPrefix(b));
}
