/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains Services at the socket, for both address families: connect() and sendmsg() translate a VIP to a
 * backend, getpeername() and recvmsg() translate the backend back to the VIP.
 *
 * State: a connected UDP socket keeps its original destination in socket storage (mesh_sock), which is deleted when
 * the socket connects to an address that is no Service. For few TCP sockets getpeername() is ever called, and storage
 * costs 6 % of a connect: their original destination is in a ring (orig_dst.h), and the first getpeername() copies
 * it to storage. An unconnected UDP socket keeps one backend per VIP and one VIP per backend (udp.h). An AF_INET6
 * socket that uses v4-mapped addresses runs hooks of both families on one datagram, so the hooks share this state.
 */
#ifndef MESH_SOCK_H
#define MESH_SOCK_H

#include "decision.h"
#include "frontend.h"
#include "orig_dst.h"
#include "udp.h"

#define IPPROTO_MPTCP 262

/* The protocol of the Services that a socket can connect to; PROTO_ANY = none. */
static __always_inline __u8 service_proto(__u32 proto)
{
	if (proto == IPPROTO_MPTCP) /* a peer without MPTCP sees plain TCP */
		return PROTO_TCP;
	return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP ? proto : PROTO_ANY;
}

/* Why connects and datagrams to this frontend are refused; DROP_NONE = it has a service. */
static __always_inline enum drop_reason frontend_refusal(const struct frontend_row *frontend)
{
	if (frontend->flags & FRONTEND_UNKNOWN)
		return DROP_UNKNOWN_SERVICE;
	return frontend->flags & FRONTEND_REJECT ? DROP_UNKNOWN_PORT : DROP_NONE;
}

/* A backend of the service, or NULL. */
static __always_inline const struct backend_row *sock_choose(__u32 service, __u32 *id)
{
	const struct service_row *row = bpf_map_lookup_elem(&mesh_services_v1, &service);
	__u64 pick;

	if (!row)
		return NULL;
	pick = service_choose(row, bpf_get_prandom_u32());
	*id = FIELDS(pick, pick).id;
	return backend_lookup(*id);
}

/* Stores the original destination of a socket until the socket is closed. */
static __always_inline void sock_keep(void *sk, struct sock_row *orig_dst)
{
	struct sock_row *kept = bpf_sk_storage_get(&mesh_sock_v1, sk, orig_dst, BPF_SK_STORAGE_GET_F_CREATE);

	if (kept)
		*kept = *orig_dst;
	else
		count(METRIC_STATE_FULL);
}

struct mptcp_sock {
};

/* The MPTCP socket whose first subflow connects, or NULL. getpeername() runs on it, not on the subflow. */
static __always_inline void *sock_mptcp(struct bpf_sock_addr *ctx)
{
	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_skc_to_mptcp_sock) ||
	    !bpf_core_type_exists(struct mptcp_sock))
		return NULL;
	return bpf_skc_to_mptcp_sock(ctx->sk);
}

/* Looks up first: most sockets have no entry, and a lookup costs less than the two atomic operations of a deletion. */
static __always_inline void sock_forget(struct bpf_sock_addr *ctx)
{
	if (bpf_sk_storage_get(&mesh_sock_v1, ctx->sk, 0, 0))
		bpf_sk_storage_delete(&mesh_sock_v1, ctx->sk);
}

/*
 * Known limit: when a TCP connect to a Service fails and the same socket then connects to the same backend by its pod
 * address, getpeername() still shows the VIP. A lookup here in every connect to a pod would cost each of them 1.5 %.
 */
static __always_inline void sock_remember(struct bpf_sock_addr *ctx, __u8 proto, struct sock_row *orig_dst)
{
	void *whole;

	if (proto == PROTO_UDP) {
		sock_keep(ctx->sk, orig_dst);
		return;
	}
	whole = sock_mptcp(ctx);
	if (whole)
		sock_keep(whole, orig_dst);
	sock_forget(ctx);
	tcp_orig_dst_write(bpf_get_socket_cookie(ctx), orig_dst);
}

/* connect(): VERDICT_PASS = not a Service, VERDICT_TRANSLATE = dest was set to a backend. */
static __always_inline __u64 sock_connect(struct bpf_sock_addr *ctx, struct endpoint_addr *dest)
{
	struct sock_row orig_dst = {.vip_port = dest->port};
	const struct backend_row *backend;
	struct frontend_row frontend;
	__u8 proto = service_proto(ctx->protocol);
	enum drop_reason refusal;

	if (proto == PROTO_ANY)
		return PASS;
	if (!frontend_find(dest, proto, &frontend)) {
		sock_forget(ctx);
		return PASS;
	}
	refusal = frontend_refusal(&frontend);
	if (refusal)
		return DROP(refusal);
	backend = sock_choose(frontend.service, &orig_dst.backend);
	if (!backend)
		return DROP(DROP_NO_BACKEND);
	__builtin_memcpy(orig_dst.vip, dest->addr, sizeof(orig_dst.vip));
	set_endpoint(dest, backend->addr, backend->port);
	__builtin_memcpy(orig_dst.addr, dest->addr, sizeof(orig_dst.addr));
	orig_dst.port = dest->port;
	orig_dst.service = frontend.service;
	sock_remember(ctx, proto, &orig_dst);
	return TRANSLATE;
}

