/** The conditions that a policy of Cilium's kinds should have from this program (pure); NetworkPolicies have no status. */
import { type KnownPolicy, notAccepted } from "../cluster/policies/policy-table.js";
import { CONDITION_PREFIX, type Verdict } from "../objects/conditions.js";

/** The conditions with their reasons; docs/reference/conditions.md is made of the comments. */
export interface PolicyReasons {
  /** The policy is in force as it is written. */
  readonly "mesh.isthmus.io/Accepted":
    | /** Status True. */ "InForce"
    /**
     * Status False: the present generation cannot be enforced as it is written, so nothing of it is in force, and the last accepted one
     * stays. Fix: do what the message says of the field that it names.
     */
    | "PolicyNotAccepted";
  /** Every node enforces the generation that is in force. */
  readonly "mesh.isthmus.io/Enforced":
    | /** Status True. */ "OnAllNodes"
    /**
     * Status False: the message has the number of nodes, and names some whose agents refuse it, with the reason, or do not report
     * what they enforce. The others have not applied it yet, are not connected, or enforce no policies. What a refused generation
     * replaced stays in force. Fix: run the same version of apiserver and agents, or do what the reason says; when it lasts, see
     * `mesh status` and `mesh policy list`.
     */
    | "OnSomeNodes"
    /** Status False: no generation was ever accepted. Fix: see Accepted. */
    | "NothingInForce"
    /** Status Unknown: the apiserver does not know the cluster's nodes yet. */
    | "NodesNotKnown";
}

const ACCEPTED = `${CONDITION_PREFIX}Accepted` as const;
const ENFORCED = `${CONDITION_PREFIX}Enforced` as const;

/** Nodes that enforce the generation in force, and all nodes. */
export interface NodeCount {
  /** At most `of`. */
  readonly nodes: number;
  /** Nodes of the cluster, above 0. */
  readonly of: number;
  /** Why nodes do not: some sentences. */
  readonly why: readonly string[];
}

/** `enforced` undefined: the nodes are not known. */
export function wantedPolicyConditions(policy: KnownPolicy, enforced: NodeCount | undefined): readonly Verdict[] {
  return [acceptedVerdict(policy), enforcedVerdict(policy, enforced)];
}

function acceptedVerdict(policy: KnownPolicy): Verdict {
  const verdict = (status: "True" | "False", reason: PolicyReasons[typeof ACCEPTED], message: string): Verdict => ({
    ...{ type: ACCEPTED, status, reason, message },
  });
  const why = notAccepted(policy);
  if (why !== undefined) return verdict("False", "PolicyNotAccepted", why);
  return verdict("True", "InForce", `Generation ${policy.accepted?.generation} is in force`);
}

function enforcedVerdict({ accepted }: KnownPolicy, enforced: NodeCount | undefined): Verdict {
  const verdict = (status: Verdict["status"], reason: PolicyReasons[typeof ENFORCED], message: string): Verdict => ({
    ...{ type: ENFORCED, status, reason, message },
  });
  if (accepted === undefined) return verdict("False", "NothingInForce", "No generation was accepted yet");
  if (enforced === undefined) return verdict("Unknown", "NodesNotKnown", "The nodes of the cluster are not known yet");
  const { nodes, of, why } = enforced;
  const message = [`Generation ${accepted.generation} is enforced on ${nodes} of ${of} nodes`, ...why].join("; ");
  return nodes === of ? verdict("True", "OnAllNodes", message) : verdict("False", "OnSomeNodes", message);
}
