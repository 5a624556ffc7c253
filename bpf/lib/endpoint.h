/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains the pods of this node and the ranges of all pods of the mesh. The agent writes the maps: an entry
 * of the index names a row, which is used again only after a grace period. A look-up that races with a deletion may find
 * the entry of another address, so the address in the row must be the one that is looked for.
 */
#ifndef MESH_ENDPOINT_H
#define MESH_ENDPOINT_H

#include "metrics.h"

/* address of a pod on this node -> row of mesh_endpoints */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct endpoint_key);
	__type(value, __u32);
} mesh_endpoint_index_v1 SEC(".maps");

/* row -> device, MACs */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct endpoint_row);
} mesh_endpoints_v1 SEC(".maps");

/* address -> the cluster in whose pod range it is */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pod_range_key);
	__type(value, struct pod_range_row);
} mesh_pod_ranges_v1 SEC(".maps");

/* The pod of this node with this address, or NULL. */
static __always_inline struct endpoint_row *find_endpoint(const __u8 *address)
{
	struct endpoint_key key;
	struct endpoint_row *row;
	const __u32 *found;
	__u32 index;

	__builtin_memcpy(key.addr, address, sizeof(key.addr));
	found = bpf_map_lookup_elem(&mesh_endpoint_index_v1, &key);
	if (!found)
		return NULL;
	index = READ_ONCE(*found);
	row = bpf_map_lookup_elem(&mesh_endpoints_v1, &index);
	if (!row || READ_ONCE(row->id) != index || __builtin_memcmp(row->addr, address, sizeof(key.addr)))
		return NULL;
	return row;
}

static __always_inline bool is_pod_address(const __u8 *address)
{
	struct pod_range_key key = {.length = 128};

	__builtin_memcpy(key.addr, address, sizeof(key.addr));
	return bpf_map_lookup_elem(&mesh_pod_ranges_v1, &key) != NULL;
}

#endif
