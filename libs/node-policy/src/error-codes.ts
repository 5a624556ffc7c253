/** Codes of this package's errors; docs/reference/errors.md is made of them. */
export type NodePolicyErrorCode =
  /**
   * A record gives an identity labels or a number that its cluster may not give, or other labels than the number had; what was known
   * of it stays. Fix: run the same version of apiserver and agents in all clusters; when a cluster's etcd was restored, restart the
   * agents.
   */
  | "IDENTITY_RECORD"
  /**
   * A policy names more address ranges than the node's map has room for, so it is not enforced there; what it replaces stays in force,
   * and it is tried again when ranges were given up. Fix: name fewer or wider ranges in policies.
   */
  | "MAP_FULL"
  /**
   * The apiserver accepted a policy that this agent cannot read, so it is not enforced here; what it replaces stays in force. Fix: run
   * the same version of apiserver and agent.
   */
  | "POLICY_RECORD";
