/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* This file contains headers that programs write anew, with whole checksums. It uses no maps. */
#ifndef MESH_WRITE_H
#define MESH_WRITE_H

#include "packet.h"

struct tcp_header {
	__be16 source;
	__be16 dest;
	__be32 seq;
	__be32 ack;
	__u8 offset; /* words of the header, in the high half */
	__u8 flags;
	__be16 window;
	__be16 check;
	__be16 urgent;
};

struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 check;
	__be32 rest;
};

/* What a TCP checksum covers besides the segment. */
struct pseudo_header {
	__be32 source;
	__be32 target;
	__be16 proto;
	__be16 length;
};

static __always_inline __u16 fold(__u64 sum)
{
	for (int i = 0; i < 3; i++)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* The checksum of a segment without data, in which its field is 0. */
static __always_inline __u16 tcp_check(const void *tcp, __u32 length, __be32 source, __be32 target)
{
	struct pseudo_header pseudo = {source, target, bpf_htons(IPPROTO_TCP), bpf_htons(length)};

	return fold(bpf_csum_diff(NULL, 0, (void *)tcp, length, bpf_csum_diff(NULL, 0, (void *)&pseudo, sizeof(pseudo), 0)));
}

/* The IP header of a packet with `length` bytes behind it. */
static __always_inline struct iphdr ip_header(__be32 source, __be32 target, __u8 proto, __u32 length, __u8 tos)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tos = tos,
		.tot_len = bpf_htons(sizeof(ip) + length),
		.frag_off = bpf_htons(DONT_FRAGMENT),
		.ttl = 64,
		.protocol = proto,
		.saddr = source,
		.daddr = target,
	};

	ip.check = fold(bpf_csum_diff(NULL, 0, (void *)&ip, sizeof(ip), 0));
	return ip;
}

#endif
