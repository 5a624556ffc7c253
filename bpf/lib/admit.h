/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains whether a packet may pass: what the policies of its ends that are pods of this node say of its flow.
 *
 * A packet is asked about in each program that sees it, before its flow gets a row. The word of an end in that row says that
 * the policy of the pod at this end allowed the flow, and at which revision; while the pod has that revision, the packets of
 * both directions pass. So answers pass without a rule of their own, and a policy that allows less is a new revision.
 *
 *   a row that the policies of both ends allowed ──► passes
 *   no row, or another revision ──► each end that has a policy is asked: what began the flow is egress there, else ingress
 *   TCP that begins nothing, without a row ──► as its answer too: the row may have been another's since
 *
 * A packet that is denied gives its flow no row, and leaves the one that it has.
 */
#ifndef MESH_ADMIT_H
#define MESH_ADMIT_H

#include "conntrack.h"
#include "decision.h"
#include "endpoint.h"
#include "policy.h"

static __always_inline __u64 policy_of(const struct endpoint_row *pod)
{
	return pod ? READ_ONCE(pod->policy) : 0;
}

static __always_inline bool is_enforced(__u64 policy)
{
	return FIELDS(pod_policy_word, policy).set;
}

/* True when the flow's row says that this policy of the pod at an end of the packet allowed it. */
static __always_inline bool has_allowed(const struct packet *packet, const struct flow_row *row, __u64 hash, __u32 end, __u64 policy)
{
	__u64 word = READ_ONCE(row->word[flow_end(packet, end)]);

	return (FIELDS(flow_word, word).flags & FLOW_ALLOWED) &&
	       FIELDS(flow_word, word).rev == FIELDS(pod_policy_word, policy).revision &&
	       FIELDS(flow_word, word).check == flow_check(hash, READ_ONCE(row->gen));
}

/* Asks the policies of both ends; the reason of the first that denies. `is_begin`: as in policy_allows(). */
static __always_inline enum drop_reason ask_ends(const struct packet *packet, const struct judgement *judgement, bool is_begin)
{
	for (__u32 end = SOURCE; end <= TARGET; end++) {
		if (!is_enforced(judgement->policy[end]) || policy_allows(packet, end, is_begin))
			continue;
		if (is_unmanaged(judgement->identity[!end]))
			return DROP_UNKNOWN_IDENTITY;
		return (end == SOURCE) == is_begin ? DROP_EGRESS_DENIED : DROP_INGRESS_DENIED;
	}
	return DROP_NONE;
}

/* Notes in the flow's row, or for the row that it gets, what the policies allow. */
static __always_inline void note_allowed(struct packet *packet, struct flow_row *row, __u64 hash, const struct judgement *judgement)
{
	for (__u32 end = SOURCE; end <= TARGET; end++) {
		__u32 place = flow_end(packet, end);
		__u16 check;
		__u64 word;

		if (!is_enforced(judgement->policy[end]))
			continue;
		packet->allowed |= 1 << end;
		if (!row)
			continue;
		check = flow_check(hash, READ_ONCE(row->gen));
		word = READ_ONCE(row->word[place]);
		if (FIELDS(flow_word, word).check == check)
			*(volatile __u64 *)&row->word[place] =
				flow_word(check, FIELDS(flow_word, word).flags | FLOW_ALLOWED,
					  FIELDS(pod_policy_word, judgement->policy[end]).revision);
	}
}

/*
 * Asks the policies in judgement_scratch() about a packet: enum drop_reason. `index`, `place`, `hash`: of its flow's row;
 * LIMIT_FLOW_SET: it has none that counts. A global function, so that the verifier walks it once.
 */
__noinline int judge(struct packet *packet, __u32 index, __u32 place, __u64 hash)
{
	struct judgement *judgement = judgement_scratch();
	struct flow_row *row = NULL;
	enum drop_reason reason;
	bool is_begin = true, may_be_answer;
	struct flow_set *set;
	__u32 flags = 0;
	__u64 word;

	if (!packet || !judgement)
		return DROP_EGRESS_DENIED;
	count(METRIC_JUDGED);
	judgement->identity[SOURCE] = judgement->identity[TARGET] = IDENTITY_NONE;
	set = bpf_map_lookup_elem(&mesh_conntrack_v2, &index);
	if (set && place < LIMIT_FLOW_SET) {
		row = row_at(set, place);
		word = READ_ONCE(row->word[packet->from_b & 1]);
		flags = FIELDS(flow_word, word).flags;
		is_begin = flags & FLOW_INITIATOR;
	}
	may_be_answer = row ? flags & FLOW_PICKED_UP : packet->has_ports && !begins_flow(packet);
	reason = ask_ends(packet, judgement, is_begin);
	if (reason && may_be_answer && !ask_ends(packet, judgement, !is_begin)) {
		packet->target_began = !row;
		reason = DROP_NONE;
	}
	packet->is_judged = 1;
	if (!reason)
		note_allowed(packet, row, hash, judgement);
	return reason;
}

/*
 * The reason why the packet may not pass, or DROP_NONE. `flow`: of find_flow(), after settle(). `source`, `target`: policies
 * (policy_of()) of its ends that are pods of this node. A fragment after the first has no flow: without
 * the first one no receiver has a use for it. An ICMP error passes while its flow does: of itself no policy says anything.
 */
static __always_inline enum drop_reason admit(struct packet *packet, const struct tracked *flow, __u64 source, __u64 target)
{
	bool is_anew = is_syn(packet) && !(flow->flags & FLOW_INITIATOR);
	struct judgement *judgement;

	if (!is_enforced(source | target) || is_later_fragment(packet))
		return DROP_NONE;
	if (flow->row && !is_anew && (!is_enforced(source) || has_allowed(packet, flow->row, flow->hash, SOURCE, source)) &&
	    (!is_enforced(target) || has_allowed(packet, flow->row, flow->hash, TARGET, target)))
		return DROP_NONE;
	judgement = judgement_scratch();
	if (!judgement || packet->is_error)
		return is_enforced(source) ? DROP_EGRESS_DENIED : DROP_INGRESS_DENIED;
	judgement->policy[SOURCE] = source;
	judgement->policy[TARGET] = target;
	return judge(packet, flow->index, flow->row && !is_anew ? flow->place : LIMIT_FLOW_SET, flow->hash);
}

#endif
