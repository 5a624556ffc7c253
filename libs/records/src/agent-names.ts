/** Names that agents send to the server and that it acts on, and bounds of what they send. */

/** Capability of an agent that enforces the policies up to the position that it acknowledges, in the mode that it runs in. */
export const POLICIES = "policies";

/** Condition of a node on which policies are not in force as they are written: the server does not count it for any. */
export const POLICY_NOT_ENFORCED = "PolicyNotEnforced";

/** Policies that an agent names as refused; it counts the others. */
export const MAX_REFUSED_POLICIES = 16;

/** UTF-16 units of the reason for which one is refused. */
export const MAX_REFUSAL_REASON = 256;
