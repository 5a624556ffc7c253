/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains the translation of flows whose connect was moved to another backend (rescue.h).
 *
 *   front   the flow as its pod sees it: pod:port ─ first backend
 *   wire    the flow on the network: pod:port of ours ─ the backend that it has now
 *
 *   pod ──front──► translate ──wire──► backend        a packet of the pod
 *   pod ◄──front── translate ◄──wire── backend        an answer, or an ICMP error that quotes the wire
 *
 * Both tuples have rows in mesh_conntrack with FLOW_NAT, so that packets of other flows pay nothing here. The rows of
 * mesh_nat survive those of mesh_conntrack, and are looked up on a miss there, once any flow of the node was moved. The
 * agent deletes them when their flow ended.
 */
#ifndef MESH_NAT_H
#define MESH_NAT_H

#include "conntrack.h"
#include "nat_scratch.h"

/* tuple of a moved flow -> its other tuple */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct flow_key);
	__type(value, struct nat_row);
} mesh_nat_v1 SEC(".maps");

/* 0 -> whether mesh_nat may have rows */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct nat_state_row);
} mesh_nat_state_v1 SEC(".maps");

#define NAT_KEY_WORDS ((int)(sizeof(struct flow_key) / 8))
#define NAT_WORDS ((int)(sizeof(struct nat_row) / 8) - 1)
#define TCP_CHECK_OFFSET 16
#define IP_CHECK_OFFSET 10
#define ICMP_CHECK_OFFSET 2

static __always_inline __u64 nat_check(const struct flow_key *key, const struct nat_row *row)
{
	return row_check(row_check(ROW_CHECK, key, NAT_KEY_WORDS), row, NAT_WORDS);
}

static __always_inline bool nat_lookup(const struct flow_key *key, struct nat_row *row)
{
	const struct nat_row *found = bpf_map_lookup_elem(&mesh_nat_v1, key);

	if (!found)
		return false;
	copy_once(row, found, NAT_WORDS + 1);
	return row->check == nat_check(key, row);
}

/*
 * Inserts a row; 0, or a negative errno: -EEXIST when its key has one, others when there is no room. An int: before Linux 6.4
 * only the low half of what the helper returns has the errno.
 */
static __always_inline int nat_insert(const struct flow_key *key, struct nat_row *row)
{
	struct nat_state_row *state;
	__u32 first = 0;
	int error;

	row->check = nat_check(key, row);
	error = bpf_map_update_elem(&mesh_nat_v1, key, row, BPF_NOEXIST);
	state = error ? NULL : bpf_map_lookup_elem(&mesh_nat_state_v1, &first);
	if (state)
		*(volatile __u32 *)&state->used = 1;
	return error;
}

static __always_inline bool nat_in_use(void)
{
	const struct nat_state_row *state;
	__u32 first = 0;

	state = bpf_map_lookup_elem(&mesh_nat_state_v1, &first);
	return state && READ_ONCE(state->used);
}

/* The key of a flow of TCP between a pod and a backend, as set_flow() makes it. Returns true if the pod is end b. */
static __always_inline bool tuple_key(struct flow_key *key, const __u8 *client, __be16 client_port, const __u8 *peer,
				      __be16 peer_port)
{
	bool from_a = comes_first(client, client_port, peer, peer_port);

	__builtin_memset(key, 0, sizeof(*key));
	__builtin_memcpy(key->a, from_a ? client : peer, sizeof(key->a));
	__builtin_memcpy(key->b, from_a ? peer : client, sizeof(key->b));
	key->pa = from_a ? client_port : peer_port;
	key->pb = from_a ? peer_port : client_port;
	key->proto = IPPROTO_TCP;
	return !from_a;
}

/* The key of the other tuple of a flow. `client`: address of its pod. */
static __always_inline void other_key(struct flow_key *key, const struct nat_row *row, const __u8 *client)
{
	tuple_key(key, client, row->client_port, row->peer, row->peer_port);
}

static __always_inline bool is_from_client(const struct packet *packet, const struct nat_row *row)
{
	return packet->from_b == !!(row->flags & NAT_CLIENT_IS_B);
}

/*
 * True when a flow's row says that nothing followed its SYN; false also when it has no row: then an answer may have been
 * forgotten. `client`: the end that sent the SYN, 0 for a, 1 for b.
 */
