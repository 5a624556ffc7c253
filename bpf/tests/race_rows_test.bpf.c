// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Writes and reads rows of more than one word while other runs reuse their memory: run it on two CPUs at once.
 * Every run writes the row of one cookie and reads that of another. All words of a row follow from its cookie.
 */
#include "lib/orig_dst.h"
#include "lib/udp.h"
#include "tests/race.h"

#define COOKIES 4096
#define SENDERS 200

/* The address of a backend or a VIP: every word follows from the cookie. */
static __always_inline struct endpoint_addr peer_of(__u32 cookie, __u32 salt)
{
	struct endpoint_addr peer = {.addr = {cookie ^ salt, cookie + salt, cookie * salt, ~cookie}, .port = cookie};

	return peer;
}

static __always_inline void orig_dst_of(__u32 cookie, struct sock_row *row)
{
	struct endpoint_addr vip = peer_of(cookie, 7), backend = peer_of(cookie, 9);

	__builtin_memcpy(row->vip, vip.addr, sizeof(row->vip));
	__builtin_memcpy(row->addr, backend.addr, sizeof(row->addr));
	row->vip_port = vip.port;
	row->port = backend.port;
	row->backend = cookie;
	row->service = ~cookie;
}

static __always_inline bool same_words(const void *one, const void *other, int words)
{
	const __u64 *a = one, *b = other;
	__u64 differ = 0;

	for (int i = 0; i < words; i++)
		differ |= a[i] ^ b[i];
	return !differ;
}

/* Four sockets whose cookies share a row of the ring. */
SEC("tc")
int race_recent(struct __sk_buff *skb)
{
	__u32 random = bpf_get_prandom_u32();
	__u64 writer = 5 + (random & 3) * LIMIT_TCP_ORIG_DST, reader = 5 + (random >> 2 & 3) * LIMIT_TCP_ORIG_DST;
	struct sock_row written = {}, wanted = {}, found;
	const struct tcp_orig_dst_row *place = tcp_orig_dst_slot(reader);
	struct tcp_orig_dst_row raw;

	tally(RACE_READS);
	orig_dst_of(writer, &written);
	tcp_orig_dst_write(writer, &written);
	orig_dst_of(reader, &wanted);
	if (place) {
		copy_once(&raw, place, TCP_ORIG_DST_WORDS);
		if (raw.cookie == reader && !same_words(&raw.orig_dst, &wanted, TCP_ORIG_DST_WORDS - 2))
			tally(RACE_TORN);
	}
	if (!tcp_orig_dst_read(reader, &found))
		return 0;
	tally(RACE_CHURNED);
	if (!same_words(&found, &wanted, TCP_ORIG_DST_WORDS - 2))
		tally(RACE_MIXED);
	return 0;
}

__noinline int send_one(__u32 cookie)
{
	struct endpoint_addr backend = peer_of(cookie, 9), vip = peer_of(cookie, 7);

	reverse_write(cookie, &backend, &vip);
	return 0;
}

/* Other sockets reuse the memory of a found row before it is read: more of them send than the map has room for. */
SEC("tc")
int race_reverse(struct __sk_buff *skb)
{
	__u32 cookie = bpf_get_prandom_u32() % COOKIES;
	struct endpoint_addr source = peer_of(cookie, 9), wanted = peer_of(cookie, 7);
	struct udp_reverse_key key = {.cookie = cookie, .port = source.port};
	const struct udp_reverse_row *found;
	struct udp_reverse_row row;

	tally(RACE_READS);
	send_one(cookie);
	__builtin_memcpy(key.addr, source.addr, sizeof(key.addr));
	found = bpf_map_lookup_elem(&mesh_udp_reverse_v2, &key);
	if (!found)
		return 0;
	for (int i = 0; i < SENDERS; i++)
		send_one(bpf_get_prandom_u32() % COOKIES);
	if (!reverse_take(&key, found, &row)) {
		tally(RACE_TORN);
		return 0;
	}
	tally(RACE_CHURNED);
	if (!same_endpoint(&wanted, row.vip, row.port))
		tally(RACE_MIXED);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
