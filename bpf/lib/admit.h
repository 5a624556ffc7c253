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
 *
 * In audit mode a pod denies nothing: what its policy does not allow passes and is noted like what it allows, with an event and
 * a counter of their own. A pod leaves the mode with another revision.
 */
#ifndef MESH_ADMIT_H
#define MESH_ADMIT_H

#include "conntrack.h"
#include "decision.h"
#include "endpoint.h"
#include "event.h"
#include "policy.h"

/* True for what an end sends that begins a flow, and never continues one. */
static __always_inline bool must_begin(const struct packet *packet)
{
	return (packet->tcp & (TCP_SYN | TCP_ACK)) == TCP_SYN || packet->icmp_type == ICMP_ECHO;
}

/* True for an ICMP error of a pod that is no end of the flow: pods are no routers, so it says something of others' flows. */
static __always_inline bool is_of_stranger(const struct packet *packet)
{
	__u32 identity;

	if (!packet->is_routed || !is_pod_address(packet->source))
		return false;
	identity = identity_of(packet->source, true);
	return identity >> LIMIT_IDENTITY_BITS && !is_unmanaged(identity);
}

/*
 * True for a packet of which the row of its flow says nothing, whatever it says. `flags`: of the packet's direction. A global
 * function, so that the verifier walks it once.
 */
__noinline int is_asked_anew(const struct packet *packet, __u32 flags)
{
	return packet && ((must_begin(packet) && !(flags & FLOW_INITIATOR)) || is_of_stranger(packet));
}

static __always_inline __u64 policy_of(const struct endpoint_row *pod)
{
	return pod ? READ_ONCE(pod->policy) : 0;
}

static __always_inline bool is_enforced(__u64 policy)
{
	return FIELDS(pod_policy_word, policy).set;
}

/* True for a policy that denies nothing, and reports what it does not allow. */
static __always_inline bool is_audited(__u64 policy)
{
	return FIELDS(pod_policy_word, policy).audit;
}

/* True when the flow's row says that this policy of the pod at an end of the packet allowed it. */
static __always_inline bool has_allowed(const struct packet *packet, const struct flow_row *row, __u64 hash, __u32 end, __u64 policy)
{
	__u64 word = READ_ONCE(row->word[flow_end(packet, end)]);

	return (FIELDS(flow_word, word).flags & FLOW_ALLOWED) &&
	       FIELDS(flow_word, word).rev == FIELDS(pod_policy_word, policy).revision &&
	       FIELDS(flow_word, word).check == flow_check(hash, READ_ONCE(row->gen));
}

/* With the reason why policy does not allow a packet: the pod is not in audit mode, so it may not pass. */
#define ENFORCED 0x100

/* Asks the policy of one end: the reason why it does not allow the packet. `is_begin`: as in policy_allows(). */
static __always_inline __u32 ask_end(const struct packet *packet, const struct judgement *judgement, __u32 end, __u32 is_begin)
{
	__u64 policy = judgement->policy[end];
	__u32 reason;

	if (!is_enforced(policy) || policy_allows(packet, end, is_begin))
		return DROP_NONE;
	reason = (end == SOURCE) == !!is_begin ? DROP_EGRESS_DENIED : DROP_INGRESS_DENIED;
	if (is_unmanaged(judgement->identity[!end]))
		reason = DROP_UNKNOWN_IDENTITY;
	return is_audited(policy) ? reason : reason | ENFORCED;
}

/* As ask_ends(), of an ICMP error: about a flow of which no row says that it may pass. */
static __always_inline __u32 ask_of_error(struct judgement *judgement)
{
	__u64 source = judgement->policy[SOURCE], target = judgement->policy[TARGET];

	judgement->rule = 0;
	if (is_enforced(source) && !is_audited(source))
		return DROP_EGRESS_DENIED | ENFORCED;
	if (is_enforced(target) && !is_audited(target))
		return DROP_INGRESS_DENIED | ENFORCED;
	return is_enforced(source) ? DROP_EGRESS_DENIED : DROP_INGRESS_DENIED;
}

/*
 * Asks the policies of both ends: the reason of the first that does not allow the packet, of those in audit mode only if the other
 * one lets it pass. What is noted of identities and the rule is that of the end that decided. A global function, so that the verifier
 * walks it once.
 */
