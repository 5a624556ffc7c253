// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The packets of pods, on the devices of a node.
 *
 *   from_pod      the node's side of a pod's veth, received: what the pod sends
 *   to_pod        the same, sent: what the stack delivers to the pod
 *   from_network  the node's uplink, received
 *   to_network    the same, sent: what the stack sends to other nodes
 *
 * Packets between pods of the mesh go past the stack: from_pod delivers them to a pod of this node or sends them to
 * another node, from_network delivers them, and ICMP errors about them. All others go to the stack, and of those between
 * pods of the mesh what needs it: IP options, an ended TTL, a packet that is too big, protocols without ports.
 *
 * A reply leaves the way its flow came: to_pod and to_network see what came through the stack (another proxy may have
 * translated it), and mark the answers to go there too.
 *
 * The first packet of a flow, its close and drops are events for the agent (lib/event.h).
 */
#include "lib/admit.h"
#include "lib/deliver.h"
#include "lib/once.h"
#include "lib/packet_orig_dst.h"
#include "lib/refuse.h"
#include "lib/rescue.h"

/*
 * The row of the packet's flow, or of its datagram for a fragment after the first; false when it is not between pods of the
 * mesh, by row or by both addresses. Every program asks the ranges alone, also about pods of this node: if one knew a flow of
 * the mesh earlier than another, the agent's start would have a time in which answers pass the stack by that another proxy
 * must translate. `first`: the address that is more likely to be none of a pod. An ICMP error is of the flow that it quotes,
 * whatever router sends it.
 */
static __always_inline bool find_mesh_flow(const struct packet *packet, struct tracked *flow, const __u8 *first,
					   const __u8 *second)
{
	if (packet->has_ports || packet->is_error)
		find_flow(packet, flow);
	if (packet->is_error) {
		first = packet->flow.a;
		second = packet->flow.b;
	}
	return flow->row || packet->way || (is_pod_address(first) && is_pod_address(second));
}

/*
 * True when the packet must go through the stack; else its flow has a row now. A fragment after the first goes as the others
 * of its datagram (lib/fragment.h). An ICMP error goes as its flow does: netfilter drops one that is about a flow past the
 * stack, of which it knows nothing.
 */
static __always_inline bool needs_stack(struct packet *packet, struct tracked *flow)
{
	if (packet->stack)
		return true;
	if (packet->has_ports)
		return track(packet, flow, 0, 0) & FLOW_VIA_STACK;
	if (is_later_fragment(packet))
		return fragment_needs_stack(packet);
	return !packet->is_moved && (!flow->row || (flow->flags & FLOW_VIA_STACK));
}

/* A packet of a flow that only policy asks about: both directions go through the stack. */
static __always_inline int pass_by_stack(struct packet *packet, struct tracked *flow)
{
	if (packet->has_ports)
		track(packet, flow, FLOW_VIA_STACK, FLOW_VIA_STACK);
	return pass_to_stack(packet);
}

/* Ends a packet whose ports are not read, at the end with this policy. */
static __always_inline int end_unread(const struct packet *packet, __u64 policy, enum drop_reason denied)
{
	enum drop_reason reason = admit_unread(packet, policy, denied);

	return reason ? finish(packet, DROP(reason), 0) : pass(packet);
}

/* A refusal that became the SYN that it refused, and begins at this device; or is dropped. */
static __always_inline int move(const struct packet *packet, int device)
{
	int action = device == MOVE_DROP ? TC_ACT_SHOT : bpf_redirect(device, BPF_F_INGRESS);

	return finish(packet, WORD(decision, .verdict = VERDICT_MOVE), action);
}

/* Result of move_or_translate() that is no action: the packet goes on, with its other tuple if its flow was moved. */
#define GOES_ON (-2)

