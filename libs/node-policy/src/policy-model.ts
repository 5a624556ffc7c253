/**
 * What records say about policy, put together: which identity each address has, which prefixes are told apart, and an engine that
 * has the identities, the policies and the subjects.
 *
 * ```
 *   policies ─► prefixes that are told apart ─┐
 *   nodes ─► pod ranges ──────────────────────┴─► homes ─► addresses, prefixes ─► identities ─► engine
 *   pods that are attached, their endpoints ─► subjects ───────────────────────────────────────┘
 * ```
 */
import { type IdentityNumber, identityCluster, reservedIdentity, unmanagedIdentity } from "@isthmus/identity";
import { type ClusterId, type Prefix, parsePrefix } from "@isthmus/model";
import { createPolicyEngine, type PolicyEngine } from "@isthmus/policy";
import { inSlices, type Slices } from "@isthmus/runtime";
import { type AddressIdentities, createAddressIdentities } from "./address-identities.js";
import { type ClusterRanges, createClusterRanges } from "./cluster-ranges.js";
import type { DesiredPrefix } from "./desired-policy.js";
import { createEnforcedPolicies, type EnforcedPolicies, type PolicySteps } from "./enforced-policies.js";
import { createHomePrefixes } from "./home-prefixes.js";
import { createIdentityPorts, type IdentityPorts } from "./identity-ports.js";
import { createKnownIdentities, engineIdentity, type KnownIdentities } from "./known-identities.js";
import { createNodeLocalIdentities, type NodeLocalIdentity, type NumbersInMaps } from "./node-local-identities.js";
import { createPrefixIndex } from "./prefix-index.js";
import { createPrefixRows } from "./prefix-rows.js";
import { hostLabels, labelsOfReserved, UNMANAGED_LABELS } from "./reserved-labels.js";

export interface PolicyModelOptions {
  /** Real id of the local cluster. */
  readonly clusterId: ClusterId;
  /** The map of prefixes: its name, and how many it has room for. */
  readonly prefixMap: { readonly name: string; readonly maxEntries: number };
  /** Node-local numbers that the maps had at the start. */
  readonly inMaps: NumbersInMaps;
}

export interface ModelChanges {
  readonly addresses: ReadonlySet<string>;
  readonly prefixes: ReadonlySet<string>;
  /** Something waits for another `settle`. */
  readonly again: boolean;
}

export interface PolicyModel {
  /** What records name; `settle` takes up what was changed in these. */
  readonly identities: KnownIdentities;
  readonly ports: IdentityPorts;
  readonly addresses: AddressIdentities;
  readonly ranges: ClusterRanges;
  readonly policies: EnforcedPolicies;
  /** Only `settle` gives it identities and policies; the caller gives it subjects. */
  readonly engine: PolicyEngine;
  /** By text, as of the last `settle`. */
  readonly prefixes: ReadonlyMap<string, DesiredPrefix>;
  /** The labels or ports of the identity are others than at the last `settle`. */
  touchIdentity(number: IdentityNumber): void;
  /**
   * `atOnce`: see `EnforcedPolicies.step`. `commit` commits the engine, which compares identities and policies at once: it is called
   * after some identities each, and must be called after it.
   */
  settle(atOnce: boolean, commit: () => void): Slices<ModelChanges>;
}

const IDENTITIES_PER_SLICE = 32;
const IDENTITIES_PER_COMMIT = 256;
const RESERVED_CLUSTER = 0;

