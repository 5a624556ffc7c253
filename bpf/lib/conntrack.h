/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains the flows between pods of the mesh (mesh_conntrack): one row per flow and node, for both
 * directions.
 *
 *   SYN, or UDP, or ICMP echo without a row ──► new: the way of its first packet is that of its answers
 *   other TCP without a row ──► picked up: both directions through the stack, which may know more of it
 *   SYN on a flow that ended, or past the stack on one whose answers go through it ──► new
 *
 * Addresses and ports name a set of LIMIT_FLOW_SET rows, and the flow is in any of them. A new flow takes the row that is
 * needed least (use_of()): one that was never used or whose flow ended, then one whose flow was never answered, then the
 * one that was silent longest. So a flood of SYNs takes rows of its own kind, and what it costs is one set per packet.
 *
 * What is known of a flow that began at a pod which dialled a Service is in a body (mesh_flow_bodies), at the place of its
 * row. A body is written only while its row is taken for the flow.
 *
 * Which flow a row has may change at any time. What changes otherwise is one word per direction; it carries a check of
 * the key and of the row's `gen`, so a word that is stored too late is a miss for the flow that has the row by then, and
 * not believed.
 */
#ifndef MESH_CONNTRACK_H
#define MESH_CONNTRACK_H

#include "config.h"
#include "hash.h"
#include "metrics.h"
#include "packet.h"
#include "policy.h"

struct flow_set {
	struct flow_row row[LIMIT_FLOW_SET];
};

/* set of a flow -> its rows */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct flow_set);
} mesh_conntrack_v2 SEC(".maps");

struct flow_body_set {
	struct flow_body body[LIMIT_FLOW_SET];
};

/* set of a flow -> the bodies of its rows */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct flow_body_set);
} mesh_flow_bodies_v1 SEC(".maps");

/* 0 -> CONFIG(flow_seed). For the agent alone, whose versions must load the same number while they share flows. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} mesh_flow_seed_v1 SEC(".maps");

/* The flow of a packet, and where it is in mesh_conntrack. */
struct tracked {
	struct flow_set *set;
	struct flow_row *row; /* NULL: no row */
	__u64 hash;
	__u32 index; /* of the set */
	__u32 flags; /* of the packet's direction */
	__u16 now;   /* as flow_row.seen */
	__u16 place; /* of the row in its set */
};

static __always_inline __u64 mix(__u64 hash)
{
	return (hash ^ hash >> 32) * ROW_CHECK;
}

/*
 * Sets the flow's hash, and returns the number of its set. Flows between two addresses whose ports follow each other are
 * in sets that do: a client takes its ports in turn, and the next set is in a cache more often than any other.
 */
static __always_inline __u32 place_of(const struct flow_key *key, __u64 *hash)
{
	__u64 ends = row_check(ROW_CHECK ^ CONFIG(flow_seed), key, 4);
	__u64 ports = bpf_ntohs(key->pa) + bpf_ntohs(key->pb);

	*hash = mix(row_check(ends, (const __u64 *)key + 4, 1));
	return ((mix(ends) >> 32) + ports) & (CONFIG(flow_sets) - 1);
}

static __always_inline __u16 flow_check(__u64 hash, __u32 gen)
{
	return ((hash ^ gen) * ROW_CHECK) >> 48;
}

static __always_inline __u64 flow_word(__u16 check, __u32 flags, __u32 revision)
{
	return WORD(flow_word, .rev = revision, .check = check, .flags = flags);
}

/* The number of an end of the packet (SOURCE, TARGET) in its flow. */
static __always_inline __u32 flow_end(const struct packet *packet, __u32 end)
{
	return (packet->from_b ^ end) & 1;
}

static __always_inline bool has_key(const struct flow_row *row, const struct flow_key *key)
{
	const volatile __u64 *a = (const void *)&row->key;
	const __u64 *b = (const void *)key;

	/* The ports differ most. */
	return a[4] == b[4] && a[1] == b[1] && a[3] == b[3] && a[0] == b[0] && a[2] == b[2];
}

/*
 * The functions that look at the rows of a set are global: the verifier walks each once, and what follows a call once
 * instead of once for each row.
 */

