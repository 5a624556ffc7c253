/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains the maps that the agent writes and the programs read.
 *
 * Each map is pinned as mesh_<noun>_v<layout> in the agent's bpffs folder; a new agent finds it by this path. Sizes are
 * defaults; the agent may set others when it creates a map.
 *
 * Hash entries are inserted and deleted, never rewritten. Under traffic, each change is one aligned word in a mapped
 * array, written by one store.
 */
#ifndef MESH_MAPS_H
#define MESH_MAPS_H

#include "common.h"

/* frontend address, port, protocol -> service index */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct frontend_key);
	__type(value, struct frontend_row);
} mesh_frontends_v1 SEC(".maps");

/* ranges of ClusterIPs, one per row (sizes instead of types, as in table_segment) */
struct service_range_list {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_SERVICE_RANGES);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct service_range_row));
};

/* 0 -> the list in force */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct service_range_list);
} mesh_service_ranges_v2 SEC(".maps");

/* service index -> tier words */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct service_row);
} mesh_services_v1 SEC(".maps");

/* one segment of the tables: lines of backend ids (sizes instead of types: BTF of inner maps omits struct bodies) */
struct table_segment {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_SEGMENT_LINES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct table_line));
};

/* line / LIMIT_SEGMENT_LINES -> segment */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, LIMIT_SEGMENTS);
	__type(key, __u32);
	__array(values, struct table_segment);
} mesh_tables_v1 SEC(".maps");

/* index of a backend id -> address, port, node, cluster */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct backend_row);
} mesh_backends_v1 SEC(".maps");

/* cluster id -> state word */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_CLUSTERS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u32);
} mesh_cluster_state_v1 SEC(".maps");

/* node index -> state word */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 32768);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u32);
} mesh_node_state_v1 SEC(".maps");

/* node index -> tunnel and health address; not read by the socket programs */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 32768);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct node_row);
} mesh_nodes_v1 SEC(".maps");

/* cluster id -> position below which the agent applies nothing; here to survive the agent, read by no program */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_CLUSTERS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct floor_row);
} mesh_floors_v2 SEC(".maps");

#endif
