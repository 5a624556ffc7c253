/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* This file contains the lookup of a frontend. It reads mesh_frontends_v1 and mesh_service_ranges_v1. */
#ifndef MESH_FRONTEND_H
#define MESH_FRONTEND_H

#include "hash.h"
#include "maps.h"
#include "metrics.h"

/* An address and port as the programs carry them; IPv4 as v4-mapped. */
struct peer {
	__be32 addr[4];
	__be16 port;
};

static __always_inline bool same_peer(const struct peer *peer, const void *addr, __be16 port)
{
	const __be32 *word = addr;

	return peer->port == port && peer->addr[3] == word[3] && peer->addr[2] == word[2] &&
	       peer->addr[1] == word[1] && peer->addr[0] == word[0];
}

static __always_inline void set_peer(struct peer *peer, const void *addr, __be16 port)
{
	__builtin_memcpy(peer->addr, addr, sizeof(peer->addr));
	peer->port = port;
}

/* The row is read as one word, so that it is one row's even while its memory is reused. */
static __always_inline bool frontend_lookup(const struct frontend_key *key, struct frontend_row *row)
{
	union {
		__u64 word;
		struct frontend_row row;
	} copy;
	__u64 *found = bpf_map_lookup_elem(&mesh_frontends_v1, key);

	if (!found)
		return false;
	copy.word = READ_ONCE(*found);
	if (copy.row.check != key_check(key, sizeof(*key) / 4)) {
		count(METRIC_CHECK_MISMATCH);
		return false;
	}
	*row = copy.row;
	return true;
}

/* Is this an address that only a Service can have? */
static __always_inline bool in_service_range(const struct peer *dest)
{
	struct service_range_key key = {.length = 8 * sizeof(key.addr)};

	__builtin_memcpy(key.addr, dest->addr, sizeof(key.addr));
	return bpf_map_lookup_elem(&mesh_service_ranges_v1, &key);
}

/*
 * The frontend that answers for this destination: its own row, else the one that answers for the rest of its VIP, else
 * FRONTEND_UNKNOWN in the ranges of ClusterIPs. False: the destination is no Service of ours.
 */
static __always_inline bool frontend_find(const struct peer *dest, __u8 proto, struct frontend_row *row)
{
	struct frontend_key key = {.port = dest->port, .proto = proto, .scope = FRONTEND_SCOPE_ALL};

	__builtin_memcpy(key.addr, dest->addr, sizeof(key.addr));
	if (frontend_lookup(&key, row))
		return true;
	if (!dest->port) /* a probe for the source address (getaddrinfo), not a destination */
		return false;
	key.port = 0;
	key.proto = PROTO_ANY;
	if (frontend_lookup(&key, row))
		return !(row->flags & FRONTEND_PASS);
	row->flags = FRONTEND_UNKNOWN;
	return in_service_range(dest);
}

#endif