/* The row of the set that has this key; LIMIT_FLOW_SET if none has. */
__noinline int row_of_flow(const struct flow_set *set, const struct flow_key *key)
{
	if (set && key)
		for (int i = 0; i < LIMIT_FLOW_SET; i++)
			if (has_key(&set->row[i], key))
				return i;
	return LIMIT_FLOW_SET;
}

/* The row at a place below LIMIT_FLOW_SET. The verifier may have lost that bound, which the compiler then keeps. */
static __always_inline struct flow_row *row_at(struct flow_set *set, __u32 place)
{
	barrier_var(place);
	return &set->row[place & (LIMIT_FLOW_SET - 1)];
}

/* Looks the packet's flow up: its row if that is whole, with the flags of the packet's direction. */
static __always_inline void find_flow(const struct packet *packet, struct tracked *flow)
{
	struct flow_row *row;
	__u32 place, gen;
	__u64 word;

	flow->index = place_of(&packet->flow, &flow->hash);
	flow->set = bpf_map_lookup_elem(&mesh_conntrack_v2, &flow->index);
	flow->now = bpf_ktime_get_coarse_ns() >> 30;
	if (!flow->set)
		return;
	place = row_of_flow(flow->set, &packet->flow);
	if (place >= LIMIT_FLOW_SET)
		return;
	row = row_at(flow->set, place);
	gen = READ_ONCE(row->gen);
	word = READ_ONCE(row->word[packet->from_b & 1]);
	if (gen < FLOW_GEN_FIRST)
		return;
	if (FIELDS(flow_word, word).check != flow_check(flow->hash, gen)) {
		count(METRIC_CHECK_MISMATCH);
		return;
	}
	flow->row = row;
	flow->place = place;
	flow->flags = FIELDS(flow_word, word).flags;
}

#define BODY_WORDS ((int)(sizeof(struct flow_body) / 8) - 1)

static __always_inline __u64 body_check(const struct flow_body *body, __u64 hash, __u32 gen)
{
	return row_check(ROW_CHECK ^ hash ^ gen, body, BODY_WORDS);
}

static __always_inline struct flow_body *body_at(__u32 index, __u32 place)
{
	struct flow_body_set *set = bpf_map_lookup_elem(&mesh_flow_bodies_v1, &index);

	return set ? &set->body[place & (LIMIT_FLOW_SET - 1)] : NULL;
}

/* Reads the body of the flow's row; false when it has none. */
static __always_inline bool read_body(const struct tracked *flow, struct flow_body *body)
{
	const struct flow_body *found = flow->flags & FLOW_SERVICE ? body_at(flow->index, flow->place) : NULL;

	if (!found)
		return false;
	copy_once(body, found, BODY_WORDS + 1);
	return body->check == body_check(body, flow->hash, READ_ONCE(flow->row->gen));
}

/*
 * Writes what the packet's pod dialled, into the body of a row that is taken for its flow with this gen; 0 when there is no
 * such body. A frame of its own, as take_body().
 */
__noinline int write_body(const struct packet *packet, __u32 index, __u32 place, __u64 hash, __u32 gen)
{
	const struct orig_dst *orig_dst = orig_dst_scratch();
	struct flow_body *to = body_at(index, place);
	struct flow_body body = {};

	if (!packet || !orig_dst || !to)
		return 0;
	__builtin_memcpy(body.vip, orig_dst->vip, sizeof(body.vip));
	body.vip_port = orig_dst->vip_port;
	body.service = packet->service;
	body.backend = orig_dst->backend;
	body.isn = packet->flow.proto == IPPROTO_TCP ? packet->seq : 0;
	body.check = body_check(&body, hash, gen);
	*to = body;
	return 1;
}

/* enum flow_sent bits of a packet. */
static __always_inline __u8 sent_bits(const struct packet *packet)
{
	return (packet->tcp & TCP_SYN ? FLOW_SENT_SYN : 0) | (packet->tcp & TCP_FIN ? FLOW_SENT_FIN : 0) |
	       (packet->tcp & TCP_RST ? FLOW_SENT_RST : 0) | (packet->tcp & (TCP_SYN | TCP_RST) ? 0 : FLOW_SENT_DATA);
}

/* True for a flow of TCP of which nothing was heard but a SYN. `client`: the end that sent it, 0 for a, 1 for b. */
static __always_inline bool is_unanswered(const struct flow_row *row, __u32 client)
{
	return READ_ONCE(row->sent[client & 1]) == FLOW_SENT_SYN && !READ_ONCE(row->sent[!(client & 1)]);
}

