// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * A program that runs for a long time, so that a grace period must wait for it. It counts its begin and its end. The
 * verifier checks each global function once, so nested calls multiply the run time but not the verifier's work.
 */
#include "tests/race.h"

#define ROUNDS 128

__noinline int spin_short(__u32 seed)
{
	__u32 sum = seed;

	for (int i = 0; i < ROUNDS; i++)
		sum += bpf_get_prandom_u32();
	return sum;
}

__noinline int spin_long(__u32 seed)
{
	__u32 sum = seed;

	for (int i = 0; i < ROUNDS; i++)
		sum += spin_short(sum);
	return sum;
}

SEC("tc")
int hold(struct __sk_buff *skb)
{
	__u32 sum = skb->len;

	tally(RACE_READS);
	for (int i = 0; i < ROUNDS; i++)
		sum += spin_long(sum);
	tally(RACE_CHURNED);
	return sum == 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
