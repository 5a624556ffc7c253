// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * A program that the verifier rejects: it reads a map value without a check for NULL. Its log of every instruction, the
 * loop's included, is longer than what the addon keeps of it, and ends with the reason.
 */
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

	for (__u32 i = 0; i < 4000; i++) {
		key += skb->len;
		barrier_var(key);
	}
	return *(__u64 *)bpf_map_lookup_elem(&mesh_test_refused, &key);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
