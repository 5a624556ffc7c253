// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Takes fragments of one datagram after another, in no order, and compares the ways of those of a datagram: run it on two
 * CPUs at once. Some meet another one that decides between their look-up and their decision: RACE_TORN counts them.
 */
#include "lib/fragment.h"
#include "tests/race.h"

#define FRAGMENTS 4
#define DATAGRAMS 1024
#define PAST 1ULL
#define THROUGH 2ULL

/* 0 -> fragments that came */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} mesh_test_turn SEC(".maps");

/* a datagram -> its number, and in the low bits PAST and THROUGH, as its fragments went */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DATAGRAMS);
	__type(key, __u32);
	__type(value, __u64);
} mesh_test_ways SEC(".maps");

/* Notes the way of a fragment of a datagram; counts it when another one's is the other way. */
__noinline int compare_way(__u64 number, __u32 way)
{
	__u32 index = number % DATAGRAMS;
	__u64 *ways = bpf_map_lookup_elem(&mesh_test_ways, &index), have, want = 0;

	for (int i = 0; ways && i < 4; i++) {
		have = READ_ONCE(*ways);
		want = (have >> 2 == number ? have : number << 2) | (way & FRAGMENT_VIA_STACK ? THROUGH : PAST);
		if (__sync_val_compare_and_swap(ways, have, want) == have)
			break;
	}
	if (!(way & FRAGMENT_VIA_STACK))
		tally(RACE_CHURNED);
	if ((want & (PAST | THROUGH)) == (PAST | THROUGH))
		tally(RACE_MIXED);
	return 0;
}

__noinline int lead(const struct packet *packet, __u64 number)
{
	return packet ? compare_way(number, decide_way(packet, FRAGMENT_FIRST_SEEN)) : 0;
}

SEC("tc")
int race_fragments(struct __sk_buff *skb)
{
	__u32 zero = 0, way, random = bpf_get_prandom_u32();
	struct packet packet = {};
	__u64 *turn = bpf_map_lookup_elem(&mesh_test_turn, &zero), number;

	if (!turn)
		return 0;
	tally(RACE_READS);
	number = __sync_fetch_and_add(turn, 1) / FRAGMENTS;
	map_address(packet.source, number);
	packet.flow.proto = IPPROTO_UDP;
	if (random % FRAGMENTS == 0)
		return lead(&packet, number);
	way = datagram_way(&packet);
	if (!way) {
		if (random & 0x100)
			lead(&packet, number);
		way = decide_way(&packet, FRAGMENT_VIA_STACK);
		if (way & FRAGMENT_FIRST_SEEN)
			tally(RACE_TORN);
	}
	compare_way(number, way);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
