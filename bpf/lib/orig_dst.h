/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains what connected sockets dialled: in socket storage (mesh_sock), and for TCP in a ring of the latest
 * connects, by the cookie of the socket (mesh_tcp_recent).
 *
 * In the ring, the next socket whose cookie has the same low bits overwrites a row, even while another CPU writes or
 * reads it, and on some CPUs stores become visible in any order. There is no lock and no barrier: a row with the cookie
 * of another socket is a miss, and so is a torn row, because its check does not match its content.
 */
#ifndef MESH_ORIG_DST_H
#define MESH_ORIG_DST_H

#include "common.h"
#include "hash.h"

/* socket -> its original destination */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct sock_row);
} mesh_sock_v1 SEC(".maps");

/* low bits of a socket's cookie -> its original destination, until another socket overwrites the row */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_TCP_ORIG_DST);
	__type(key, __u32);
	__type(value, struct tcp_orig_dst_row);
} mesh_tcp_recent_v2 SEC(".maps");

#define TCP_ORIG_DST_WORDS ((int)(sizeof(struct tcp_orig_dst_row) / 8))

static __always_inline struct tcp_orig_dst_row *tcp_orig_dst_slot(__u64 cookie)
{
	__u32 slot = cookie & (LIMIT_TCP_ORIG_DST - 1);

	return bpf_map_lookup_elem(&mesh_tcp_recent_v2, &slot);
}

static __always_inline void tcp_orig_dst_write(__u64 cookie, const struct sock_row *orig_dst)
{
	struct tcp_orig_dst_row row = {.cookie = cookie, .orig_dst = *orig_dst}, *recent = tcp_orig_dst_slot(cookie);

	if (!recent)
		return;
	row.check = row_check(ROW_CHECK, &row, TCP_ORIG_DST_WORDS - 1);
	*recent = row;
}

/* False when the row is torn or belongs to another socket. */
static __always_inline bool tcp_orig_dst_read(__u64 cookie, struct sock_row *orig_dst)
{
	const struct tcp_orig_dst_row *recent = tcp_orig_dst_slot(cookie);
	struct tcp_orig_dst_row row;

	if (!recent)
		return false;
	copy_once(&row, recent, TCP_ORIG_DST_WORDS);
	if (row.cookie != cookie || row.check != row_check(ROW_CHECK, &row, TCP_ORIG_DST_WORDS - 1))
		return false;
	*orig_dst = row.orig_dst;
	return true;
}

#endif