__noinline int waits_for_answer(const struct flow_key *key, __u32 client)
{
	struct flow_set *set;
	__u32 index, place;
	__u64 hash;

	if (!key)
		return 0;
	index = place_of(key, &hash);
	set = bpf_map_lookup_elem(&mesh_conntrack_v2, &index);
	if (!set)
		return 0;
	place = row_of_flow(set, key);
	return place < LIMIT_FLOW_SET && is_unanswered(row_at(set, place), client);
}

static __always_inline void replace_port(struct __sk_buff *skb, __u32 offset, __u32 check, __be16 before, __be16 after)
{
	bpf_l4_csum_replace(skb, check, before, after, sizeof(after));
	bpf_skb_store_bytes(skb, offset, &after, sizeof(after), 0);
}

/*
 * Writes the other tuple into a TCP packet. `from_client`: into its target and its source port, else into its source and
 * its target port. Checksums change by the helpers' differences only, which know of offloads.
 */
static __always_inline void rewrite(struct __sk_buff *skb, const struct packet *packet, const struct nat_row *row,
				    bool from_client)
{
	__u32 address = IP_OFFSET + (from_client ? 16 : 12), peer = L4_OFFSET + (from_client ? 2 : 0);
	__u32 client = L4_OFFSET + (from_client ? 0 : 2), check = L4_OFFSET + TCP_CHECK_OFFSET;
	__be16 peer_before = from_client ? target_port(packet) : source_port(packet);
	__be16 client_before = from_client ? source_port(packet) : target_port(packet);
	__be32 before, after;

	__builtin_memcpy(&before, (from_client ? packet->target : packet->source) + 12, sizeof(before));
	__builtin_memcpy(&after, row->peer + 12, sizeof(after));
	bpf_l4_csum_replace(skb, check, before, after, BPF_F_PSEUDO_HDR | sizeof(after));
	bpf_l3_csum_replace(skb, IP_OFFSET + IP_CHECK_OFFSET, before, after, sizeof(after));
	bpf_skb_store_bytes(skb, address, &after, sizeof(after), 0);
	replace_port(skb, peer, check, peer_before, row->peer_port);
	replace_port(skb, client, check, client_before, row->client_port);
}

/*
 * Writes the front tuple into what an ICMP error quotes of a packet that the pod sent. The quoted address and the quoted
 * IP header's checksum change by opposite amounts, so for the error's own checksum only the ports count.
 */
static __always_inline void rewrite_quote(struct __sk_buff *skb, const struct packet *packet, const struct nat_row *row)
{
	__u32 quoted = L4_OFFSET + sizeof(struct ports), ports = quoted + sizeof(struct iphdr);
	__u32 check = L4_OFFSET + ICMP_CHECK_OFFSET;
	__be32 before, after;

	/* The error goes the other way than the packet that it quotes. */
	__builtin_memcpy(&before, (packet->from_b ? packet->flow.b : packet->flow.a) + 12, sizeof(before));
	__builtin_memcpy(&after, row->peer + 12, sizeof(after));
	bpf_l3_csum_replace(skb, quoted + IP_CHECK_OFFSET, before, after, sizeof(after));
	bpf_skb_store_bytes(skb, quoted + 16, &after, sizeof(after), 0);
	replace_port(skb, ports, check, target_port(packet), row->client_port);
	replace_port(skb, ports + 2, check, source_port(packet), row->peer_port);
}

/* What the packet is after its translation. The scratch memory has the sender of an answer, for policy. */
static __always_inline void set_tuple(struct packet *packet, const struct nat_row *row, bool from_client)
{
	__builtin_memcpy(from_client ? packet->target : packet->source, row->peer, sizeof(row->peer));
	if (from_client)
		set_flow(packet, IPPROTO_TCP, packet->source, row->client_port, row->peer_port);
	else
		set_flow(packet, IPPROTO_TCP, packet->source, row->peer_port, row->client_port);
}

/* True for packets whose flow may have a row in mesh_nat. */
static __always_inline bool may_be_moved(const struct packet *packet, const struct tracked *flow)
{
	return flow->row ? flow->flags & FLOW_NAT :
			   packet->flow.proto == IPPROTO_TCP && (packet->has_ports || packet->is_error) && nat_in_use();
}

