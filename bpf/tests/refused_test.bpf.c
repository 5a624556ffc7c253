// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A program that the verifier refuses: a map value is used without looking whether it is there. */
#include "lib/common.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} mesh_test_refused SEC(".maps");

SEC("tc")
int refused(struct __sk_buff *skb)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&mesh_test_refused, &key);

	return *value;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
