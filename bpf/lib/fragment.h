/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains the way of fragments between pods of the mesh (mesh_fragments). Only the first fragment of a datagram
 * has ports, and so a flow; the others go as it went.
 *
 *   first fragment ──► as any packet of its flow, which is the way of the others too
 *   later fragment without a row ──► through the stack, which is the way of the others too, also of the first
 *
 * So all fragments of a datagram have one way, in whichever order they come and on however many CPUs. netfilter joins
 * fragments before it lets them go on: of a datagram of which some pass the stack it drops the others after 30 s.
 *
 * A first fragment writes a row after policies let it pass, so a row with FRAGMENT_FIRST_SEEN lets the later ones pass (admit.h).
 *
 * The map is an LRU: rows are inserted, replaced as a whole, and their memory may be reused while a program reads them. So
 * a row is one word with a check of its key, is loaded once, and is never written in place.
 */
#ifndef MESH_FRAGMENT_H
#define MESH_FRAGMENT_H

#include "hash.h"
#include "metrics.h"
#include "packet.h"

/* fragments of one datagram -> their way */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct fragment_key);
	__type(value, struct fragment_row);
} mesh_fragments_v1 SEC(".maps");

static __always_inline void fragment_key_of(const struct packet *packet, struct fragment_key *key)
{
	__builtin_memcpy(key->source, packet->source, sizeof(key->source));
	__builtin_memcpy(key->target, packet->target, sizeof(key->target));
	key->id = packet->id;
	key->proto = packet->flow.proto;
}

static __always_inline __u32 fragment_check(const struct fragment_key *key)
{
	return row_check(ROW_CHECK, key, sizeof(*key) / 8) >> 32;
}

/* enum fragment_flag bits of the row that counts now; 0 = there is none. */
static __always_inline __u32 read_fragment_row(const struct fragment_key *key, __u16 now)
{
	const __u64 *found = bpf_map_lookup_elem(&mesh_fragments_v1, key);
	__u64 word = found ? READ_ONCE(*found) : 0;
	/* One unit more than it is: another CPU may have written the row after this one read the clock. */
	__u16 age = now + 1 - FIELDS(fragment_row, word).seen;

	if (!found || age > LIMIT_FRAGMENT_AGE + 1)
		return 0;
	if (FIELDS(fragment_row, word).check != fragment_check(key)) {
		count(METRIC_CHECK_MISMATCH);
		return 0;
	}
	return FIELDS(fragment_row, word).flags;
}

/*
 * Decides the way of a datagram by one of its fragments, and returns the way that counts, as enum fragment_flag bits: that
 * of another fragment, if it decided before. But a first fragment replaces what a first one decided: it is of another
 * datagram, for which the sender used the id again. A global function, so that the verifier walks it once.
 */
__noinline int decide_way(const struct packet *packet, __u32 way)
{
	__u16 now = bpf_ktime_get_coarse_ns() >> 30;
	struct fragment_key key = {};
	__u64 word;
	__u32 have;

	/* For the verifier, which does not know the callers. */
	if (!packet)
		return FRAGMENT_VIA_STACK;
	fragment_key_of(packet, &key);
	word = WORD(fragment_row, .check = fragment_check(&key), .seen = now, .flags = way);
	if (!bpf_map_update_elem(&mesh_fragments_v1, &key, &word, BPF_NOEXIST))
		return way;
	have = read_fragment_row(&key, now);
	if (have && !(have & way & FRAGMENT_FIRST_SEEN))
		return have;
	return bpf_map_update_elem(&mesh_fragments_v1, &key, &word, BPF_ANY) ? FRAGMENT_VIA_STACK : way;
}

/* The way of a later fragment as another one decided it; 0 if none did. A global function too. */
__noinline int datagram_way(const struct packet *packet)
{
	struct fragment_key key = {};

	if (!packet)
		return 0;
	fragment_key_of(packet, &key);
	return read_fragment_row(&key, bpf_ktime_get_coarse_ns() >> 30);
}

/* Notes in a later fragment which way the others of its datagram go. */
static __always_inline void note_way(struct packet *packet)
{
	if (is_later_fragment(packet))
		packet->way = datagram_way(packet);
}

/* True for a later fragment that goes through the stack. */
static __always_inline bool fragment_needs_stack(const struct packet *packet)
{
	__u32 way = packet->way;

	if (!way) {
		count(METRIC_FRAGMENT_UNKNOWN);
		way = decide_way(packet, FRAGMENT_VIA_STACK);
	}
	return way & FRAGMENT_VIA_STACK;
}

/* True if the packet may go past the stack. A first fragment decides that the others do. */
static __always_inline bool lead_past_stack(const struct packet *packet)
{
	return !is_first_fragment(packet) || !(decide_way(packet, FRAGMENT_FIRST_SEEN) & FRAGMENT_VIA_STACK);
}

/* Of a packet that goes through the stack: a first fragment decides that the others do. */
static __always_inline void lead_to_stack(const struct packet *packet)
{
	if (is_first_fragment(packet))
		decide_way(packet, FRAGMENT_FIRST_SEEN | FRAGMENT_VIA_STACK);
}

#endif
