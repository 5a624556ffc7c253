/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains Services at the socket, for both address families: destinations are translated when a socket
 * connects or sends, and shown back as the VIP when it asks or receives.
 *
 * State: a connected socket keeps what it dialled in socket storage (mesh_sock_v1), cleared when it connects to what
 * is no Service. Few TCP sockets are ever asked for their peer, and storage costs them 6 % of a connect: theirs waits in
 * a ring of the latest 65,536 (mesh_tcp_recent_v1), and the first getpeername() moves it to storage. An unconnected UDP socket keeps, by cookie, the backend it sends to per VIP (mesh_udp_sticky_v1) and
 * the VIP per backend that answers (mesh_udp_reverse_v1). An AF_INET6 socket that talks to v4-mapped addresses runs
 * hooks of both families on one datagram, so all of them share this state.
 */
#ifndef MESH_SOCK_H
#define MESH_SOCK_H

#include "frontend.h"
#include "service.h"

/* socket -> what it dialled */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct sock_row);
} mesh_sock_v1 SEC(".maps");

/* low bits of a socket's cookie -> what it dialled, until another socket takes the place */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_RECENT);
	__type(key, __u32);
	__type(value, struct recent_row);
} mesh_tcp_recent_v1 SEC(".maps");

/* unconnected UDP socket and VIP -> the backend it keeps */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct udp_sticky_key);
	__type(value, struct udp_sticky_row);
} mesh_udp_sticky_v1 SEC(".maps");

/* unconnected UDP socket and backend -> the VIP to show as the source */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct udp_reverse_key);
	__type(value, struct udp_reverse_row);
} mesh_udp_reverse_v1 SEC(".maps");

static __always_inline void set_peer(struct peer *peer, const void *addr, __be16 port)
{
	__builtin_memcpy(peer->addr, addr, sizeof(peer->addr));
	peer->port = port;
}

#define IPPROTO_MPTCP 262

/* The protocol of the Services that a socket can dial; PROTO_ANY = none. */
static __always_inline __u8 service_proto(__u32 proto)
{
	if (proto == IPPROTO_MPTCP) /* TCP to everybody who does not speak it */
		return PROTO_TCP;
	return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP ? proto : PROTO_ANY;
}

/* A backend of the service, or NULL. */
static __always_inline const struct backend_row *sock_choose(__u32 service, __u32 *id)
{
	const struct service_row *row = bpf_map_lookup_elem(&mesh_services_v1, &service);

	if (!row)
		return NULL;
	*id = service_choose(row, bpf_get_prandom_u32());
	return backend_lookup(*id);
}

static __always_inline struct recent_row *recent_slot(__u64 cookie)
{
	__u32 slot = cookie & (LIMIT_RECENT - 1);

	return bpf_map_lookup_elem(&mesh_tcp_recent_v1, &slot);
}

/* Keeps what a socket dialled for as long as it lives. */
static __always_inline void sock_keep(struct bpf_sock_addr *ctx, struct sock_row *dialled)
{
	struct sock_row *kept =
		bpf_sk_storage_get(&mesh_sock_v1, ctx->sk, dialled, BPF_SK_STORAGE_GET_F_CREATE);

	if (kept)
		*kept = *dialled;
	else
		count(METRIC_STATE_FULL);
}

/*
 * A TCP socket that dials a Service, fails, and then dials the pod that it had been sent to by that pod's own address
 * still shows the Service; looking here in every connect to a pod would cost each of them 1.5 %.
 */
static __always_inline void sock_remember(struct bpf_sock_addr *ctx, __u8 proto, struct sock_row *dialled)
{
	struct recent_row *recent;
	__u64 cookie;

	if (proto == PROTO_UDP) {
		sock_keep(ctx, dialled);
		return;
	}
	bpf_sk_storage_delete(&mesh_sock_v1, ctx->sk);
	cookie = bpf_get_socket_cookie(ctx);
	recent = recent_slot(cookie);
	if (!recent)
		return;
	__sync_lock_test_and_set(&recent->cookie, 0); /* a full barrier, as below */
	recent->dialled = *dialled;
	__sync_lock_test_and_set(&recent->cookie, cookie);
}

/* connect(): METRIC_NONE = not a Service, METRIC_CONNECT = dest is the backend now, else why it is refused. */
static __always_inline int sock_connect(struct bpf_sock_addr *ctx, struct peer *dest)
{
	struct sock_row dialled = {.vip_port = dest->port};
	const struct backend_row *backend;
	struct frontend_row frontend;
	__u8 proto = service_proto(ctx->protocol);

	if (proto == PROTO_ANY)
		return METRIC_NONE;
	if (!frontend_find(dest, proto, &frontend)) {
		bpf_sk_storage_delete(&mesh_sock_v1, ctx->sk);
		return METRIC_NONE;
	}
	if (frontend.flags & FRONTEND_REJECT)
		return METRIC_UNKNOWN_PORT;
	backend = sock_choose(frontend.service, &dialled.backend);
	if (!backend)
		return METRIC_NO_BACKEND;
	__builtin_memcpy(dialled.vip, dest->addr, sizeof(dialled.vip));
	set_peer(dest, backend->addr, backend->port);
	__builtin_memcpy(dialled.addr, dest->addr, sizeof(dialled.addr));
	dialled.port = dest->port;
	dialled.service = frontend.service;
	sock_remember(ctx, proto, &dialled);
	return METRIC_CONNECT;
}