enum nat_result {
	NAT_NONE,      /* its flow was not moved */
	NAT_TRANSLATE, /* it gets its other tuple */
	NAT_QUOTE,     /* an ICMP error that quotes the wire, and gets the front */
	NAT_LATE,      /* an answer of a backend from which the connect was moved, or an error about the SYN to it */
	NAT_BACK,      /* the first answer is of the backend from which the connect was moved: it has it again */
	NAT_TAKEN,     /* the pod uses a port that a moved flow has on the wire */
	NAT_OTHER,     /* another connect from the same port */
};

/*
 * What happens to a packet whose flow may have been moved; the row of its tuple is in the scratch memory then. Not inlined
 * and not static: the verifier walks it once.
 */
__noinline int nat_find(const struct packet *packet)
{
	struct nat_scratch *scratch = nat_scratch();
	bool is_front, from_client, client_is_b;
	struct nat_row *row;

	if (!packet || !scratch)
		return NAT_NONE;
	row = &scratch->row;
	scratch->key = packet->flow;
	if (!nat_lookup(&scratch->key, row))
		return NAT_NONE;
	is_front = row->flags & NAT_FRONT;
	from_client = is_from_client(packet, row);
	if (packet->is_error && from_client)
		return NAT_NONE;
	if (packet->is_error)
		return is_front ? NAT_LATE : NAT_QUOTE;
	client_is_b = tuple_key(&scratch->other, from_client ? packet->source : packet->target, row->client_port, row->peer,
			      row->peer_port);
	if (is_front && from_client && begins_flow(packet) && packet->seq != row->isn) {
		bpf_map_delete_elem(&mesh_nat_v1, &scratch->key);
		bpf_map_delete_elem(&mesh_nat_v1, &scratch->other);
		return NAT_OTHER;
	}
	if (is_front && !from_client && is_syn_ack(packet) && waits_for_answer(&scratch->other, client_is_b)) {
		/* The first answer wins. The pod resets what answers later: it has no socket of that port. */
		bpf_map_delete_elem(&mesh_nat_v1, &scratch->key);
		bpf_map_delete_elem(&mesh_nat_v1, &scratch->other);
		return NAT_BACK;
	}
	if (is_front != from_client)
		return is_front ? NAT_LATE : NAT_TAKEN;
	return NAT_TRANSLATE;
}

/* Gives a packet for which nat_find() found a row its other tuple. */
__noinline int nat_rewrite(struct __sk_buff *skb, struct packet *packet)
{
	const struct nat_scratch *scratch = nat_scratch();
	struct orig_dst *orig_dst = orig_dst_scratch();
	const struct nat_row *row;
	bool from_client;

	if (!packet || !scratch || !orig_dst)
		return 0;
	row = &scratch->row;
	from_client = row->flags & NAT_FRONT;
	if (packet->service)
		orig_dst->backend = row->backend;
	rewrite(skb, packet, row, from_client);
	set_tuple(packet, row, from_client);
	packet->is_moved = from_client ? MOVED_REQUEST : MOVED_ANSWER;
	return 0;
}

/* Lets an ICMP error quote the front tuple. */
__noinline int nat_rewrite_quote(struct __sk_buff *skb, struct packet *packet)
{
	const struct nat_scratch *scratch = nat_scratch();

	if (!packet || !scratch)
		return 0;
	rewrite_quote(skb, packet, &scratch->row);
	packet->is_moved = MOVED_ERROR;
	return 0;
}

/*
 * Translates a packet for which may_be_moved(): then `flow` is that of its other tuple. The reason for which it is dropped,
 * or DROP_NONE. Both rows see all packets of the flow; what happens to it is an event of the last one alone.
 */
static __always_inline enum drop_reason translate(struct __sk_buff *skb, struct packet *packet, struct tracked *flow)
{
	if (flow->row && packet->has_ports) {
		note_packet(flow, packet);
		packet->event = EVENT_NONE;
		take_orig_dst(flow, packet);
	}
	switch (nat_find(packet)) {
	case NAT_QUOTE:
		nat_rewrite_quote(skb, packet);
		break;
	case NAT_LATE:
		return DROP_LATE_ANSWER;
	case NAT_TAKEN:
		return DROP_PORT_TAKEN;
	case NAT_OTHER:
		/* Begins anew, whichever packet made the row. */
		flow->row = NULL;
		break;
	case NAT_BACK:
		if (flow->row)
			mark(flow, 0, FLOW_NAT);
		break;
	case NAT_TRANSLATE:
		nat_rewrite(skb, packet);
		__builtin_memset(flow, 0, sizeof(*flow));
		find_flow(packet, flow);
	}
	return DROP_NONE;
}

#endif
