/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains what the policy of a pod says of a flow.
 *
 *   address of the other end ──► its identity               mesh_ipcache, else the longest prefix
 *   the pod's set, identity  ──► all ports, or a class       mesh_policy_peers, else mesh_policy_sets
 *   class, protocol, port    ──► allowed or denied, by rule  mesh_policy_ports
 *
 * What a set or a class says is merged when it is made: nothing has precedence here, and a verdict is at most one look-up of
 * a hash and one of a class. A set or a class does not change while programs may read it; rows are only added for
 * identities that nobody has yet, and removed for those that nobody has any more. A pod gets another policy by one store
 * of its word. What cannot be trusted is denied.
 */
#ifndef MESH_POLICY_H
#define MESH_POLICY_H

#include "hash.h"
#include "metrics.h"
#include "nat_scratch.h"
#include "packet.h"

/* address -> whose it is */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ipcache_key);
	__type(value, struct ipcache_row);
} mesh_ipcache_v1 SEC(".maps");

/* range of addresses -> whose they are, if they have no row of their own */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ipcache_prefix_key);
	__type(value, struct ipcache_row);
} mesh_ipcache_prefixes_v1 SEC(".maps");

/* set -> what it says of identities that have no row in mesh_policy_peers */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct policy_set_row);
} mesh_policy_sets_v1 SEC(".maps");

/* set and identity -> what the set says of it */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct policy_peer_key);
	__type(value, struct policy_peer_row);
} mesh_policy_peers_v1 SEC(".maps");

/* class, protocol and port -> what the class says of it */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct policy_port_key);
	__type(value, struct policy_port_row);
} mesh_policy_ports_v1 SEC(".maps");

/* Ends of a packet. */
#define SOURCE 0
#define TARGET 1

/* What policies are asked about a packet with, and what they say. */
struct judgement {
	__u64 policy[2];   /* struct pod_policy_word of SOURCE and TARGET; 0 = nothing to ask */
	__u32 identity[2]; /* of SOURCE and TARGET; 0 = not asked */
	__u32 rule;	   /* that decided last */
	__u32 pad;
};

/* 0 -> for one packet at a time */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct judgement);
} mesh_judgement_scratch_v1 SEC(".maps");

/* Never NULL, but for the verifier. */
static __always_inline struct judgement *judgement_scratch(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&mesh_judgement_scratch_v1, &first);
}

/* The identity in the row of exactly this address; IDENTITY_NONE if it has none. */
static __always_inline __u32 exact_identity(const struct ipcache_key *key)
{
	const struct ipcache_row *row = bpf_map_lookup_elem(&mesh_ipcache_v1, key);
	struct ipcache_row copy;

	if (!row)
		return IDENTITY_NONE;
	copy.identity = READ_ONCE(row->identity);
	copy.check = READ_ONCE(row->check);
	if (copy.check == key_check(key, sizeof(*key) / 4))
		return copy.identity;
	count(METRIC_CHECK_MISMATCH);
	return IDENTITY_NONE;
}

/*
 * Whose address it is. A look-up that races with a row's change may miss it, so where all addresses have rows of their own it
 * is asked once more: an address of a pod is never `world`. `is_host`: the own node's addresses are the node; else each is a
 * stranger's, of its prefix.
 */
static __always_inline __u32 identity_of(const __u8 *address, bool is_host)
{
	struct ipcache_prefix_key prefix_key = {.length = 8 * (sizeof(prefix_key) - sizeof(prefix_key.length))};
	struct ipcache_key key = {};
	const struct ipcache_row *prefix;
	__u32 identity;

	__builtin_memcpy(key.addr, address, sizeof(key.addr));
	identity = exact_identity(&key);
	if (identity > IDENTITY_HOST || (identity && is_host))
		return identity;
	__builtin_memcpy(prefix_key.addr, address, sizeof(prefix_key.addr));
	prefix = bpf_map_lookup_elem(&mesh_ipcache_prefixes_v1, &prefix_key);
	if (!prefix)
		return IDENTITY_WORLD;
	if (prefix->flags & IPCACHE_EXACT)
		identity = exact_identity(&key);
	return identity > IDENTITY_HOST || (identity && is_host) ? identity : prefix->identity;
}

