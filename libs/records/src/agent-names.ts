/** Names that agents send to the server and that it acts on. */

/** Capability of an agent that enforces the policies up to the position that it acknowledges, in the mode that it runs in. */
export const POLICIES = "policies";

/** Condition of a node on which policies are not in force as they are written: the server does not count it for any. */
export const POLICY_NOT_ENFORCED = "PolicyNotEnforced";
