/** The parts of policy, over the maps of mode `packets`: what is enforced for pods, then which identity addresses have. */
import type { PolicyPort } from "@isthmus/bpf";
import type { Slices } from "@isthmus/runtime";
import type { Part } from "../../apply/part.js";
import type { DesiredPolicy } from "@isthmus/node-policy";
import { type AdoptedNumbers, adoptedNumbers, adoptIdentities, createIdentitiesPart } from "./identities-part.js";
import { createIdentityUses, type PodPolicies, type PolicySync } from "./modules.js";
import { createPolicySetsPart, type PolicyPartChanges } from "./policy-sets-part.js";
import type { Revisions } from "./revisions.js";
import { openSetStore } from "./set-store.js";

export interface PolicyModules {
  /** The maps, which nothing else may write meanwhile. */
  readonly port: PolicyPort;
  /** Of the same maps. */
  readonly revisions: Revisions;
  /** The pods of this node. */
  readonly pods: PodPolicies;
  /** Read when it is planned; `touch` names what changed in it. */
  readonly desired: DesiredPolicy;
  /** What of the desired state is complete. */
  readonly sync: PolicySync;
}

export interface PolicyParts {
  /** In the order of writing. */
  readonly parts: readonly Part<PolicyPartChanges>[];
  /** Numbers that are taken for other meanings than they had must not be among these. */
  readonly adoptedNumbers: AdoptedNumbers;
  /** The maps have the desired policy of the pod with this address (`bytesKey`), and its identity. */
  isReady(address: string): boolean;
  /** What is not in the maps as desired, by name. */
  errors(): Iterable<readonly [string, Error]>;
}

export interface PolicyPartsOptions {
  /** Id of the local cluster. */
  readonly localCluster: number;
  /** Resolves when no program that began before the call still runs. */
  readonly gracePeriod: () => Promise<void>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** Adopts the rows of the maps. */
export function* createPolicyParts(
  modules: PolicyModules,
  { localCluster, gracePeriod, now }: PolicyPartsOptions,
): Slices<PolicyParts> {
  const { port, desired } = modules;
  const uses = createIdentityUses();
  const adopted = yield* adoptIdentities(port, uses);
  const store = yield* openSetStore(port);
  const inSets = [...store.adopted.values()].flatMap(({ rows }) => [...rows.keys()]);
  const numbers = adoptedNumbers(adopted, inSets);
  const sets = createPolicySetsPart(port, store, { ...modules, uses, gracePeriod, now });
  const identities = createIdentitiesPart(port, { ...modules, adopted, uses, rows: sets, localCluster, now });
  const parts = [sets, identities, sets.firstWords];
  return {
    parts,
    adoptedNumbers: numbers,
    isReady(address) {
      const wanted = desired.addresses.get(address);
      return wanted !== undefined && identities.identityOf(address) === wanted && sets.isCurrent(address);
    },
    errors: () => new Map(parts.flatMap(({ status }) => [...status.errors])),
  };
}
