/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains the state of unconnected UDP sockets: the backend that a socket sends to, per VIP
 * (mesh_udp_sticky), the VIP per backend that answers it (mesh_udp_reverse), and a mark on sockets that have sent
 * to a Service (mesh_udp_senders). A server without this mark skips the lookup for each datagram that it receives.
 *
 * Keys begin with the socket's cookie, and hooks run under the socket's lock, so no other CPU reads or writes the entry
 * of a key meanwhile, and replacing it is no race. But all sockets share the LRU map, which reuses the memory of an
 * entry as soon as it needs room: while an entry is read, it may become the entry of another key, or half of one. So an
 * entry is read once, is valid only with the check of its key, and is never written in place.
 */
#ifndef MESH_UDP_H
#define MESH_UDP_H

#include "frontend.h"
#include "backend_find.h"

/* unconnected UDP socket and VIP -> the backend it keeps */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct udp_sticky_key);
	__type(value, struct udp_sticky_row);
} mesh_udp_sticky_v2 SEC(".maps");

/* unconnected UDP socket and backend -> the VIP to show as the source */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct udp_reverse_key);
	__type(value, struct udp_reverse_row);
} mesh_udp_reverse_v2 SEC(".maps");

/* unconnected UDP socket -> it has sent to a Service; only the presence of an entry counts */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} mesh_udp_senders_v1 SEC(".maps");

#define KEY_WORDS(key) ((int)(sizeof(key) / 8))
#define REVERSE_WORDS ((int)(sizeof(struct udp_reverse_row) / 8))

static __always_inline __u64 sticky_check(const struct udp_sticky_key *key)
{
	return row_check(ROW_CHECK, key, KEY_WORDS(*key)) >> (64 - LIMIT_STICKY_CHECK_BITS);
}

/* The stored backend of this socket for the VIP; backend 0 = none. */
static __always_inline struct udp_sticky_row sticky_read(const struct udp_sticky_key *key)
{
	const __u64 *found = bpf_map_lookup_elem(&mesh_udp_sticky_v2, key);
	__u64 word = found ? READ_ONCE(*found) : 0;

	if (FIELDS(udp_sticky_row, word).check != sticky_check(key))
		word = 0;
	return FIELDS(udp_sticky_row, word);
}

static __always_inline void sticky_write(const struct udp_sticky_key *key, const struct service_row *service,
					 __u64 word)
{
	struct pick pick = FIELDS(pick, word);
	__u64 tier = READ_ONCE(service->tier[pick.tier]);
	struct udp_sticky_row chosen = {
		.backend = pick.id,
		.fraction = slot_fraction(pick.slot, FIELDS(tier_word, tier).slots),
		.tier = pick.tier,
		.check = sticky_check(key),
	};

	if (bpf_map_update_elem(&mesh_udp_sticky_v2, key, &chosen, BPF_ANY))
		count(METRIC_STATE_FULL);
}

/* A global function, as in service.h: the verifier checks it once. Called when the socket has no usable backend. */
__noinline __u64 sticky_choose(__u32 service)
{
	const struct service_row *row = bpf_map_lookup_elem(&mesh_services_v1, &service);

	return row ? service_choose(row, bpf_get_prandom_u32()) : PICK_NONE;
}

/* The stored backend of this socket for the VIP; another one when it is gone, down, or no longer of this service. */
static __always_inline const struct backend_row *sticky_backend(const struct udp_sticky_key *key, __u32 service)
{
	const struct service_row *row = bpf_map_lookup_elem(&mesh_services_v1, &service);
	struct udp_sticky_row kept = sticky_read(key);
	const struct backend_row *backend = backend_lookup(kept.backend);
	__u64 pick = PICK_NONE;

	if (!row)
		return NULL;
	if (backend && backend_rank(backend) < RANK_DOWN) {
		if (service_has_backend(row, kept.tier, kept.fraction, kept.backend))
			return backend;
		pick = service_find(service, kept.fraction, kept.backend);
	}
	if (!FIELDS(pick, pick).id)
		pick = sticky_choose(service);
	backend = backend_lookup(FIELDS(pick, pick).id);
	if (backend)
		sticky_write(key, row, pick);
	return backend;
}

static __always_inline void sender_mark(struct bpf_sock_addr *ctx)
{
	if (!bpf_sk_storage_get(&mesh_udp_senders_v1, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE))
		count(METRIC_STATE_FULL);
}

static __always_inline bool sender_marked(struct bpf_sock_addr *ctx)
{
	return bpf_sk_storage_get(&mesh_udp_senders_v1, ctx->sk, 0, 0);
}

static __always_inline __u64 reverse_check(const struct udp_reverse_key *key, const struct udp_reverse_row *row)
{
	return row_check(row_check(ROW_CHECK, key, KEY_WORDS(*key)), row, REVERSE_WORDS - 1);
}

/* Copies the row that a lookup found; false when it is torn or belongs to another key. */
static __always_inline bool reverse_take(const struct udp_reverse_key *key, const struct udp_reverse_row *found,
					 struct udp_reverse_row *row)
{
	copy_once(row, found, REVERSE_WORDS);
	return row->check == reverse_check(key, row);
}

/*
 * Stores the VIP to show as the source of the answers. A backend that a socket reaches through two VIPs answers both
 * from one address, so its answers show the VIP that the socket sent to last.
 */
static __always_inline void reverse_write(__u64 cookie, const struct endpoint_addr *backend,
					  const struct endpoint_addr *vip)
{
	struct udp_reverse_key key = {.cookie = cookie, .port = backend->port};
	struct udp_reverse_row row = {.port = vip->port}, have;
	const struct udp_reverse_row *found;

	__builtin_memcpy(key.addr, backend->addr, sizeof(key.addr));
	found = bpf_map_lookup_elem(&mesh_udp_reverse_v2, &key);
	if (found && reverse_take(&key, found, &have) && same_endpoint(vip, have.vip, have.port))
		return;
	__builtin_memcpy(row.vip, vip->addr, sizeof(row.vip));
	row.check = reverse_check(&key, &row);
	if (bpf_map_update_elem(&mesh_udp_reverse_v2, &key, &row, BPF_ANY))
		count(METRIC_STATE_FULL);
}

/* True when the socket reached this source through a VIP; the source is then set to the VIP. */
static __always_inline bool reverse_read(__u64 cookie, struct endpoint_addr *source)
{
	struct udp_reverse_key key = {.cookie = cookie, .port = source->port};
	const struct udp_reverse_row *found;
	struct udp_reverse_row row;

	__builtin_memcpy(key.addr, source->addr, sizeof(key.addr));
	found = bpf_map_lookup_elem(&mesh_udp_reverse_v2, &key);
	if (!found)
		return false;
	if (!reverse_take(&key, found, &row)) {
		count(METRIC_CHECK_MISMATCH);
		return false;
	}
	set_endpoint(source, row.vip, row.port);
	return true;
}

#endif
