// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Gives the rows of one set of mesh_conntrack to flows while others read and change them: run it on two CPUs at once.
 * The flags of a flow follow from its number, and no flow's answers go through the stack.
 */
#include "lib/conntrack.h"
#include "tests/race.h"

#define FLOWS 64
#define TAKERS 16
#define FLAG_BITS 0x0ff0

static __always_inline __u32 flags_of(__u32 number)
{
	return number * 0x9e37 & FLAG_BITS;
}

static __always_inline void packet_of(__u32 number, struct packet *packet)
{
	map_address(packet->source, bpf_htonl(0x0a010001));
	map_address(packet->target, bpf_htonl(0x0a010002));
	packet->tcp = TCP_SYN;
	set_flow(packet, IPPROTO_TCP, packet->source, number, 80);
}

/* 0 -> the packet of take_row(): on its frame, the chain of calls would be too deep for Linux 6.1 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet);
} mesh_test_packet SEC(".maps");

__noinline int take_row(__u32 number)
{
	struct tracked flow = {};
	struct packet *packet;
	__u32 first = 0;

	packet = bpf_map_lookup_elem(&mesh_test_packet, &first);
	if (!packet)
		return 0;
	packet_of(number, packet);
	find_flow(packet, &flow);
	if (!flow.row)
		insert_flow(packet, &flow, flags_of(number), flags_of(number));
	return 0;
}

__noinline int read_row(__u32 number)
{
	struct packet packet = {};
	struct tracked flow = {};

	packet_of(number, &packet);
	find_flow(&packet, &flow);
	if (flow.row) {
		tally(RACE_CHURNED);
		if ((flow.flags & ~FLOW_INITIATOR) != flags_of(number))
			tally(RACE_MIXED);
		return 0;
	}
	if (!flow.set)
		return 0;
	for (int i = 0; i < LIMIT_FLOW_SET; i++)
		if (has_key(&flow.set->row[i], &packet.flow))
			tally(RACE_TORN);
	return 0;
}

/* A store that comes when the row is long another flow's. */
__noinline int store_late(__u32 number)
{
	struct packet packet = {};
	struct tracked flow = {};

	packet_of(number, &packet);
	find_flow(&packet, &flow);
	if (!flow.row)
		return 0;
	for (int i = 0; i < TAKERS; i++)
		take_row((number + 1 + i) % FLOWS);
	if (!has_key(flow.row, &packet.flow))
		answer_via_stack(&flow, &packet);
	return 0;
}

SEC("tc")
int race_flows(struct __sk_buff *skb)
{
	__u32 random = bpf_get_prandom_u32();

	tally(RACE_READS);
	take_row(random % FLOWS);
	read_row((random >> 8) % FLOWS);
	store_late((random >> 16) % FLOWS);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