/* True for a flow of TCP of which one end has sent RST, or both FIN. */
static __always_inline bool is_closing(const struct flow_row *row)
{
	__u8 a = READ_ONCE(row->sent[0]), b = READ_ONCE(row->sent[1]);

	return ((a | b) & FLOW_SENT_RST) || (a & b & FLOW_SENT_FIN);
}

/* True for a flow of which no more packets are expected, so that its row may be another's. */
static __always_inline bool has_ended(const struct flow_row *row, __u16 now)
{
	__u16 idle = now - READ_ONCE(row->seen);

	return row->key.proto == IPPROTO_TCP ? is_closing(row) : idle > LIMIT_FLOW_IDLE;
}

enum flow_use {
	FLOW_USE_OWN = 0,	 /* the row has this flow */
	FLOW_USE_NONE = 1,	 /* it was never used */
	FLOW_USE_ENDED = 2,	 /* its flow ended */
	FLOW_USE_UNANSWERED = 3, /* of its flow only one end was heard, or no more than SYNs */
	FLOW_USE_LIVE = 4,
	FLOW_USE_BUSY = 5,
};

/* Ages that a use has, and the rows that may have each. */
#define FLOW_USE_UNIT (0x10000ULL * LIMIT_FLOW_SET)

/* What a row is used for, in the high half, and how recently. The lowest is the row to take. */
__noinline __u32 use_of(const struct flow_row *row, const struct flow_key *key, __u32 now)
{
	__u32 gen, use = FLOW_USE_LIVE;
	__u16 idle;
	__u8 a, b;

	if (!row || !key)
		return FLOW_USE_BUSY << 16;
	a = READ_ONCE(row->sent[0]);
	b = READ_ONCE(row->sent[1]);
	idle = now - READ_ONCE(row->seen);
	gen = READ_ONCE(row->gen);
	if (has_key(row, key))
		use = FLOW_USE_OWN;
	else if (gen == FLOW_GEN_BUSY)
		use = FLOW_USE_BUSY;
	else if (gen == FLOW_GEN_UNUSED)
		use = FLOW_USE_NONE;
	else if (has_ended(row, now) || idle > LIMIT_FLOW_IDLE_TCP)
		use = FLOW_USE_ENDED;
	else if (!a || !b || !((a | b) & FLOW_SENT_DATA))
		use = FLOW_USE_UNANSWERED;
	return use << 16 | (__u16)~idle;
}

/*
 * The row of the set that is needed least; of those that are needed as little, one that depends on the flow's hash.
 * LIMIT_FLOW_SET if all are busy.
 */
__noinline int row_to_take(const struct flow_set *set, const struct flow_key *key, __u64 hash, __u32 now)
{
	__u64 least = FLOW_USE_BUSY * FLOW_USE_UNIT;
	int taken = LIMIT_FLOW_SET;

	if (!set || !key)
		return taken;
	for (int i = 0; i < LIMIT_FLOW_SET; i++) {
		__u64 use = use_of(&set->row[i], key, now) * LIMIT_FLOW_SET + (i + hash) % LIMIT_FLOW_SET;

		taken = use < least ? i : taken;
		least = use < least ? use : least;
	}
	if (least / FLOW_USE_UNIT == FLOW_USE_LIVE)
		count(METRIC_FLOW_EVICTED);
	return taken;
}

/* The word of an end of the packet (SOURCE, TARGET) in its flow's new row. */
static __always_inline __u64 first_word(const struct packet *packet, __u32 end, __u16 check, __u32 flags)
{
	const struct judgement *judgement = packet->allowed & 1 << end ? judgement_scratch() : NULL;
	__u32 revision = judgement ? FIELDS(pod_policy_word, judgement->policy[end]).revision : 0;

	if (end == (packet->target_began ? TARGET : SOURCE))
		flags |= FLOW_INITIATOR;
	return flow_word(check, judgement ? flags | FLOW_ALLOWED : flags, revision);
}