/* True for a group's address, or that of all: what a pod sends there, its node alone gets, in sockets of any address. */
static __always_inline bool is_multicast(const __u8 *address)
{
	return address[12] >= 224;
}

/* True for an address of a pod range of which nothing is known yet. */
static __always_inline bool is_unmanaged(__u32 identity)
{
	return identity >> LIMIT_IDENTITY_BITS && (identity & ((1 << LIMIT_IDENTITY_BITS) - 1)) == IDENTITY_UNMANAGED;
}

/* The port by which a class decides: of the end at which the flow did not begin. `is_begin`: the source began the flow. */
static __always_inline __be16 judged_port(const struct packet *packet, bool is_begin, const struct nat_scratch *answer)
{
	if (!packet->has_ports)
		return packet->flow.proto == IPPROTO_ICMP ? bpf_htons(packet->icmp_type << 8 | packet->icmp_code) : 0;
	if (packet->flow.proto == IPPROTO_ICMP)
		return bpf_htons(ICMP_ECHO << 8);
	if (is_begin)
		return target_port(packet);
	return answer ? answer_source_port(answer) : source_port(packet);
}

/* What a class says of a port; notes the rule. */
static __always_inline bool class_allows(__u32 class, __u8 proto, __be16 port, struct judgement *judgement)
{
	struct policy_port_key key = {
		.length = 8 * (sizeof(key) - sizeof(key.length)),
		.class = class,
		.proto = proto,
		.port = port,
	};
	const struct policy_port_row *row = bpf_map_lookup_elem(&mesh_policy_ports_v1, &key);

	judgement->rule = 0;
	if (!row || READ_ONCE(row->class) != class)
		return false;
	judgement->rule = row->rule;
	return row->allow;
}

/*
 * True when the policy of the pod at an end of the packet (SOURCE, TARGET) allows its flow. `is_begin`: the source began the
 * flow, else the target. Notes the identity of the other end, and the rule. An answer of a connect that was moved is of the
 * backend that sent it, whatever its pod sees. A global function, so that the verifier walks it once.
 */
__noinline int policy_allows(const struct packet *packet, __u32 end, __u32 is_begin)
{
	struct judgement *judgement = judgement_scratch();
	bool is_egress = (end == SOURCE) == !!is_begin;
	const struct nat_scratch *answer;
	const struct policy_peer_row *peer;
	const struct policy_set_row *set;
	struct policy_peer_key key;
	__u32 word;

	/* For the verifier, which does not know the callers. */
	if (!packet || !judgement)
		return 0;
	key.set = FIELDS(pod_policy_word, judgement->policy[end & 1]).set;
	answer = moved_answer(packet);
	if (end == SOURCE)
		key.identity = is_multicast(packet->target) ? IDENTITY_HOST : identity_of(packet->target, true);
	else
		key.identity = identity_of(answer ? answer_source(answer) : packet->source, is_egress || !packet->is_passed_on);
	judgement->identity[!(end & 1)] = key.identity;
	judgement->rule = 0;
	/* A node has its pods at its mercy anyway, and the kubelet must reach them. */
	if (key.identity == IDENTITY_HOST && !is_egress)
		return 1;
	peer = bpf_map_lookup_elem(&mesh_policy_peers_v1, &key);
	if (peer) {
		if (READ_ONCE(peer->set) != key.set || READ_ONCE(peer->identity) != key.identity) {
			count(METRIC_CHECK_MISMATCH);
			return 0;
		}
		word = is_egress ? READ_ONCE(peer->out) : READ_ONCE(peer->in);
	} else {
		set = bpf_map_lookup_elem(&mesh_policy_sets_v1, &key.set);
		if (!set)
			return 0;
		word = is_egress ? READ_ONCE(set->out) : READ_ONCE(set->in);
	}
	if (FIELDS(peer_verdict, word).all_ports) {
		judgement->rule = FIELDS(peer_verdict, word).number;
		return FIELDS(peer_verdict, word).allow;
	}
	/* It may be any of them. */
	if (is_unread(packet))
		return 0;
	return class_allows(FIELDS(peer_verdict, word).number, packet->flow.proto, judged_port(packet, is_begin, answer),
			    judgement);
}

#endif