/* Moves the connect that a packet refuses, if `may_rescue`, or translates a packet of a flow that was moved. */
static __always_inline int move_or_translate(struct __sk_buff *skb, struct packet *packet, struct tracked *flow,
					     bool may_rescue)
{
	enum drop_reason reason = DROP_NONE;
	int device = MOVE_NONE;

	if (may_rescue && may_refuse(packet, flow))
		device = rescue(skb, packet, flow, refusal_reason(packet));
	if (device)
		return move(packet, device);
	if (may_be_moved(packet, flow))
		reason = translate(skb, packet, flow);
	return reason ? refuse_answer(skb, packet, reason) : GOES_ON;
}

static __always_inline int judge_from_pod(struct __sk_buff *skb)
{
	const struct endpoint_row *from, *to;
	struct packet packet = {.ifindex = skb->ifindex, .point = EVENT_POINT_FROM_POD};
	struct tracked flow = {};
	enum parsed parsed = parse(skb, &packet);
	enum drop_reason reason;
	int device, action;
	bool is_mesh;
	__u64 policy;

	if (parsed == PARSED_OTHER)
		return pass(&packet);
	if (parsed == PARSED_MALFORMED)
		return finish(&packet, DROP(DROP_MALFORMED), 0);
	from = find_endpoint(packet.source);
	if (!from || from->ifindex != skb->ifindex || !is_from_mac(skb, from->mac))
		return finish(&packet, DROP(DROP_SPOOFED_SOURCE), 0);
	policy = policy_of(from);
	/* The stack takes one of VLAN 0 for an untagged frame. */
	if (parsed == PARSED_TAGGED)
		return end_unread(&packet, policy, DROP_EGRESS_DENIED);
	note_way(&packet);
	is_mesh = find_mesh_flow(&packet, &flow, packet.target, packet.source);
	if (!is_mesh && !is_enforced(policy))
		return pass(&packet);
	if (may_begin(&packet, &flow)) {
		note_orig_dst(skb, &packet, from->netns_id);
		if (packet.service && packet.flow.proto == IPPROTO_TCP && !packet.stack && !packet.fragment)
			keep_syn(skb, &packet, flow.hash);
	}
	action = move_or_translate(skb, &packet, &flow, true);
	if (action != GOES_ON)
		return action;
	if (may_move(&packet, &flow)) {
		device = rescue(skb, &packet, &flow, MOVE_REASON_SILENT);
		if (device)
			return move(&packet, device);
	}
	to = find_endpoint(packet.target);
	settle(&packet, &flow, !is_mesh);
	reason = admit(&packet, &flow, policy, policy_of(to));
	if (reason)
		return deny(skb, &packet, reason);
	if (!is_mesh)
		return pass_by_stack(&packet, &flow);
	if (needs_stack(&packet, &flow))
		return pass_to_stack(&packet);
	if (to)
		return deliver_local(skb, &packet, to);
	action = forward(skb, &packet);
	if (action != FORWARD_NO_WAY)
		return action;
	device = may_move(&packet, &flow) ? rescue(skb, &packet, &flow, MOVE_REASON_NO_ROUTE) : MOVE_NONE;
	return device ? move(&packet, device) : pass_to_stack(&packet);
}

SEC("tc")
int from_pod(struct __sk_buff *skb)
{
	if (was_passed(skb, EVENT_POINT_FROM_POD))
		return TC_ACT_UNSPEC;
	return end_run(skb, EVENT_POINT_FROM_POD, judge_from_pod(skb));
}

static __always_inline int judge_from_network(struct __sk_buff *skb)
{
	const struct endpoint_row *to;
	struct packet packet = {.ifindex = skb->ifindex, .point = EVENT_POINT_FROM_NETWORK};
	struct tracked flow = {};
	enum drop_reason reason;
	int action;

	/* What is malformed is not of the mesh here: it may be of any host. */
	if (parse(skb, &packet) != PARSED_OK)
		return pass(&packet);
	to = find_endpoint(packet.target);
	if (!to && is_syn(&packet))
		return refuse_connect(skb, &packet);
	if (to)
		note_way(&packet);
	/* No pod of this node sends from there: the stack judges what says so. */
	if (!to || find_endpoint(packet.source) || !find_mesh_flow(&packet, &flow, packet.source, packet.target))
		return pass(&packet);
	packet.ifindex = to->ifindex;
	action = move_or_translate(skb, &packet, &flow, true);
	if (action != GOES_ON)
		return action;
	settle(&packet, &flow, false);
	reason = admit(&packet, &flow, 0, policy_of(to));
	if (reason)
		return deny(skb, &packet, reason);
	return needs_stack(&packet, &flow) ? pass_to_stack(&packet) : deliver_local(skb, &packet, to);
}