/* Gives a row to the packet's flow, which `flow` has then; false when there is none to be had. */
static __always_inline bool insert_flow(const struct packet *packet, struct tracked *flow, __u32 flags, __u32 answers)
{
	__u32 place = row_to_take(flow->set, &packet->flow, flow->hash, flow->now), gen;
	struct flow_row *row;
	__u16 check;

	if (!flow->set || place >= LIMIT_FLOW_SET)
		return false;
	row = row_at(flow->set, place);
	gen = READ_ONCE(row->gen);
	if (gen == FLOW_GEN_BUSY || __sync_val_compare_and_swap(&row->gen, gen, FLOW_GEN_BUSY) != gen)
		return false;
	gen = gen + 1 < FLOW_GEN_FIRST ? FLOW_GEN_FIRST : gen + 1;
	check = flow_check(flow->hash, gen);
	if (packet->is_moved) {
		flags |= FLOW_NAT;
		answers |= FLOW_NAT;
	}
	if (packet->service && write_body(packet, flow->index, place, flow->hash, gen)) {
		flags |= FLOW_SERVICE;
		answers |= FLOW_SERVICE;
	}
	row->key = packet->flow;
	row->word[packet->from_b & 1] = first_word(packet, SOURCE, check, flags);
	row->word[!(packet->from_b & 1)] = first_word(packet, TARGET, check, answers);
	row->sent[packet->from_b & 1] = sent_bits(packet);
	row->sent[!(packet->from_b & 1)] = 0;
	row->seen = flow->now;
	/* A full barrier: a program that reads this gen reads what stands above. */
	__sync_lock_test_and_set(&row->gen, gen);
	flow->row = row;
	flow->place = place;
	flow->flags = packet->target_began ? flags : flags | FLOW_INITIATOR;
	return true;
}

