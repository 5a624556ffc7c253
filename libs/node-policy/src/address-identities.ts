/**
 * The identity that each address has on this node.
 *
 * ```
 *   records that name the address ─► the owner's identity ─┬─ the longest prefix is the identity's own ─► its number
 *                                                         └─ another one ─► a node-local number
 * ```
 * The own node has number 1 whatever its prefixes are, since the programs know it by this number.
 */
import { type IdentityNumber, identityCluster, RESERVED, reservedIdentity } from "@isthmus/identity";
import { keyBytes, type Prefix, prefixContains } from "@isthmus/model";
import { inSlices, type Slices } from "@isthmus/runtime";
import { type AddressClaims, createAddressClaims } from "./address-claims.js";
import { type HomePrefixes, isSamePrefix } from "./home-prefixes.js";
import type { NodeLocalIdentities } from "./node-local-identities.js";
import { OUTER_APISERVER } from "./reserved-labels.js";

export interface AddressIdentities {
  /** Records that name addresses; `look` must follow for each address. */
  readonly claims: AddressClaims;
  /** Replaces the addresses (`bytesKey`) of the local cluster's apiservers. */
  setApiservers(addresses: ReadonlySet<string>): void;
  /** Something of the address changed. */
  look(address: string): void;
  /** Looks at all addresses in these prefixes, and with identities of these clusters (0: reserved ones). */
  lookIn(prefixes: readonly Prefix[], clusters: ReadonlySet<number>): Slices<void>;
  /** Returns the addresses that have another identity than at the last call. */
  settle(): Slices<ReadonlySet<string>>;
  /** By address, as of the last `settle`. */
  readonly identities: ReadonlyMap<string, IdentityNumber>;
  /** True when some address has an identity of the cluster, node-local ones not counted, as of the last `settle`. */
  isUsed(cluster: number): boolean;
  /** Of the own node, as of the last `settle`; while addresses leave it, as of the one before. */
  readonly host: HostFacts;
  /** The facts of the own node, or addresses that it gets, wait for another `settle`. */
  readonly isWaiting: boolean;
}

export interface HostFacts {
  /** The prefix of all addresses of the node; undefined: they are in none, or in different ones. */
  readonly prefix: Prefix | undefined;
  /** An apiserver answers at one of them. */
  readonly isApiserver: boolean;
}

export interface AddressIdentitiesModules {
  /** True for an identity whose labels are known. */
  readonly isKnown: (identity: IdentityNumber) => boolean;
  /** The longest prefix that policies tell apart and that contains the address. */
  readonly longest: (address: Uint8Array) => Prefix | undefined;
  /** True for an address in a pod range. */
  readonly isOfPods: (address: Uint8Array) => boolean;
  readonly homes: Pick<HomePrefixes, "of" | "isSettled">;
  readonly local: Pick<NodeLocalIdentities, "acquire" | "release">;
}

const ADDRESSES_PER_SLICE = 64;

/** No address has an identity. `localCluster`: its real id. */
export function createAddressIdentities(localCluster: number, modules: AddressIdentitiesModules): AddressIdentities {
  const { isKnown, longest, isOfPods, homes, local } = modules;
  const claims = createAddressClaims(localCluster);
  const identities = new Map<string, IdentityNumber>();
  const uses = new Map<number, number>();
  const hostPrefixes = new Map<string, Prefix | undefined>();
  let host: HostFacts = { prefix: undefined, isApiserver: false };
  let isLeft = false;
  let apiservers: ReadonlySet<string> = new Set();
  let pending = new Set<string>();

  /** Whose labels the address has; undefined: it is nobody's that is known. */
  function baseOf(address: string): IdentityNumber | undefined {
    const owner = claims.owner(address)?.identity;
    if (owner !== undefined && !isKnown(owner)) return undefined;
    if (!apiservers.has(address)) return owner;
    if (owner === undefined) return isOfPods(keyBytes(address)) ? undefined : OUTER_APISERVER;
    return owner === RESERVED["remote-node"] ? reservedIdentity("kube-apiserver") : owner;
  }

  function hasOwnNumber(base: IdentityNumber, prefix: Prefix | undefined): boolean {
    if (base === OUTER_APISERVER) return false;
    const cluster = identityCluster(base);
    return homes.isSettled(cluster) && isSamePrefix(prefix, homes.of(cluster));
  }

  function numberOf(address: string): IdentityNumber | undefined {
    const base = baseOf(address);
    hostPrefixes.delete(address);
    if (base === undefined) return undefined;
    const prefix = longest(keyBytes(address));
    if (base === RESERVED.host) {
      hostPrefixes.set(address, prefix);
      return base;
    }
    return hasOwnNumber(base, prefix) ? base : local.acquire(base, prefix)?.number;
  }

  function count(number: IdentityNumber | undefined, change: 1 | -1): void {
    if (number === undefined) return;
    const cluster = identityCluster(number);
    const now = (uses.get(cluster) ?? 0) + change;
    if (now === 0) uses.delete(cluster);
    else uses.set(cluster, now);
  }

  function hostFacts(): HostFacts {
    const [first, ...others] = hostPrefixes.values();
    const prefix = others.every((one) => isSamePrefix(one, first)) ? first : undefined;
    const isApiserver = [...hostPrefixes.keys()].some((address) => apiservers.has(address));
    return { prefix, isApiserver };
  }

  return {
    claims,
    identities,
    isUsed: (cluster) => uses.has(cluster),
    setApiservers(addresses) {
      for (const address of apiservers) pending.add(address);
      for (const address of addresses) pending.add(address);
      apiservers = addresses;
    },
    look: (address) => void pending.add(address),
    *lookIn(prefixes, clusters) {
      if (prefixes.length === 0 && clusters.size === 0) return;
      yield* inSlices(claims.addresses(), ADDRESSES_PER_SLICE, (address) => {
        if (pending.has(address)) return;
        const bytes = keyBytes(address);
        const owner = claims.owner(address)?.identity ?? RESERVED.world;
        if (clusters.has(identityCluster(owner)) || prefixes.some((prefix) => prefixContains(prefix, bytes)))
          pending.add(address);
      });
    },
    *settle() {
      const changed = new Set<string>();
      const looked = pending;
      // A pod range may have come or gone.
      for (const address of apiservers) looked.add(address);
      pending = new Set();
      // An address leaves the node before the node's number means something else, and others get the number after that.
      isLeft = false;
      const first = [...looked].filter((address) => identities.get(address) === RESERVED.host);
      yield* inSlices(new Set([...first, ...looked]), ADDRESSES_PER_SLICE, (address) => {
        const before = identities.get(address);
        if (isLeft && before !== RESERVED.host && baseOf(address) === RESERVED.host) return void pending.add(address);
        // The new one first: a node-local identity that both are stays.
        const now = numberOf(address);
        if (before !== undefined) local.release(before);
        if (before === now) return;
        isLeft ||= before === RESERVED.host;
        count(before, -1);
        count(now, 1);
        if (now === undefined) identities.delete(address);
        else identities.set(address, now);
        changed.add(address);
      });
      if (!isLeft) host = hostFacts();
      return changed;
    },
    get host() {
      return host;
    },
    get isWaiting() {
      return isLeft;
    },
  };
}
