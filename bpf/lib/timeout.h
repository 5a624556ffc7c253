/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains when a TCP socket of a pod repeats the SYN of a connect to a Service: soon, because the repeat goes to
 * another backend (rescue.h), and never so soon that a backend which answers had no time to.
 *
 *   the Service has a setting ──► that
 *   the backend's node has a known round-trip time ──► three times that, and TIMEOUT_LEAST_MS at least
 *   it has none ──► the kernel's: 1 s
 *
 * With a setting too it is three round-trip times at least: else a connect to a far cluster would go elsewhere though its
 * backend answers. Whatever pods make of the round-trip time of their node, it delays no repeat beyond the kernel's.
 *
 * Handshakes measure the round-trip time of the backend's node (mesh_nodes). A longer one counts at once, shorter ones by
 * and by. Sockets of the node's own network namespace (hostNetwork) keep the kernel's time, because no program sees their
 * packets; so do those of servers, and connects over IPv6, whose packets are left alone.
 */
#ifndef MESH_TIMEOUT_H
#define MESH_TIMEOUT_H

#include "nat.h"
#include "orig_dst.h"
#include "service.h"

#define TIMEOUT_LEAST_MS 100
#define TIMEOUT_MOST_MS 1000 /* the kernel's, and the most that round-trip times make of it */
#define MS_PER_S 1000ULL
#define NS_PER_MS 1000000ULL

/* A moment by both clocks, from which the kernel's HZ follows: it is in no header. */
struct clock_row {
	__u64 jiffies;
	__u64 ns; /* 0 = not written yet */
	__u64 hz; /* 0 = not known yet */
};

/* 0 -> the moment of the first connect */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct clock_row);
} mesh_clock_v1 SEC(".maps");

#define CLOCK_LEAST_NS (200 * NS_PER_MS)

/* The HZ that Linux is built with, whose measured value is this. */
static __always_inline __u64 nearest_hz(__u64 measured)
{
	if (measured < 175)
		return 100;
	if (measured < 275)
		return 250;
	return measured < 600 ? 300 : 1000;
}

/* Ticks of the kernel per second; 0 while they are not known, shortly after the first connect. */
static __always_inline __u64 kernel_hz(void)
{
	struct clock_row *row;
	__u64 now, began;
	__u32 first = 0;

	row = bpf_map_lookup_elem(&mesh_clock_v1, &first);
	if (!row)
		return 0;
	if (READ_ONCE(row->hz))
		return READ_ONCE(row->hz);
	now = bpf_ktime_get_ns();
	began = READ_ONCE(row->ns);
	if (!began) {
		row->jiffies = bpf_jiffies64();
		*(volatile __u64 *)&row->ns = now;
		return 0;
	}
	if (now < began + CLOCK_LEAST_NS)
		return 0;
	*(volatile __u64 *)&row->hz = nearest_hz((bpf_jiffies64() - row->jiffies) * 1000 / ((now - began) / NS_PER_MS));
	return READ_ONCE(row->hz);
}

/* The backend to which a socket connects by a Service, or NULL; `orig_dst` is what it dialled then. */
static __always_inline const struct backend_row *orig_dst_backend(struct bpf_sock_ops *ctx, struct sock_row *orig_dst)
{
	const __be32 *addr = (const void *)orig_dst->addr;

	if (!ctx->is_fullsock || bpf_get_netns_cookie(ctx) == CONFIG(netns_cookie) ||
	    !tcp_orig_dst_read(bpf_get_socket_cookie(ctx), orig_dst))
		return NULL;
	if (addr[2] != bpf_htonl(0xffff) || addr[3] != ctx->remote_ip4)
		return NULL;
	return backend_lookup(orig_dst->backend);
}

static __always_inline struct node_row *node_of(const struct backend_row *backend)
{
	__u32 node = backend->node;

	return node ? bpf_map_lookup_elem(&mesh_nodes_v1, &node) : NULL;
}