/* True for a packet that begins a flow: the first SYN of TCP, any packet of what has no connections. */
static __always_inline bool begins_flow(const struct packet *packet)
{
	return packet->flow.proto != IPPROTO_TCP || (packet->tcp & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* True for a packet that asks what its pod dialled: one that begins a flow, or may begin it anew. */
static __always_inline bool may_begin(const struct packet *packet, const struct tracked *flow)
{
	return packet->has_ports && begins_flow(packet) &&
	       (packet->flow.proto == IPPROTO_TCP || !flow->row || has_ended(flow->row, flow->now));
}

/*
 * Notes in the packet what the body of its flow says, unless the packet is a SYN with another sequence number; 0 when there
 * is no body, 1 when it is of this connect, -1 when it is of another. The numbers are those of `flow` and its row: the
 * copy of the body has a frame of its own here, and the caller's has no room for it.
 */
__noinline int take_body(struct packet *packet, __u32 index, __u32 place, __u64 hash, __u32 gen)
{
	const struct flow_body *found = body_at(index, place);
	struct orig_dst *orig_dst = orig_dst_scratch();
	struct flow_body body;

	if (!packet || !orig_dst || !found)
		return 0;
	copy_once(&body, found, BODY_WORDS + 1);
	if (body.check != body_check(&body, hash, gen))
		return 0;
	if (begins_flow(packet) && packet->flow.proto == IPPROTO_TCP && body.isn != packet->seq)
		return -1;
	__builtin_memcpy(orig_dst->vip, body.vip, sizeof(body.vip));
	orig_dst->vip_port = body.vip_port;
	orig_dst->wire_port = 0;
	orig_dst->backend = body.backend;
	packet->service = body.service;
	return 1;
}

static __always_inline int take_orig_dst(const struct tracked *flow, struct packet *packet)
{
	if (!(flow->flags & FLOW_SERVICE))
		return 0;
	return take_body(packet, flow->index, flow->place, flow->hash, READ_ONCE(flow->row->gen));
}

/* Sets `packet->event` when a flow of TCP begins to close with it. */
static __always_inline void note_packet(const struct tracked *flow, struct packet *packet)
{
	struct flow_row *row = flow->row;
	__u8 *sent = &row->sent[packet->from_b & 1];
	__u8 now = sent_bits(packet);

	if (now & ~READ_ONCE(*sent)) {
		bool was_closing = is_closing(row);

		*sent |= now;
		if (!was_closing && is_closing(row)) {
			packet->event = EVENT_FLOW_CLOSED;
			packet->reply = !(flow->flags & FLOW_INITIATOR);
			take_orig_dst(flow, packet);
		}
	}
	if (READ_ONCE(row->seen) != flow->now)
		row->seen = flow->now;
}

/* Sets and clears flags of both directions. */
static __always_inline void mark(struct tracked *flow, __u32 set, __u32 clear)
{
	__u16 check = flow_check(flow->hash, READ_ONCE(flow->row->gen));

	for (int i = 0; i < 2; i++) {
		__u64 word = READ_ONCE(flow->row->word[i]);

		if (FIELDS(flow_word, word).check == check)
			*(volatile __u64 *)&flow->row->word[i] =
				flow_word(check, (FIELDS(flow_word, word).flags | set) & ~clear, FIELDS(flow_word, word).rev);
	}
	flow->flags = (flow->flags | set) & ~clear;
}

/* The word of the direction of the answers to this packet; 0 when it is of another flow. */
static __always_inline __u64 answer_word(const struct tracked *flow, const struct packet *packet)
{
	__u64 word = READ_ONCE(flow->row->word[!(packet->from_b & 1)]);

	return FIELDS(flow_word, word).check == flow_check(flow->hash, READ_ONCE(flow->row->gen)) ? word : 0;
}

/* From now on the answers to this packet go through the stack, by which it came. */
static __always_inline void answer_via_stack(const struct tracked *flow, const struct packet *packet)
{
	__u64 word = answer_word(flow, packet);

	if (word && !(FIELDS(flow_word, word).flags & FLOW_VIA_STACK))
		*(volatile __u64 *)&flow->row->word[!(packet->from_b & 1)] = word | WORD(flow_word, .flags = FLOW_VIA_STACK);
}

/*
 * True for a SYN of another connect than the one that the row's body tells of: its pod used the port again and nobody saw
 * the end of the connection before.
 */
static __always_inline bool is_other_connect(struct packet *packet, const struct tracked *flow)
{
	bool is_service = packet->service;
	int body;

	if (packet->flow.proto != IPPROTO_TCP || !(flow->flags & FLOW_INITIATOR))
		return false;
	body = take_orig_dst(flow, packet);
	return body ? body < 0 : is_service;
}

/* True when the packet begins a flow anew although `flow` has a row. */
static __always_inline bool begins_anew(struct packet *packet, const struct tracked *flow, bool via_stack)
{
	if (has_ended(flow->row, flow->now) || is_other_connect(packet, flow))
		return true;
	return packet->flow.proto == IPPROTO_TCP && !via_stack && !(flow->flags & FLOW_VIA_STACK) &&
	       (answer_word(flow, packet) & WORD(flow_word, .flags = FLOW_VIA_STACK));
}

/* Leaves out a row that the packet replaces, so that it says nothing of the packet. `via_stack`: it came through the stack. */
static __always_inline void settle(struct packet *packet, struct tracked *flow, bool via_stack)
{
	if (packet->has_ports && flow->row && begins_flow(packet) && begins_anew(packet, flow, via_stack))
		flow->row = NULL;
}

/*
 * The flags of a packet's direction; makes a row if there is none. Without room for one the packet goes through the stack.
 * `flow`: of find_flow(), after settle(). `flags`, `answers`: what a new row has of this direction and of the other; with
 * FLOW_VIA_STACK the answers go through the stack from now on. `packet->event` is set to what happened to the flow.
 */
static __always_inline __u32 track(struct packet *packet, struct tracked *flow, __u32 flags, __u32 answers)
{
	bool begins = begins_flow(packet);

	if (flow->row) {
		note_packet(flow, packet);
		if (answers & FLOW_VIA_STACK)
			answer_via_stack(flow, packet);
		return flow->flags;
	}
	count(begins ? METRIC_FLOW_NEW : METRIC_FLOW_PICKED_UP);
	/* Of a flow that programs translate, the stack knows nothing. */
	if (!begins)
		flags = answers = packet->is_moved ? FLOW_PICKED_UP : FLOW_VIA_STACK | FLOW_PICKED_UP;
	if (insert_flow(packet, flow, flags, answers)) {
		if (!packet->is_moved) {
			packet->event = begins ? EVENT_FLOW_NEW : EVENT_FLOW_PICKED_UP;
			packet->reply = packet->target_began;
		}
		return flags;
	}
	count(METRIC_FLOW_FULL);
	return FLOW_VIA_STACK;
}

#endif
