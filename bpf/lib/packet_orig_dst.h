/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains what the socket of a packet dialled, when that is a Service: packets carry the backend's address, and
 * the programs at sockets know more. It reads what they keep (orig_dst.h, udp.h), by the socket's cookie, so that no
 * connect pays for it.
 *
 *   the packet has its socket ──► its cookie
 *   it has none (GRO on the veth rebuilds packets, a virtual machine has sockets of its own) ──► for TCP, the socket of
 *   its addresses in the pod's network namespace
 *
 * A row counts only if it leads to where the packet goes.
 */
#ifndef MESH_PACKET_ORIG_DST_H
#define MESH_PACKET_ORIG_DST_H

#include "orig_dst.h"
#include "packet.h"
#include "udp.h"

/* The kernel's, as far as it is read here (CO-RE). */
typedef struct {
	__s64 counter;
} atomic64_t;

struct sock_common {
	atomic64_t skc_cookie;
} __attribute__((preserve_access_index));

struct sock {
	struct sock_common __sk_common;
} __attribute__((preserve_access_index));

/* The end of a packet, as the programs at sockets carry it. */
static __always_inline struct endpoint_addr target_of(const struct packet *packet)
{
	struct endpoint_addr target;

	set_endpoint(&target, packet->target, target_port(packet));
	return target;
}

/* The cookie of the socket in the pod's network namespace that a packet of TCP comes from; 0 = none is found. */
static __always_inline __u64 cookie_by_addresses(struct __sk_buff *skb, const struct packet *packet, __u32 netns_id)
{
	/* As of a packet to the socket. */
	struct bpf_sock_tuple tuple = {.ipv4 = {.sport = target_port(packet), .dport = source_port(packet)}};
	const struct sock *sk;
	struct bpf_sock *found;
	__u64 cookie = 0;

	if (!netns_id)
		return 0;
	__builtin_memcpy(&tuple.ipv4.saddr, packet->target + 12, sizeof(tuple.ipv4.saddr));
	__builtin_memcpy(&tuple.ipv4.daddr, packet->source + 12, sizeof(tuple.ipv4.daddr));
	found = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), netns_id - 1, 0);
	if (!found)
		return 0;
	sk = (const void *)bpf_skc_to_tcp_sock(found);
	if (sk)
		cookie = sk->__sk_common.skc_cookie.counter;
	bpf_sk_release(found);
	return cookie;
}

static __always_inline bool tcp_orig_dst(struct __sk_buff *skb, const struct packet *packet, __u32 netns_id,
					struct sock_row *orig_dst)
{
	__u64 cookie = bpf_get_socket_cookie(skb);

	if (!cookie)
		cookie = cookie_by_addresses(skb, packet, netns_id);
	return cookie && tcp_orig_dst_read(cookie, orig_dst);
}

/* Of a connected socket. */
static __always_inline const struct sock_row *udp_kept(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	return sk ? bpf_sk_storage_get(&mesh_sock_v1, sk, 0, 0) : NULL;
}

/* Of a socket that is not connected: the VIP to which it sent last of those that have this backend. */
static __always_inline bool udp_sent_to(__u64 cookie, const struct endpoint_addr *backend, struct sock_row *orig_dst)
{
	struct frontend_key frontend_key = {.proto = PROTO_UDP, .scope = FRONTEND_SCOPE_ALL};
	struct udp_sticky_key sticky_key = {.cookie = cookie};
	struct endpoint_addr vip = *backend;
	struct frontend_row frontend;

	if (!cookie || !reverse_read(cookie, &vip))
		return false;
	frontend_key.port = sticky_key.port = orig_dst->vip_port = vip.port;
	__builtin_memcpy(frontend_key.addr, vip.addr, sizeof(vip.addr));
	__builtin_memcpy(sticky_key.vip, vip.addr, sizeof(vip.addr));
	__builtin_memcpy(orig_dst->vip, vip.addr, sizeof(vip.addr));
	if (!frontend_lookup(&frontend_key, &frontend))
		return false;
	orig_dst->service = frontend.service;
	orig_dst->backend = sticky_read(&sticky_key).backend;
	return true;
}

static __always_inline bool udp_orig_dst(struct __sk_buff *skb, const struct packet *packet, struct sock_row *orig_dst)
{
	struct endpoint_addr target = target_of(packet);
	const struct sock_row *kept = udp_kept(skb);

	if (!kept)
		return udp_sent_to(bpf_get_socket_cookie(skb), &target, orig_dst);
	*orig_dst = *kept;
	return same_endpoint(&target, orig_dst->addr, orig_dst->port);
}

/*
 * Notes in the packet which Service its socket dialled. `netns_id`: as in the row of the pod that sent it. Not inlined and
 * not static, so that the verifier walks it once.
 */
__noinline int note_orig_dst(struct __sk_buff *skb, struct packet *packet, __u32 netns_id)
{
	struct orig_dst *noted = orig_dst_scratch();
	struct sock_row orig_dst = {};
	struct endpoint_addr target;
	bool found;

	/* For the verifier, which does not know the callers. */
	if (!packet || !noted)
		return 0;
	target = target_of(packet);
	if (packet->flow.proto == IPPROTO_TCP)
		found = tcp_orig_dst(skb, packet, netns_id, &orig_dst) && same_endpoint(&target, orig_dst.addr, orig_dst.port);
	else
		found = packet->flow.proto == IPPROTO_UDP && udp_orig_dst(skb, packet, &orig_dst);
	if (!found)
		return 0;
	__builtin_memcpy(noted->vip, orig_dst.vip, sizeof(noted->vip));
	noted->vip_port = orig_dst.vip_port;
	noted->wire_port = 0;
	noted->backend = orig_dst.backend;
	packet->service = orig_dst.service;
	return 0;
}

#endif