/*
 * The backend this socket kept for the VIP, unless it is gone, down, or was chosen for another service. Read as one
 * word: an evicted entry's memory is another entry's at once.
 */
static __always_inline const struct backend_row *sticky_lookup(const struct udp_sticky_key *key, __u32 service)
{
	union {
		__u64 word;
		struct udp_sticky_row row;
	} sticky;
	const __u64 *found = bpf_map_lookup_elem(&mesh_udp_sticky_v1, key);
	const struct backend_row *backend;

	if (!found)
		return NULL;
	sticky.word = READ_ONCE(*found);
	if (sticky.row.service != service)
		return NULL;
	backend = backend_lookup(sticky.row.backend);
	return backend && backend_rank(backend) < RANK_DOWN ? backend : NULL;
}

/* Remembers what to show as the source of the answers. */
static __always_inline void reverse_remember(__u64 cookie, const struct peer *backend, const struct peer *vip,
					     __u32 service)
{
	struct udp_reverse_key key = {.cookie = cookie, .port = backend->port};
	struct udp_reverse_row row = {.port = vip->port, .service = service}, *have;

	__builtin_memcpy(key.addr, backend->addr, sizeof(key.addr));
	have = bpf_map_lookup_elem(&mesh_udp_reverse_v1, &key);
	if (have && same_peer(vip, have->vip, have->port))
		return;
	__builtin_memcpy(row.vip, vip->addr, sizeof(row.vip));
	row.check = key_check(&key, sizeof(key) / 4);
	if (bpf_map_update_elem(&mesh_udp_reverse_v1, &key, &row, BPF_ANY))
		count(METRIC_STATE_FULL);
}

/* sendmsg() of an unconnected socket: as sock_connect(). */
static __always_inline int sock_sendmsg(struct bpf_sock_addr *ctx, struct peer *dest)
{
	const struct backend_row *backend;
	struct udp_sticky_key key = {.port = dest->port};
	struct udp_sticky_row chosen = {};
	struct frontend_row frontend;
	struct sock_row *connected;
	struct peer vip = *dest;

	if (!frontend_find(dest, PROTO_UDP, &frontend))
		return METRIC_NONE;
	/* A connected AF_INET6 socket sends to v4-mapped addresses through here, already translated. */
	connected = bpf_sk_storage_get(&mesh_sock_v1, ctx->sk, 0, 0);
	if (connected && same_peer(dest, connected->addr, connected->port))
		return METRIC_NONE;
	if (frontend.flags & FRONTEND_REJECT)
		return METRIC_UNKNOWN_PORT;
	key.cookie = bpf_get_socket_cookie(ctx);
	__builtin_memcpy(key.vip, dest->addr, sizeof(key.vip));
	backend = sticky_lookup(&key, frontend.service);
	if (!backend) {
		chosen.service = frontend.service;
		backend = sock_choose(frontend.service, &chosen.backend);
		if (!backend)
			return METRIC_NO_BACKEND;
		if (bpf_map_update_elem(&mesh_udp_sticky_v1, &key, &chosen, BPF_ANY))
			count(METRIC_STATE_FULL);
	}
	set_peer(dest, backend->addr, backend->port);
	reverse_remember(key.cookie, dest, &vip, frontend.service);
	return METRIC_SENDMSG;
}

/* Shows the VIP when the peer is the backend of what was dialled. */
static __always_inline bool show_vip(const struct sock_row *dialled, struct peer *peer)
{
	if (!same_peer(peer, dialled->addr, dialled->port))
		return false;
	set_peer(peer, dialled->vip, dialled->vip_port);
	return true;
}

/* getpeername(): true when the peer is the backend of what was dialled; then it is the VIP now. */
static __always_inline bool sock_getpeername(struct bpf_sock_addr *ctx, struct peer *peer)
{
	const struct sock_row *kept = bpf_sk_storage_get(&mesh_sock_v1, ctx->sk, 0, 0);
	struct recent_row *recent, copy;
	__u64 cookie;

	if (kept)
		return show_vip(kept, peer);
	cookie = bpf_get_socket_cookie(ctx);
	recent = recent_slot(cookie);
	if (!recent || READ_ONCE(recent->cookie) != cookie)
		return false;
	copy.dialled = recent->dialled;
	if (READ_ONCE(recent->cookie) != cookie || !show_vip(&copy.dialled, peer)) /* somebody took the place meanwhile */
		return false;
	sock_keep(ctx, &copy.dialled);
	return true;
}

/* recvmsg(): true when the source is a backend that this socket reached through a VIP; then it is the VIP now. */
static __always_inline bool sock_recvmsg(struct bpf_sock_addr *ctx, struct peer *source)
{
	struct udp_reverse_key key = {.port = source->port};
	const struct sock_row *kept = bpf_sk_storage_get(&mesh_sock_v1, ctx->sk, 0, 0);
	const struct udp_reverse_row *row;

	if (kept && show_vip(kept, source))
		return true;
	key.cookie = bpf_get_socket_cookie(ctx);
	__builtin_memcpy(key.addr, source->addr, sizeof(key.addr));
	row = bpf_map_lookup_elem(&mesh_udp_reverse_v1, &key);
	if (!row || row->check != key_check(&key, sizeof(key) / 4))
		return false;
	set_peer(source, row->vip, row->port);
	return true;
}

#endif