/* Milliseconds until the first repeat of the SYN; 0 = the kernel's. `service`: the one that was dialled. */
static __always_inline __u32 timeout_ms(const struct backend_row *backend, __u32 service)
{
	const struct service_row *row = bpf_map_lookup_elem(&mesh_services_v1, &service);
	const struct node_row *node = node_of(backend);
	__u32 ms, rtt_us = node ? READ_ONCE(node->rtt_us) : 0;
	__u32 least = row ? READ_ONCE(row->rescue_after_ms) : 0;

	if (!row || (READ_ONCE(row->flags) & SERVICE_NO_RESCUE) || (!least && !rtt_us))
		return 0;
	least = least ? least : TIMEOUT_LEAST_MS;
	ms = rtt_us / 1000 * 3;
	ms = ms < TIMEOUT_MOST_MS ? ms : TIMEOUT_MOST_MS;
	return ms < least ? least : ms;
}

/* What the kernel asks for: ticks until the first repeat, or -1 = its own. */
static __always_inline __s32 timeout_ticks(struct bpf_sock_ops *ctx)
{
	struct sock_row orig_dst;
	const struct backend_row *backend = orig_dst_backend(ctx, &orig_dst);
	__u32 ms = backend ? timeout_ms(backend, orig_dst.service) : 0;
	__u64 hz = ms ? kernel_hz() : 0;

	return hz ? (ms * hz + MS_PER_S - 1) / MS_PER_S : -1;
}

#define SOL_TCP 6
#define TCP_SYNCNT 7

/* With a shorter first repeat the kernel would give up sooner: as many repeats more as make it about as long as before. */
static __always_inline void keep_give_up_time(struct bpf_sock_ops *ctx)
{
	struct sock_row orig_dst;
	const struct backend_row *backend = orig_dst_backend(ctx, &orig_dst);
	__u32 ms = backend ? timeout_ms(backend, orig_dst.service) : 0;
	/* Also when it is not needed, so that it is known when it is. */
	__u64 hz = backend ? kernel_hz() : 0;
	int repeats = 0;

	if (!ms || !hz || bpf_getsockopt(ctx, SOL_TCP, TCP_SYNCNT, &repeats, sizeof(repeats)))
		return;
	/* Each doubles the time; about as often as the kernel's is the double of this one. */
	for (int i = 0; i < 4; i++) {
		ms *= 2;
		if (ms > TIMEOUT_MOST_MS * 14 / 10)
			break;
		repeats++;
	}
	bpf_setsockopt(ctx, SOL_TCP, TCP_SYNCNT, &repeats, sizeof(repeats));
}

/* The backend that answered a connect: the one that was chosen for its socket, or the one that it was moved to. */
static __always_inline const struct backend_row *answering_backend(struct bpf_sock_ops *ctx)
{
	struct sock_row orig_dst;
	const struct backend_row *chosen = orig_dst_backend(ctx, &orig_dst);
	struct nat_row row = {};
	struct flow_key key;
	__u8 client[16];

	if (!chosen || !nat_in_use())
		return chosen;
	map_address(client, ctx->local_ip4);
	tuple_key(&key, client, bpf_htons(ctx->local_port), orig_dst.addr, orig_dst.port);
	return nat_lookup(&key, &row) ? backend_lookup(row.backend) : chosen;
}

/* Notes the round-trip time of a handshake for the backend's node. */
static __always_inline void note_rtt(struct bpf_sock_ops *ctx)
{
	const struct backend_row *backend = answering_backend(ctx);
	struct node_row *node = backend ? node_of(backend) : NULL;
	__u32 before, rtt_us = ctx->srtt_us >> 3;

	if (!node || !rtt_us)
		return;
	before = READ_ONCE(node->rtt_us);
	if (rtt_us < before)
		rtt_us = before - (before - rtt_us) / 16;
	if (rtt_us != before)
		*(volatile __u32 *)&node->rtt_us = rtt_us;
}

#endif