SEC("tc")
int from_network(struct __sk_buff *skb)
{
	if (was_passed(skb, EVENT_POINT_FROM_NETWORK))
		return TC_ACT_UNSPEC;
	return end_run(skb, EVENT_POINT_FROM_NETWORK, judge_from_network(skb));
}

/* The policy of the pod that a packet of the stack is for. */
static __always_inline __u64 pod_policy(const struct packet *packet, enum event_point point)
{
	return point == EVENT_POINT_TO_POD ? policy_of(find_endpoint(packet->target)) : 0;
}

/*
 * The policy of the pod of this node that sent what the stack passes on: with another target, which another proxy gave it, it is of
 * another flow than from_pod judged.
 */
static __always_inline __u64 sender_policy(const struct __sk_buff *skb, const struct packet *packet)
{
	return skb->ingress_ifindex ? policy_of(find_endpoint(packet->source)) : 0;
}

/* A packet that came through the stack: so must the answers. */
static __always_inline int judge_from_stack(struct __sk_buff *skb, enum event_point point)
{
	struct packet packet = {.ifindex = skb->ifindex, .point = point};
	struct tracked flow = {};
	enum drop_reason reason;
	enum parsed parsed;
	__u64 policy, sender;
	bool is_mesh;
	int action;

	/* A packet that was sent to another node, and is delivered here nevertheless, was not judged for this pod. */
	if (skb->mark == MARK_ANSWER || (skb->mark == MARK_FORWARDED && point == EVENT_POINT_TO_NETWORK))
		return pass(&packet);
	parsed = parse(skb, &packet);
	if (parsed == PARSED_OTHER)
		return pass(&packet);
	if (parsed != PARSED_OK)
		return end_unread(&packet, pod_policy(&packet, point), DROP_INGRESS_DENIED);
	is_mesh = (packet.has_ports || packet.is_error) && find_mesh_flow(&packet, &flow, packet.source, packet.target);
	policy = pod_policy(&packet, point);
	sender = sender_policy(skb, &packet);
	if (!is_mesh && !is_enforced(policy | sender))
		return pass(&packet);
	if (is_enforced(policy | sender)) {
		note_way(&packet);
		/* But for what the pod sent to itself by a Service. */
		packet.is_passed_on = skb->ingress_ifindex && skb->ingress_ifindex != skb->ifindex;
		if (is_enforced(sender))
			packet.ifindex = skb->ingress_ifindex;
	}
	settle(&packet, &flow, true);
	reason = admit(&packet, &flow, sender, policy);
	if (reason)
		return finish(&packet, DROP(reason), 0);
	if (is_enforced(policy | sender))
		lead_to_stack(&packet);
	if (packet.has_ports) {
		track(&packet, &flow, is_mesh ? 0 : FLOW_VIA_STACK, FLOW_VIA_STACK);
		return pass(&packet);
	}
	action = move_or_translate(skb, &packet, &flow, point == EVENT_POINT_TO_POD);
	return action == GOES_ON ? pass(&packet) : action;
}

static __always_inline int from_stack(struct __sk_buff *skb, enum event_point point)
{
	if (was_passed(skb, point))
		return TC_ACT_UNSPEC;
	return end_run(skb, point, judge_from_stack(skb, point));
}

SEC("tc")
int to_pod(struct __sk_buff *skb)
{
	return from_stack(skb, EVENT_POINT_TO_POD);
}

SEC("tc")
int to_network(struct __sk_buff *skb)
{
	return from_stack(skb, EVENT_POINT_TO_NETWORK);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
