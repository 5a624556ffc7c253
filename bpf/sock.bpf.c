// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Services at the socket: hooks on connect, sendmsg, recvmsg and getpeername of every socket in the cgroups of a node's
 * pods. No cost per packet: packets carry the backend's address.
 */
#include <linux/errno.h>

#include "lib/sock.h"

#define ALLOW 1
#define REFUSE 0

static __always_inline void load4(const struct bpf_sock_addr *ctx, struct endpoint_addr *peer)
{
	peer->addr[0] = 0;
	peer->addr[1] = 0;
	peer->addr[2] = bpf_htonl(0xffff);
	peer->addr[3] = ctx->user_ip4;
	peer->port = ctx->user_port;
}

static __always_inline void store4(struct bpf_sock_addr *ctx, const struct endpoint_addr *peer)
{
	ctx->user_ip4 = peer->addr[3];
	ctx->user_port = peer->port;
}

static __always_inline void load6(const struct bpf_sock_addr *ctx, struct endpoint_addr *peer)
{
	peer->addr[0] = ctx->user_ip6[0];
	peer->addr[1] = ctx->user_ip6[1];
	peer->addr[2] = ctx->user_ip6[2];
	peer->addr[3] = ctx->user_ip6[3];
	peer->port = ctx->user_port;
}

static __always_inline void store6(struct bpf_sock_addr *ctx, const struct endpoint_addr *peer)
{
	ctx->user_ip6[0] = peer->addr[0];
	ctx->user_ip6[1] = peer->addr[1];
	ctx->user_ip6[2] = peer->addr[2];
	ctx->user_ip6[3] = peer->addr[3];
	ctx->user_port = peer->port;
}

/* The errno that the system call fails with (before Linux 5.18 it is EPERM). */
static __always_inline int drop_errno(enum drop_reason reason)
{
	return reason == DROP_UNKNOWN_SERVICE ? EHOSTUNREACH : ECONNREFUSED;
}

/* Ends connect and sendmsg hooks: counts what was decided, a translation as `translated`; a refusal sets the errno. */
static __always_inline int leave(__u64 word, __u32 translated)
{
	struct decision decision = FIELDS(decision, word);

	if (decision.verdict == VERDICT_TRANSLATE)
		count(translated);
	if (decision.verdict != VERDICT_DROP)
		return ALLOW;
	count_drop(decision.reason);
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_set_retval))
		bpf_set_retval(-drop_errno(decision.reason));
	return REFUSE;
}

SEC("cgroup/connect4")
int sock_connect4(struct bpf_sock_addr *ctx)
{
	struct endpoint_addr dest;
	__u64 decision;

	load4(ctx, &dest);
	decision = sock_connect(ctx, &dest);
	if (FIELDS(decision, decision).verdict == VERDICT_TRANSLATE)
		store4(ctx, &dest);
	return leave(decision, METRIC_CONNECT);
}

SEC("cgroup/connect6")
int sock_connect6(struct bpf_sock_addr *ctx)
{
	struct endpoint_addr dest;
	__u64 decision;

	load6(ctx, &dest);
	decision = sock_connect(ctx, &dest);
	if (FIELDS(decision, decision).verdict == VERDICT_TRANSLATE)
		store6(ctx, &dest);
	return leave(decision, METRIC_CONNECT);
}

SEC("cgroup/sendmsg4")
int sock_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct endpoint_addr dest;
	__u64 decision;

	load4(ctx, &dest);
	decision = sock_sendmsg(ctx, &dest);
	if (FIELDS(decision, decision).verdict == VERDICT_TRANSLATE)
		store4(ctx, &dest);
	return leave(decision, METRIC_SENDMSG);
}

SEC("cgroup/sendmsg6")
int sock_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct endpoint_addr dest;
	__u64 decision;

	load6(ctx, &dest);
	decision = sock_sendmsg(ctx, &dest);
	if (FIELDS(decision, decision).verdict == VERDICT_TRANSLATE)
		store6(ctx, &dest);
	return leave(decision, METRIC_SENDMSG);
}

SEC("cgroup/recvmsg4")
int sock_recvmsg4(struct bpf_sock_addr *ctx)
{
	struct endpoint_addr source;

	load4(ctx, &source);
	if (sock_recvmsg(ctx, &source)) {
		store4(ctx, &source);
		count(METRIC_REPLY);
	}
	return ALLOW;
}

SEC("cgroup/recvmsg6")
int sock_recvmsg6(struct bpf_sock_addr *ctx)
{
	struct endpoint_addr source;

	load6(ctx, &source);
	if (sock_recvmsg(ctx, &source)) {
		store6(ctx, &source);
		count(METRIC_REPLY);
	}
	return ALLOW;
}

SEC("cgroup/getpeername4")
int sock_getpeername4(struct bpf_sock_addr *ctx)
{
	struct endpoint_addr peer;

	load4(ctx, &peer);
	if (sock_getpeername(ctx, &peer))
		store4(ctx, &peer);
	return ALLOW;
}

SEC("cgroup/getpeername6")
int sock_getpeername6(struct bpf_sock_addr *ctx)
{
	struct endpoint_addr peer;

	load6(ctx, &peer);
	if (sock_getpeername(ctx, &peer))
		store6(ctx, &peer);
	return ALLOW;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
