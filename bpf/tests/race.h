/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* This file contains the counters of the race tests. */
#ifndef MESH_TEST_RACE_H
#define MESH_TEST_RACE_H

#include "lib/common.h"

enum race_count {
	RACE_READS = 0,	 /* choices made and frontends looked up */
	RACE_MIXED = 1,	 /* a value mixed from two states */
	RACE_LOST = 2,	 /* a frontend that is always there was missed */
	RACE_NONE = 3,	 /* no backend although one is always there */
	RACE_CHURNED = 4, /* an entry that is added and deleted all the time was found */
	RACE_TORN = 5,	 /* a row that a reader must reject was read: the race happened */
	RACE_COUNTS = 8,
};

/* enum race_count -> count */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RACE_COUNTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} mesh_test_counts SEC(".maps");

static __always_inline void tally(__u32 index)
{
	__u64 *value = bpf_map_lookup_elem(&mesh_test_counts, &index);

	if (value)
		__sync_fetch_and_add(value, 1);
}

#endif
