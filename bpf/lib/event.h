/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains the events that programs write for the agent: the first packet of a flow, its close, and drops.
 *
 *   a kind that the agent does not ask for ──► nothing: one load
 *   more than an endpoint may have of a kind and a reason ──► counted, here and in the next event that is written
 *   no room in the ring ──► counted
 *
 * So one endpoint cannot take the room of the others, and what is not written is known.
 */
#ifndef MESH_EVENT_H
#define MESH_EVENT_H

#include "decision.h"
#include "nat_scratch.h"
#include "packet.h"
#include "policy.h"

#define NS_PER_S 1000000000ULL

/* struct packet_event; the agent reads it. Its size is in bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 21);
} mesh_events_v1 SEC(".maps");

/* 0 -> which kinds are written */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct event_settings_row);
} mesh_event_settings_v1 SEC(".maps");

/* endpoint, kind and reason -> how many there were */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct event_limit_key);
	__type(value, struct event_limit_row);
} mesh_event_limits_v1 SEC(".maps");

static __always_inline bool wants_event(__u32 kind)
{
	const struct event_settings_row *settings;
	__u32 first = 0;

	settings = bpf_map_lookup_elem(&mesh_event_settings_v1, &first);
	return settings && READ_ONCE(settings->kinds) & (1U << kind);
}

/*
 * True when the endpoint may have one more of this kind and reason now: at most `per_s` a second, `burst` at once. `limited`
 * then has the number of those that it might not have since the last one. Programs on two CPUs that do this at once may let one
 * more pass.
 */
static __always_inline bool is_within_rate(const struct event_limit_key *key, __u64 now, __u32 per_s, __u32 burst, __u32 *limited)
{
	__u64 share = NS_PER_S / per_s, most = share * burst;
	struct event_limit_row fresh = {.due = now + share};
	struct event_limit_row *row;
	__u64 due;

	row = bpf_map_lookup_elem(&mesh_event_limits_v1, key);
	if (!row) {
		bpf_map_update_elem(&mesh_event_limits_v1, key, &fresh, BPF_ANY);
		return true;
	}
	due = READ_ONCE(row->due);
	due = (due > now ? due : now) + share;
	if (due - now > most) {
		__sync_fetch_and_add(&row->limited, 1);
		return false;
	}
	*(volatile __u64 *)&row->due = due;
	if (READ_ONCE(row->limited))
		*limited = __sync_lock_test_and_set(&row->limited, 0);
	return true;
}

static __always_inline bool may_write(const struct packet *packet, __u8 kind, __u8 reason, __u64 now, __u32 *limited)
{
	struct event_limit_key key = {.ifindex = packet->ifindex, .kind = kind, .reason = reason};
	bool may = kind == EVENT_DROP || kind == EVENT_AUDITED ? is_within_rate(&key, now, EVENT_DROPS_PER_S, EVENT_DROPS_BURST, limited) :
					is_within_rate(&key, now, EVENT_FLOWS_PER_S, EVENT_FLOWS_BURST, limited);

	if (!may)
		count(METRIC_EVENT_LIMITED);
	return may;
}

/*
 * Writes an event of the packet. Not inlined, because each program has several ends, and not static, so that the verifier
 * walks it once and not at each of them.
 */
__noinline int write_event(const struct packet *packet, __u32 kind, __u64 decision)
{
	__u32 verdict = FIELDS(decision, decision).verdict, reason = FIELDS(decision, decision).reason;
	__u64 now = bpf_ktime_get_ns();
	const struct orig_dst *orig_dst = orig_dst_scratch();
	const struct nat_scratch *answer;
	struct packet_event *event;
	__u32 limited = 0;

	/* For the verifier, which does not know the callers. */
	if (!packet || !orig_dst)
		return 0;
	if (!may_write(packet, kind, reason, now, &limited))
		return 0;
	event = bpf_ringbuf_reserve(&mesh_events_v1, sizeof(*event), 0);
	if (!event) {
		count(METRIC_EVENT_LOST);
		return 0;
	}
	/* The ring's memory has what was there before. */
	__builtin_memset(event, 0, sizeof(*event));
	event->time = now;
	event->version = EVENT_VERSION;
	event->kind = kind;
	event->point = packet->point;
	event->verdict = verdict;
	event->reason = reason;
	event->ifindex = packet->ifindex;
	event->limited = limited;
	event->length = packet->length;
	event->flags = packet->reply ? EVENT_REPLY : 0;
	__builtin_memcpy(event->source, packet->source, sizeof(event->source));
	__builtin_memcpy(event->target, packet->target, sizeof(event->target));
	if (packet->is_error && kind == EVENT_MOVED) {
		/* The error comes from a router as a rule: of the flow that it is about, the backend's end. */
		__builtin_memcpy(event->source, packet->from_b ? packet->flow.b : packet->flow.a, sizeof(event->source));
	}
	if (packet->has_ports || kind == EVENT_MOVED) {
		event->proto = packet->flow.proto;
		event->source_port = source_port(packet);
		event->target_port = target_port(packet);
		event->icmp_type = packet->icmp_type;
		event->icmp_code = packet->icmp_code;
		event->tcp = packet->tcp;
		if (packet->tcp & TCP_SYN)
			event->isn = packet->seq;
		event->move_reason = packet->move_reason;
	}
	/* Policy was asked about the backend that sent it. */
	answer = kind == EVENT_DROP || kind == EVENT_AUDITED ? moved_answer(packet) : NULL;
	if (answer) {
		__builtin_memcpy(event->source, answer_source(answer), sizeof(event->source));
		event->source_port = answer_source_port(answer);
	}
	if (packet->is_judged) {
		const struct judgement *judgement = judgement_scratch();

		event->source_identity = judgement ? judgement->identity[SOURCE] : 0;
		event->target_identity = judgement ? judgement->identity[TARGET] : 0;
		event->rule = judgement ? judgement->rule : 0;
	}
	if (packet->service) {
		event->service = packet->service;
		__builtin_memcpy(event->vip, orig_dst->vip, sizeof(event->vip));
		event->vip_port = orig_dst->vip_port;
		event->wire_port = orig_dst->wire_port;
		event->backend = orig_dst->backend;
	}
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* The event of a packet that was decided about, if it has one that the agent asks for. */
static __always_inline void emit(const struct packet *packet, __u64 decision)
{
	__u32 verdict = FIELDS(decision, decision).verdict;
	__u32 kind = verdict == VERDICT_DROP || verdict == VERDICT_REFUSE ? EVENT_DROP : packet->event;

	if (kind != EVENT_NONE && wants_event(kind))
		write_event(packet, kind, decision);
}

#endif
