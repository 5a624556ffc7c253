/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains the way of a packet to another node: what the node's routes say, and what they said of the same packet a
 * moment before, since a look-up of the routes costs as much as everything else that is done with a packet. An answer counts
 * for WAY_NS, so that a route that changes is followed as soon. Only ways that can be taken are kept.
 */
#ifndef MESH_WAY_H
#define MESH_WAY_H

#include "packet.h"

#define AF_INET 2
#define WAY_NS 10000000ULL
#define WAYS 256

/* What the look-up of a route depends on. */
struct way_key {
	__be32 source;
	__be32 target;
	__u32 ifindex; /* of the device that the packet came from */
	__u8 tos;
	__u8 proto;
	__u16 pad;
};

/* The way of a packet. */
struct way {
	__be32 next; /* next hop */
	__u32 ifindex;
	__u32 mtu;
	__u8 target_mac[ETH_ALEN];
	__u8 source_mac[ETH_ALEN];
};

struct way_row {
	struct way_key key;
	struct way way;
	__u64 until; /* ns of the coarse clock */
};

/* low bits of a hash -> the way that this CPU found last */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WAYS);
	__type(key, __u32);
	__type(value, struct way_row);
} mesh_ways_v1 SEC(".maps");

/* Bytes of the packet that the route must take: of a super-packet each segment must fit. */
static __always_inline __u32 routed_length(const struct __sk_buff *skb, const struct packet *packet)
{
	return skb->gso_size ? skb->gso_size + sizeof(struct iphdr) + packet->l4_length : bpf_ntohs(packet->length);
}

/* Asks the node's routes. Of a filter's refusal (prohibit) nothing is known but that the stack answers. */
static __always_inline long find_way(struct __sk_buff *skb, const struct packet *packet, struct bpf_fib_lookup *found)
{
	*found = (struct bpf_fib_lookup){
		.family = AF_INET,
		.l4_protocol = packet->flow.proto,
		.ifindex = skb->ifindex,
		.tot_len = routed_length(skb, packet),
		.tos = packet->tos,
	};
	__builtin_memcpy(&found->ipv4_src, packet->source + 12, sizeof(found->ipv4_src));
	__builtin_memcpy(&found->ipv4_dst, packet->target + 12, sizeof(found->ipv4_dst));
	return bpf_fib_lookup(skb, found, sizeof(*found), 0);
}

static __always_inline bool is_no_way(long found)
{
	return found == BPF_FIB_LKUP_RET_UNREACHABLE || found == BPF_FIB_LKUP_RET_BLACKHOLE;
}

static __always_inline struct way_row *way_at(const struct way_key *key)
{
	__u32 slot = ((bpf_ntohl(key->source) * 31 ^ bpf_ntohl(key->target)) + key->ifindex) & (WAYS - 1);

	return bpf_map_lookup_elem(&mesh_ways_v1, &slot);
}

static __always_inline bool is_way_of(const struct way_row *row, const struct way_key *key)
{
	const __u64 *a = (const void *)&row->key, *b = (const void *)key;

	return a[0] == b[0] && a[1] == b[1];
}

/* Results of take_way(). */
enum way_found {
	WAY_FOUND,
	WAY_NONE,  /* the node has no way to the target */
	WAY_STACK, /* the stack knows */
};

/* The way of a packet to another node, which it fits. */
static __always_inline enum way_found take_way(struct __sk_buff *skb, const struct packet *packet, struct way *way)
{
	struct way_key key = {.ifindex = skb->ifindex, .tos = packet->tos, .proto = packet->flow.proto};
	__u64 now = bpf_ktime_get_coarse_ns();
	struct bpf_fib_lookup found;
	struct way_row *row;
	long result;

	__builtin_memcpy(&key.source, packet->source + 12, sizeof(key.source));
	__builtin_memcpy(&key.target, packet->target + 12, sizeof(key.target));
	row = way_at(&key);
	if (row && row->until > now && is_way_of(row, &key) && routed_length(skb, packet) <= row->way.mtu) {
		*way = row->way;
		return WAY_FOUND;
	}
	result = find_way(skb, packet, &found);
	if (is_no_way(result))
		return WAY_NONE;
	if ((result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH) || found.family != AF_INET)
		return WAY_STACK;
	way->next = found.ipv4_dst;
	way->ifindex = found.ifindex;
	way->mtu = found.mtu_result;
	__builtin_memcpy(way->target_mac, found.dmac, ETH_ALEN);
	__builtin_memcpy(way->source_mac, found.smac, ETH_ALEN);
	if (row) {
		row->key = key;
		row->way = *way;
		row->until = now + WAY_NS;
	}
	return WAY_FOUND;
}

#endif