/*
 * Is the socket connected to this peer now? Storage may be outdated, because connect(AF_UNSPEC) runs no hook. An
 * AF_INET6 socket with a v4-mapped peer also has it in dst_ip4. All fields are loaded before the comparison; else the
 * compiler loads from a computed offset, which the verifier rejects.
 */
static __always_inline bool sock_connected(struct bpf_sock_addr *ctx, const struct endpoint_addr *peer)
{
	const struct bpf_sock *sk = ctx->sk;
	struct endpoint_addr v6 = {
		.addr = {READ_ONCE(sk->dst_ip6[0]), READ_ONCE(sk->dst_ip6[1]), READ_ONCE(sk->dst_ip6[2]),
			 READ_ONCE(sk->dst_ip6[3])},
		.port = READ_ONCE(sk->dst_port),
	};
	__be32 v4 = READ_ONCE(sk->dst_ip4);

	if (!peer->addr[0] && !peer->addr[1] && peer->addr[2] == bpf_htonl(0xffff))
		return peer->port == v6.port && peer->addr[3] == v4;
	return same_endpoint(peer, v6.addr, v6.port);
}

/* The original destination of a connected UDP socket, and its backend; NULL = not connected, or not to a Service. */
static __always_inline const struct sock_row *sock_orig_dst(struct bpf_sock_addr *ctx, struct endpoint_addr *backend)
{
	const struct sock_row *kept = ctx->sk->dst_port ? bpf_sk_storage_get(&mesh_sock_v1, ctx->sk, 0, 0) : NULL;

	if (!kept)
		return NULL;
	set_endpoint(backend, kept->addr, kept->port);
	return sock_connected(ctx, backend) ? kept : NULL;
}

/* sendmsg() with an address: as sock_connect(). */
static __always_inline __u64 sock_sendmsg(struct bpf_sock_addr *ctx, struct endpoint_addr *dest)
{
	struct udp_sticky_key key = {.port = dest->port};
	struct endpoint_addr vip = *dest, connected;
	const struct backend_row *backend;
	struct frontend_row frontend;
	const struct sock_row *kept;
	enum drop_reason refusal;

	if (ctx->protocol != PROTO_UDP)
		return PASS;
	kept = sock_orig_dst(ctx, &connected);
	/* A connected AF_INET6 socket that sends to a v4-mapped peer runs this hook with the translated address. */
	if (kept && same_endpoint(dest, kept->addr, kept->port))
		return PASS;
	/* The VIP that the socket is connected to: the same backend, since it receives from no other. */
	if (kept && same_endpoint(dest, kept->vip, kept->vip_port)) {
		*dest = connected;
		return TRANSLATE;
	}
	if (!frontend_find(dest, PROTO_UDP, &frontend))
		return PASS;
	refusal = frontend_refusal(&frontend);
	if (refusal)
		return DROP(refusal);
	key.cookie = bpf_get_socket_cookie(ctx);
	__builtin_memcpy(key.vip, dest->addr, sizeof(key.vip));
	backend = sticky_backend(&key, frontend.service);
	if (!backend)
		return DROP(DROP_NO_BACKEND);
	set_endpoint(dest, backend->addr, backend->port);
	sender_mark(ctx);
	reverse_write(key.cookie, dest, &vip);
	return TRANSLATE;
}

/* Sets the peer to the VIP when it is the backend of the original destination. */
static __always_inline bool show_vip(const struct sock_row *orig_dst, struct endpoint_addr *peer)
{
	if (!same_endpoint(peer, orig_dst->addr, orig_dst->port))
		return false;
	set_endpoint(peer, orig_dst->vip, orig_dst->vip_port);
	return true;
}

/* getpeername(): true when the peer was the backend of the original destination and was set to the VIP. */
static __always_inline bool sock_getpeername(struct bpf_sock_addr *ctx, struct endpoint_addr *peer)
{
	const struct sock_row *kept = bpf_sk_storage_get(&mesh_sock_v1, ctx->sk, 0, 0);
	struct sock_row orig_dst;

	if (kept)
		return show_vip(kept, peer);
	if (!tcp_orig_dst_read(bpf_get_socket_cookie(ctx), &orig_dst) || !show_vip(&orig_dst, peer))
		return false;
	sock_keep(ctx->sk, &orig_dst);
	return true;
}

/*
 * recvmsg(): true when the source was a backend that this socket reached through a VIP, and was set to that VIP. For
 * the peer of a connected socket it is the VIP of the connect; a connected socket receives from other sources only
 * datagrams that arrived before it connected.
 */
static __always_inline bool sock_recvmsg(struct bpf_sock_addr *ctx, struct endpoint_addr *source)
{
	const struct sock_row *kept;

	if (!sock_connected(ctx, source))
		return sender_marked(ctx) && reverse_read(bpf_get_socket_cookie(ctx), source);
	kept = bpf_sk_storage_get(&mesh_sock_v1, ctx->sk, 0, 0);
	return kept && show_vip(kept, source);
}

#endif