__noinline int ask_ends(const struct packet *packet, __u32 is_begin)
{
	struct judgement *judgement = judgement_scratch();
	__u32 source, target, rule;

	/* For the verifier, which does not know the callers. */
	if (!packet || !judgement)
		return DROP_EGRESS_DENIED | ENFORCED;
	if (packet->is_error)
		return ask_of_error(judgement);
	source = ask_end(packet, judgement, SOURCE, is_begin);
	if (source & ENFORCED)
		return source;
	rule = judgement->rule;
	target = ask_end(packet, judgement, TARGET, is_begin);
	if (!source || target & ENFORCED)
		return target;
	judgement->rule = rule;
	judgement->identity[SOURCE] = IDENTITY_NONE;
	return source;
}

/* Notes in the flow's row, or for the row that it gets, that the policies let it pass. */
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

/* Counts a packet that passes in audit mode, and writes its event. `reason`: why it would be dropped. */
static __always_inline void report_audited(const struct packet *packet, __u32 reason)
{
	count(METRIC_EGRESS_AUDITED + reason - DROP_EGRESS_DENIED);
	if (wants_event(EVENT_AUDITED))
		write_event(packet, EVENT_AUDITED, WORD(decision, .verdict = VERDICT_AUDIT, .reason = reason));
}

/*
 * Asks the policies in judgement_scratch() about a packet: enum drop_reason. `index`, `place`, `hash`: of its flow's row;
 * LIMIT_FLOW_SET: it has none that counts. A global function, so that the verifier walks it once.
 */
__noinline int judge(struct packet *packet, __u32 index, __u32 place, __u64 hash)
{
	struct judgement *judgement = judgement_scratch();
	bool is_begin = true, may_be_answer;
	struct flow_row *row = NULL;
	__u32 flags = 0, reason, other;
	struct judgement first;
	struct flow_set *set;
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
	reason = ask_ends(packet, is_begin);
	if (reason && may_be_answer) {
		first = *judgement;
		judgement->identity[SOURCE] = judgement->identity[TARGET] = IDENTITY_NONE;
		other = ask_ends(packet, !is_begin);
		if (!other || (reason & ENFORCED && !(other & ENFORCED))) {
			packet->target_began = !row;
			reason = other;
		} else {
			/* What is noted is that of the reason. */
			*judgement = first;
		}
	}
	packet->is_judged = 1;
	if (reason & ENFORCED)
		return reason & ~ENFORCED;
	if (!packet->is_error)
		note_allowed(packet, row, hash, judgement);
	if (reason)
		report_audited(packet, reason);
	return DROP_NONE;
}

/*
 * The reason why the packet may not pass, or DROP_NONE. `flow`: of find_flow(), after settle(). `source`, `target`: policies
 * (policy_of()) of its ends that are pods of this node. A fragment after the first passes when the first one did; without that one
 * it is asked about as a packet whose ports are not known. An ICMP error passes while its flow does: of itself no policy says anything.
 */
static __always_inline enum drop_reason admit(struct packet *packet, const struct tracked *flow, __u64 source, __u64 target)
{
	struct judgement *judgement;
	bool is_anew;

	if (!is_enforced(source | target) || packet->way & FRAGMENT_FIRST_SEEN)
		return DROP_NONE;
	is_anew = is_asked_anew(packet, flow->flags);
	if (flow->row && !is_anew && (!is_enforced(source) || has_allowed(packet, flow->row, flow->hash, SOURCE, source)) &&
	    (!is_enforced(target) || has_allowed(packet, flow->row, flow->hash, TARGET, target)))
		return DROP_NONE;
	judgement = judgement_scratch();
	if (!judgement)
		return DROP_EGRESS_DENIED;
	judgement->policy[SOURCE] = source;
	judgement->policy[TARGET] = target;
	return judge(packet, flow->index, flow->row && !is_anew ? flow->place : LIMIT_FLOW_SET, flow->hash);
}

/*
 * The reason why a packet whose ports are not read may not pass an end with this policy, or DROP_NONE. No rule can be asked about it:
 * what the kernel makes of it behind this program may be any packet. `denied`: enum drop_reason of that end. A global function, for the
 * callers' frames have no room.
 */
__noinline int admit_unread(const struct packet *packet, __u64 policy, __u32 denied)
{
	if (!is_enforced(policy))
		return DROP_NONE;
	/* A packet always, but for the verifier. */
	if (!packet || !is_audited(policy))
		return denied;
	report_audited(packet, denied);
	return DROP_NONE;
}

#endif
