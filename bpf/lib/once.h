/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains how a packet is judged once on a device that has a program twice: while the agent puts a TCX link in
 * the place of a filter, both run on a packet that the first one passes. A second run is no repetition of the first: it
 * takes a SYN for a repeated one, and drops the answer that the first has translated.
 *
 * A run that passes a packet marks it in the control block, which the programs of a hook share. The mark is of this hook
 * alone, and cannot be set without the node's random number.
 */
#ifndef MESH_ONCE_H
#define MESH_ONCE_H

#include "config.h"
#include "hash.h"

#include <linux/pkt_cls.h>

/* `point`: which program of the device, enum event_point. */
static __always_inline __u64 hook_mark(const struct __sk_buff *skb, __u32 point)
{
	__u64 hook = (__u64)skb->ifindex << 32 | point;

	return row_check(CONFIG(flow_seed), &hook, 1);
}

/* True for a packet that another run of the program on this hook has passed. */
static __always_inline bool was_passed(const struct __sk_buff *skb, __u32 point)
{
	__u64 mark = hook_mark(skb, point);

	return skb->cb[0] == (__u32)mark && skb->cb[1] == (__u32)(mark >> 32);
}

/* The end of a run with this action. */
static __always_inline int end_run(struct __sk_buff *skb, __u32 point, int action)
{
	__u64 mark;

	if (action == TC_ACT_UNSPEC) {
		mark = hook_mark(skb, point);
		skb->cb[0] = mark;
		skb->cb[1] = mark >> 32;
	}
	return action;
}

#endif
