/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* This file contains the counts of moved connects, by Service too, which the agent reads. It reads mesh_services. */
#ifndef MESH_SERVICE_MOVES_H
#define MESH_SERVICE_MOVES_H

#include "maps.h"
#include "metrics.h"

/* Service -> what became of connects that its backends refused or did not answer; the Services of which that was latest */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct service_moves_key);
	__type(value, struct service_moves_row);
} mesh_service_moves_v1 SEC(".maps");

static __always_inline __u32 metric_of_move(__u32 reason)
{
	switch (reason) {
	case MOVE_REASON_EXHAUSTED:
		return METRIC_MOVE_EXHAUSTED;
	case MOVE_REASON_FAILED:
		return METRIC_MOVE_FAILED;
	case MOVE_REASON_DENIED:
		return METRIC_MOVE_DENIED;
	}
	return METRIC_MOVED;
}

/*
 * Counts what became of a connect. `service`: row of its Service, to which a frontend led in this run, so that no other one
 * has it yet. Not inlined and not static, as nat_find().
 */
__noinline int count_move(__u32 service, __u32 reason)
{
	const struct service_row *row = bpf_map_lookup_elem(&mesh_services_v1, &service);
	struct service_moves_key key = {.service = service};
	struct service_moves_row none = {}, *moves;

	count(metric_of_move(reason));
	if (!row || reason >= LIMIT_MOVE_REASONS)
		return 0;
	key.gen = READ_ONCE(row->gen);
	moves = bpf_map_lookup_elem(&mesh_service_moves_v1, &key);
	if (!moves) {
		bpf_map_update_elem(&mesh_service_moves_v1, &key, &none, BPF_NOEXIST);
		moves = bpf_map_lookup_elem(&mesh_service_moves_v1, &key);
	}
	if (moves)
		__sync_fetch_and_add(&moves->count[reason], 1);
	return 0;
}

#endif
