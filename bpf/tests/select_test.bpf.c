// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Chooses a backend without sockets. In: a packet that is a struct select_request, with an empty Ethernet header.
 * Out: the return value is the backend id, and mesh_test_counts counts the chosen backends by index.
 */
#include "lib/service.h"

struct select_request {
	__u8 ethernet[14];
	__u8 pad[2];
	__u32 service;
	__u32 hash; /* 0 = random in every run */
};

/* index of a backend id -> how often it was chosen; [0] = none */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} mesh_test_counts SEC(".maps");

SEC("tc")
int select_backend(struct __sk_buff *skb)
{
	const struct select_request *request = (void *)(long)skb->data;
	const struct service_row *service;
	__u32 id, index, number;
	__u64 *chosen, pick;

	if ((void *)(request + 1) > (void *)(long)skb->data_end)
		return -1;
	number = request->service;
	service = bpf_map_lookup_elem(&mesh_services_v1, &number);
	if (!service)
		return -1;
	pick = service_choose(service, request->hash ? request->hash : bpf_get_prandom_u32());
	id = FIELDS(pick, pick).id;
	index = FIELDS(backend_id, id).index;
	chosen = bpf_map_lookup_elem(&mesh_test_counts, &index);
	if (chosen)
		__sync_fetch_and_add(chosen, 1);
	return id;
}

/* The same without the choice, to subtract its run time. */
SEC("tc")
int select_nothing(struct __sk_buff *skb)
{
	const struct select_request *request = (void *)(long)skb->data;
	__u32 index;
	__u64 *chosen;

	if ((void *)(request + 1) > (void *)(long)skb->data_end)
		return -1;
	index = (request->hash ? request->hash : bpf_get_prandom_u32()) & 1;
	chosen = bpf_map_lookup_elem(&mesh_test_counts, &index);
	if (chosen)
		__sync_fetch_and_add(chosen, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
