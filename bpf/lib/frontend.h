/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* This file contains the lookup of a frontend. It reads mesh_frontends and mesh_service_ranges. */
#ifndef MESH_FRONTEND_H
#define MESH_FRONTEND_H

#include "hash.h"
#include "maps.h"
#include "metrics.h"

/* An address and port as the programs carry them; IPv4 as v4-mapped. */
struct endpoint_addr {
	__be32 addr[4];
	__be16 port;
};

static __always_inline bool same_endpoint(const struct endpoint_addr *peer, const void *addr, __be16 port)
{
	const __be32 *word = addr;

	return peer->port == port && peer->addr[3] == word[3] && peer->addr[2] == word[2] &&
	       peer->addr[1] == word[1] && peer->addr[0] == word[0];
}

static __always_inline void set_endpoint(struct endpoint_addr *peer, const void *addr, __be16 port)
{
	__builtin_memcpy(peer->addr, addr, sizeof(peer->addr));
	peer->port = port;
}

/* Reads the row as one word, so that it is never a mix of two rows, even while its memory is reused. */
static __always_inline bool frontend_lookup(const struct frontend_key *key, struct frontend_row *row)
{
	const __u64 *found = bpf_map_lookup_elem(&mesh_frontends_v1, key);
	struct frontend_row copy;
	__u64 word;

	if (!found)
		return false;
	word = READ_ONCE(*found);
	copy = FIELDS(frontend_row, word);
	if (copy.check != key_check(key, sizeof(*key) / 4)) {
		count(METRIC_CHECK_MISMATCH);
		return false;
	}
	*row = copy;
	return true;
}

static __always_inline bool range_contains(const struct service_range_row *range, const struct endpoint_addr *dest)
{
	const __be32 *addr = (const void *)range->addr, *mask = (const void *)range->mask;

	return !(((dest->addr[3] ^ addr[3]) & mask[3]) | ((dest->addr[2] ^ addr[2]) & mask[2]) |
		 ((dest->addr[1] ^ addr[1]) & mask[1]) | ((dest->addr[0] ^ addr[0]) & mask[0]));
}

/* Is this an address that only a Service can have? */
static __always_inline bool in_service_range(const struct endpoint_addr *dest)
{
	__u32 zero = 0;
	void *list = bpf_map_lookup_elem(&mesh_service_ranges_v2, &zero);

	if (!list)
		return false;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < LIMIT_SERVICE_RANGES; i++) {
		__u32 at = i; /* with &i, clang reloads i after the call, and the verifier loses the bound of the loop */
		const struct service_range_row *range = bpf_map_lookup_elem(list, &at);

		if (!range || !*(const __be32 *)range->mask)
			return false;
		if (range_contains(range, dest))
			return true;
	}
	return false;
}

/*
 * The frontend of this destination: the row of its address, port and protocol, else the row for the rest of its VIP,
 * else FRONTEND_UNKNOWN in the ranges of ClusterIPs. False: the destination is no Service that this node translates.
 */
static __always_inline bool frontend_find(const struct endpoint_addr *dest, __u8 proto, struct frontend_row *row)
{
	struct frontend_key key = {.port = dest->port, .proto = proto, .scope = FRONTEND_SCOPE_ALL};

	__builtin_memcpy(key.addr, dest->addr, sizeof(key.addr));
	if (frontend_lookup(&key, row))
		return true;
	if (!dest->port) /* getaddrinfo() connects to port 0 to learn the source address */
		return false;
	key.port = 0;
	key.proto = PROTO_ANY;
	if (frontend_lookup(&key, row))
		return !(row->flags & FRONTEND_PASS);
	row->flags = FRONTEND_UNKNOWN;
	return in_service_range(dest);
}

#endif
