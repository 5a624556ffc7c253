/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains the flows between pods of the mesh (mesh_conntrack): one entry per flow and node, for both
 * directions.
 *
 *   SYN, or UDP, or ICMP echo without an entry ──► new: the way of its first packet is that of its answers
 *   other TCP without an entry ──► picked up: both directions through the stack, which may know more of it
 *   SYN on a closing entry, or past the stack on one whose answers go through it ──► new
 *
 * The LRU map reuses the memory of an entry at any time. What changes after the insert is one word per direction; it
 * carries a check of the key and of the entry's `gen`, so a word that is stored too late is a miss for the flow whose
 * memory it became, and not believed.
 */
#ifndef MESH_CONNTRACK_H
#define MESH_CONNTRACK_H

#include "hash.h"
#include "packet.h"
#include "metrics.h"

/* flow -> its two words, and what is known of it */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 262144);
	__type(key, struct flow_key);
	__type(value, struct flow_row);
} mesh_conntrack_v1 SEC(".maps");

static __always_inline __u16 flow_check(const struct flow_key *key, __u32 gen)
{
	return row_check(ROW_CHECK ^ gen, key, sizeof(*key) / 8) >> 48;
}

static __always_inline __u64 flow_word(__u16 check, __u32 flags)
{
	return WORD(flow_word, .check = check, .flags = flags);
}

/* The entry of the packet's flow if it is whole, with the flags of the packet's direction; else NULL. */
static __always_inline struct flow_row *find_flow(const struct packet *packet, __u32 *flags)
{
	struct flow_row *row = bpf_map_lookup_elem(&mesh_conntrack_v1, &packet->flow);
	__u64 word;

	if (!row)
		return NULL;
	word = READ_ONCE(row->word[packet->from_b & 1]);
	if (FIELDS(flow_word, word).check != flow_check(&packet->flow, READ_ONCE(row->gen))) {
		count(METRIC_CHECK_MISMATCH);
		return NULL;
	}
	*flags = FIELDS(flow_word, word).flags;
	return row;
}

/* enum flow_tcp bits of a packet. */
static __always_inline __u8 tcp_seen(const struct packet *packet)
{
	return (packet->tcp & TCP_SYN ? FLOW_TCP_SYN : 0) | (packet->tcp & TCP_FIN ? FLOW_TCP_FIN : 0) |
	       (packet->tcp & TCP_RST ? FLOW_TCP_RST : 0);
}

/* Inserts an entry in the place of any that is there; false when there is no room. */
static __always_inline bool insert_flow(const struct packet *packet, __u32 flags, __u32 reply_flags)
{
	struct flow_row row = {.gen = bpf_get_prandom_u32()};
	__u16 check = flow_check(&packet->flow, row.gen);
	__u64 own = flow_word(check, flags | FLOW_INITIATOR);
	__u64 reply = flow_word(check, reply_flags);
	__u8 tcp = tcp_seen(packet);

	row.word[0] = packet->from_b ? reply : own;
	row.word[1] = packet->from_b ? own : reply;
	row.tcp[0] = packet->from_b ? 0 : tcp;
	row.tcp[1] = packet->from_b ? tcp : 0;
	return !bpf_map_update_elem(&mesh_conntrack_v1, &packet->flow, &row, BPF_ANY);
}

/* True for a packet that begins a flow: the first SYN of TCP, any packet of what has no connections. */
static __always_inline bool begins_flow(const struct packet *packet)
{
	return packet->flow.proto != IPPROTO_TCP || (packet->tcp & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static __always_inline bool is_closing(const struct flow_row *row)
{
	__u8 a = READ_ONCE(row->tcp[0]), b = READ_ONCE(row->tcp[1]);

	return ((a | b) & FLOW_TCP_RST) || (a & b & FLOW_TCP_FIN);
}

static __always_inline void note_tcp(struct flow_row *row, const struct packet *packet)
{
	__u8 *seen = &row->tcp[packet->from_b & 1];
	__u8 now = tcp_seen(packet);

	if (now & ~READ_ONCE(*seen))
		*seen |= now;
}

/* The flags of the direction of the answers to this packet. */
static __always_inline __u32 answer_flags(const struct flow_row *row, const struct packet *packet, __u16 check)
{
	__u64 word = READ_ONCE(row->word[!(packet->from_b & 1)]);

	return FIELDS(flow_word, word).check == check ? FIELDS(flow_word, word).flags : 0;
}

static __always_inline bool answers_via_stack(const struct flow_row *row, const struct packet *packet)
{
	return answer_flags(row, packet, flow_check(&packet->flow, READ_ONCE(row->gen))) & FLOW_VIA_STACK;
}

/* From now on the answers to this packet go through the stack, by which it came. */
static __always_inline void answer_via_stack(struct flow_row *row, const struct packet *packet)
{
	__u16 check = flow_check(&packet->flow, READ_ONCE(row->gen));
	__u32 flags = answer_flags(row, packet, check);

	if (!(flags & FLOW_VIA_STACK))
		*(volatile __u64 *)&row->word[!(packet->from_b & 1)] = flow_word(check, flags | FLOW_VIA_STACK);
}

/*
 * The flags of a packet's direction; makes an entry if there is none that fits. Without room for one the packet goes
 * through the stack. `row` and `flags`: of find_flow(). `via_stack`: the packet came through the stack, and so must the
 * answers.
 */
static __always_inline __u32 track(const struct packet *packet, struct flow_row *row, __u32 flags, bool via_stack)
{
	__u32 answers = via_stack ? FLOW_VIA_STACK : 0;
	bool begins = begins_flow(packet);

	if (row && !(begins && packet->flow.proto == IPPROTO_TCP &&
		     (is_closing(row) || (!via_stack && !(flags & FLOW_VIA_STACK) && answers_via_stack(row, packet))))) {
		note_tcp(row, packet);
		if (via_stack)
			answer_via_stack(row, packet);
		return flags;
	}
	count(begins ? METRIC_FLOW_NEW : METRIC_FLOW_PICKED_UP);
	flags = 0;
	if (!begins)
		flags = answers = FLOW_VIA_STACK | FLOW_PICKED_UP;
	if (insert_flow(packet, flags, answers))
		return flags;
	count(METRIC_FLOW_FULL);
	return FLOW_VIA_STACK;
}

#endif
