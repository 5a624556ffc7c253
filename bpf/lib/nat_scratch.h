/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains what a packet of a connect that was moved had before it was translated (nat.h): what it is judged by, if it is
 * an answer.
 */
#ifndef MESH_NAT_SCRATCH_H
#define MESH_NAT_SCRATCH_H

#include "packet.h"

/*
 * What functions work with that are not inlined: more than their frames hold. Linux 6.1 takes keys of maps from frames and
 * from maps, and not from what a global function was given.
 */
struct nat_scratch {
	struct nat_row row;
	struct flow_key key;
	struct flow_key other;
};

/* 0 -> for one packet at a time */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct nat_scratch);
} mesh_nat_scratch_v1 SEC(".maps");

static __always_inline struct nat_scratch *nat_scratch(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&mesh_nat_scratch_v1, &first);
}

/* The scratch memory of an answer that was translated; NULL for any other packet. */
static __always_inline const struct nat_scratch *moved_answer(const struct packet *packet)
{
	return packet->is_moved == MOVED_ANSWER ? nat_scratch() : NULL;
}

/* Of moved_answer(): the address of the backend that sent it. */
static __always_inline const __u8 *answer_source(const struct nat_scratch *answer)
{
	return answer->row.flags & NAT_CLIENT_IS_B ? answer->key.a : answer->key.b;
}

static __always_inline __be16 answer_source_port(const struct nat_scratch *answer)
{
	return answer->row.flags & NAT_CLIENT_IS_B ? answer->key.pa : answer->key.pb;
}

#endif
