/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains where a packet goes: to a pod of this node, to another node, or to the node's stack. A packet that
 * is redirected runs no program of the target's device, so deliver_local() is where a packet to a pod is judged.
 */
#ifndef MESH_DELIVER_H
#define MESH_DELIVER_H

#include "conntrack.h"
#include "decision.h"
#include "endpoint.h"
#include "event.h"
#include "fragment.h"
#include "way.h"

#include <linux/pkt_cls.h>

/*
 * Marks of packets that a program forwarded, which to_network leaves alone, and of those that it sends back to where they came from,
 * which to_pod leaves alone too. The kernel clears them in another namespace. They have none of the bits that kube-proxy reads
 * (0x4000, 0x8000).
 */
#define MARK_FORWARDED 0x4d451203
#define MARK_ANSWER 0x4d451202

/* The only end of a program on a device. `action`: of a packet that is redirected, or became another one. */
static __always_inline int finish(const struct packet *packet, __u64 decision, int action)
{
	emit(packet, decision);
	switch (FIELDS(decision, decision).verdict) {
	case VERDICT_DROP:
		count_drop(FIELDS(decision, decision).reason);
		return TC_ACT_SHOT;
	case VERDICT_REFUSE:
		count_drop(FIELDS(decision, decision).reason);
		return action;
	case VERDICT_DELIVER:
		count(METRIC_DELIVER);
		return action;
	case VERDICT_FORWARD:
		count(METRIC_FORWARD);
		return action;
	case VERDICT_MOVE:
		return action;
	}
	return TC_ACT_UNSPEC;
}

static __always_inline int pass(const struct packet *packet)
{
	return finish(packet, PASS, 0);
}

/* Of a packet between pods of the mesh. */
static __always_inline int pass_to_stack(const struct packet *packet)
{
	lead_to_stack(packet);
	count(METRIC_TO_STACK);
	return pass(packet);
}

/* Delivers a packet, which an ingress program received, to a pod of this node. */
static __always_inline int deliver_local(struct __sk_buff *skb, const struct packet *packet,
					 const struct endpoint_row *to)
{
	if (!lead_past_stack(packet) || !route(skb, to->mac, to->host_mac))
		return pass_to_stack(packet);
	return finish(packet, WORD(decision, .verdict = VERDICT_DELIVER), bpf_redirect_peer(to->ifindex, 0));
}

/* Result of forward() that is no action: the node has no way to the target. */
#define FORWARD_NO_WAY (-2)

/*
 * Sends a packet to another node, by the route that the node has. What the route cannot take as it is goes to the stack,
 * which answers: a packet that is too big. FORWARD_NO_WAY when there is none. Not inlined, for the caller's frame has no
 * room.
 */
__noinline int forward(struct __sk_buff *skb, const struct packet *packet)
{
	struct bpf_redir_neigh next = {.nh_family = AF_INET};
	enum way_found found;
	struct way way;

	if (!packet)
		return TC_ACT_UNSPEC;
	found = take_way(skb, packet, &way);
	if (found == WAY_NONE)
		return FORWARD_NO_WAY;
	if (found == WAY_STACK)
		return pass_to_stack(packet);
	/* The MACs are set when the packet is sent: only the kernel's neighbour code finds out that a neighbour is gone. */
	if (!lead_past_stack(packet) || !route(skb, way.target_mac, way.source_mac))
		return pass_to_stack(packet);
	skb->mark = MARK_FORWARDED;
	next.ipv4_nh = way.next;
	return finish(packet, WORD(decision, .verdict = VERDICT_FORWARD), bpf_redirect_neigh(way.ifindex, &next, sizeof(next), 0));
}

#endif
