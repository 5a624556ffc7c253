/**
 * Policies that are not enforced. A change to mode `sockets`, which enforces none, is refused while the programs of mode `packets`
 * enforce policies for pods, and a node in it has a condition while policies select its pods. A node in mode `packets` has it while
 * its maps do not hold what policies say.
 */
import { type Address, bytesKey, formatAddress, MeshError } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { isOpen } from "@isthmus/policy";
import { POLICY_NOT_ENFORCED } from "@isthmus/records";
import type { MeshState } from "./desired/mesh-state.js";
import type { PodAttachment } from "./pods/index.js";

/** Pods that are named in a sentence; the others are counted. */
const NAMED = 3;

export interface UnenforcedCheckModules {
  /** `--unenforced-policy`: nothing is refused. */
  readonly accepted: boolean;
  /** The pods that were attached last, for their names. */
  readonly attachedPods: () => Promise<readonly PodAttachment[]>;
  readonly log: Logger;
}

/** The function takes the addresses of pods whose policies would not be enforced any more; rejects with `POLICY_IN_FORCE`. */
export function createUnenforcedCheck(modules: UnenforcedCheckModules): (pods: readonly Address[]) => Promise<void> {
  const { accepted, attachedPods, log } = modules;
  return async (addresses) => {
    const known = await attachedPods().catch(() => []);
    const names = new Map(
      known.flatMap((pod) => pod.addresses.map((address) => [bytesKey(address), `${pod.namespace}/${pod.name}`])),
    );
    const pods = [
      ...new Set(addresses.map((address) => names.get(bytesKey(address)) ?? formatAddress(address))),
    ].sort();
    const [count, named] = [pods.length, enumerate(pods)];
    if (accepted) return log.warn("Policies are not enforced any more", { pods: count, first: pods.slice(0, NAMED) });
    throw new MeshError(
      { code: "POLICY_IN_FORCE", pods: count },
      `Cannot change to --datapath-mode sockets, which enforces no policies: policies select ${count} of this node's pods (${named}) ` +
        "and stay in force; start the agent with --datapath-mode packets and delete the policies first, " +
        "or open these pods with --unenforced-policy",
    );
  };
}

export interface UnenforcedReportModules {
  /** The pods of this node, and the policies that select them. */
  readonly meshState: Pick<MeshState, "pods" | "policy" | "policyEngine">;
  /** Sets the condition, or removes it (undefined). */
  readonly condition: (type: string, message: string | undefined) => void;
}

/** The function is called when pods or policies may have changed. */
export function createUnenforcedReport({ meshState, condition }: UnenforcedReportModules): () => void {
  return () => {
    const policies = new Set<string>();
    let pods = 0;
    for (const { addresses } of meshState.pods.attached()) {
      const keys = addresses.map(bytesKey).filter((key) => {
        const subject = meshState.policy.subjects.get(key);
        return subject !== undefined && !isOpen(subject.set);
      });
      if (keys.length === 0) continue;
      pods++;
      for (const key of keys) for (const { policy } of meshState.policyEngine.policiesOf(key)) policies.add(policy);
    }
    condition(
      POLICY_NOT_ENFORCED,
      pods === 0
        ? undefined
        : `policies are not enforced, because its node-agent runs with --datapath-mode sockets: ${policies.size} ` +
            `(${enumerate([...policies].sort())}) for ${pods} of its pods; start it with --datapath-mode packets`,
    );
  };
}

export interface FailedPoliciesModules {
  /** What of policies is not in the maps as desired, by name. */
  readonly errors: () => Iterable<readonly [string, Error]>;
  /** Sets the condition, or removes it (undefined). */
  readonly condition: (type: string, message: string | undefined) => void;
}

/** The function is called when an apply has ended, before it is acknowledged. */
export function createFailedPolicies({ errors, condition }: FailedPoliciesModules): () => void {
  return () => {
    const failed = [...errors()];
    const [first] = failed;
    condition(
      POLICY_NOT_ENFORCED,
      first === undefined
        ? undefined
        : `policies are not enforced as they are written, and what was enforced before stays: ` +
            `${enumerate(failed.map(([name]) => name))}: ${first[1].message}`,
    );
  };
}

function enumerate(names: readonly string[]): string {
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : "";
  return names.slice(0, NAMED).join(", ") + more;
}
