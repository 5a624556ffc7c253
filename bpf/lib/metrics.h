/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* This file contains the counters. It writes mesh_metrics. */
#ifndef MESH_METRICS_H
#define MESH_METRICS_H

#include "common.h"

/* enum metric -> count, per CPU */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LIMIT_METRICS);
	__type(key, __u32);
	__type(value, __u64);
} mesh_metrics_v1 SEC(".maps");

static __always_inline void count(__u32 metric)
{
	__u64 *value = bpf_map_lookup_elem(&mesh_metrics_v1, &metric);

	if (value)
		*value += 1;
}

#endif