/** Of clusters without records. */
export function createPolicyModel({ clusterId, prefixMap, inMaps }: PolicyModelOptions): PolicyModel {
  const engine = createPolicyEngine();
  const ports = createIdentityPorts();
  const touched = new Set<IdentityNumber>();
  const identities = createKnownIdentities((number) => touched.add(number));
  const ranges = createClusterRanges(clusterId);
  const toldApart = createPrefixIndex<Prefix>();
  const room = (): number => prefixMap.maxEntries - ranges.ranges.size - policies.prefixes.size;
  const policies: EnforcedPolicies = createEnforcedPolicies({ room, map: prefixMap });
  const local = createNodeLocalIdentities(inMaps);
  const homes = createHomePrefixes({
    supernet: ranges.supernet,
    containing: ({ address, length }) => toldApart.longest(address, length),
    isUsed: (cluster) => addresses.isUsed(cluster),
  });
  const addresses: AddressIdentities = createAddressIdentities(clusterId, {
    isKnown: (number) => labelsOf(number) !== undefined,
    longest: (address) => toldApart.longest(address),
    isOfPods: (address) => ranges.containing({ address: address as Prefix["address"], length: 128 }) !== undefined,
    homes,
    local,
  });
  const rows = createPrefixRows({ prefixes: policies.prefixes, ranges, local });

  function labelsOf(number: IdentityNumber) {
    return labelsOfReserved(number) ?? identities.labels(number);
  }

  function setNodeLocal({ number, base, prefix }: NodeLocalIdentity): void {
    const labels = labelsOf(base);
    if (labels !== undefined) engine.setIdentity(number, engineIdentity(labels, prefix, ports.of(base)));
  }

  function setIdentity(number: IdentityNumber): void {
    const labels = identities.labels(number);
    const home = homes.of(identityCluster(number));
    if (labels === undefined) engine.deleteIdentity(number);
    else engine.setIdentity(number, engineIdentity(labels, home, ports.of(number)));
    for (const one of local.of(number)) setNodeLocal(one);
  }

  function setReserved(): void {
    const { prefix, isApiserver } = addresses.host;
    engine.setIdentity(reservedIdentity("host"), engineIdentity(hostLabels(isApiserver), prefix, []));
    for (const name of ["health", "remote-node", "kube-apiserver"] as const)
      setReservedAs(reservedIdentity(name), homes.of(RESERVED_CLUSTER));
  }

  function setReservedAs(number: IdentityNumber, prefix: Prefix | undefined): void {
    const labels = labelsOfReserved(number);
    if (labels !== undefined) engine.setIdentity(number, engineIdentity(labels, prefix, []));
  }

  setReservedAs(reservedIdentity("world"), undefined);
  engine.setIdentity(unmanagedIdentity(clusterId), engineIdentity(UNMANAGED_LABELS, undefined, []));

  function* enforce({ remove, enforce: policies }: PolicySteps): Slices<void> {
    for (const name of remove) engine.deletePolicy(name);
    yield* inSlices(policies, 1, (policy) => engine.setPolicy(policy));
  }

  /** Tells other prefixes apart; returns them. */
  function tellApart(texts: ReadonlySet<string>): readonly Prefix[] {
    return [...texts].map((text) => {
      const prefix = parsePrefix(text);
      if (policies.prefixes.has(text)) toldApart.set(prefix, prefix);
      else toldApart.delete(prefix);
      return prefix;
    });
  }

  return {
    identities,
    ports,
    addresses,
    ranges,
    policies,
    engine,
    prefixes: rows.rows,
    touchIdentity: (number) => void touched.add(number),
    *settle(atOnce, commit) {
      const steps = policies.step(atOnce);
      const changedPrefixes = tellApart(steps.prefixes);
      const changed = ranges.takeChanges();
      const home = homes.update(changedPrefixes.length > 0, changed.supernets);
      yield* addresses.lookIn(changedPrefixes, home.addresses);
      const changedAddresses = yield* addresses.settle();
      const prefixes = rows.update(steps.prefixes, changed.ranges);
      for (const cluster of home.homes) for (const number of identities.of(cluster)) touched.add(number);
      const { made, forgotten, again } = local.takeChanges();
      // A new identity is compared with all policies, and a new policy with all identities: what comes in large numbers comes last.
      if (atOnce) yield* enforce(steps);
      let set = 0;
      const counted =
        <T>(take: (item: T) => void) =>
        (item: T) => {
          take(item);
          if (++set % IDENTITIES_PER_COMMIT === 0) commit();
        };
      yield* inSlices(touched, IDENTITIES_PER_SLICE, counted(setIdentity));
      touched.clear();
      setReserved();
      yield* inSlices(made, IDENTITIES_PER_SLICE, counted(setNodeLocal));
      yield* inSlices(
        forgotten,
        IDENTITIES_PER_SLICE,
        counted(({ number }) => engine.deleteIdentity(number)),
      );
      if (!atOnce) yield* enforce(steps);
      return {
        addresses: changedAddresses,
        prefixes,
        again: again || steps.again || home.again || addresses.isWaiting,
      };
    },
  };
}
