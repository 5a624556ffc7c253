/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains refusals that programs write. RST: to a connect from another node to a pod of this node that is gone
 * (the kernel would answer with ICMP, of which it sends few, and the node of the client moves the connect as soon as it hears
 * of it); and to a backend that answers a connect which another one has by now. ICMP: to what policy does not allow, so that
 * its sender need not wait for an answer that will not come.
 */
#ifndef MESH_REFUSE_H
#define MESH_REFUSE_H

#include "admit.h"
#include "deliver.h"
#include "write.h"

struct reset {
	struct headers head;
	struct tcp_header tcp;
} __attribute__((packed));

/*
 * Makes a SYN, or the answer to one, the RST that answers it; 0 when it cannot be written. Not inlined and not static, as
 * nat_find().
 */
__noinline int write_reset(struct __sk_buff *skb, const struct packet *packet)
{
	struct reset reset = {.head = {.eth = {.h_proto = bpf_htons(ETH_P_IP)}}};
	struct tcp_header tcp = {.offset = sizeof(tcp) / 4 << 4, .flags = TCP_RST | TCP_ACK};
	__be32 source, target;
	__u32 data;

	if (!packet || bpf_skb_load_bytes(skb, 0, reset.head.eth.h_source, ETH_ALEN) ||
	    bpf_skb_load_bytes(skb, ETH_ALEN, reset.head.eth.h_dest, ETH_ALEN))
		return 0;
	data = bpf_ntohs(packet->length) - sizeof(struct iphdr) - packet->l4_length;
	__builtin_memcpy(&source, packet->target + 12, sizeof(source));
	__builtin_memcpy(&target, packet->source + 12, sizeof(target));
	reset.head.ip = ip_header(source, target, IPPROTO_TCP, sizeof(tcp), packet->tos);
	tcp.source = target_port(packet);
	tcp.dest = source_port(packet);
	if (packet->tcp & TCP_ACK) {
		tcp.flags = TCP_RST;
		if (bpf_skb_load_bytes(skb, L4_OFFSET + TCP_ACK_OFFSET, &tcp.seq, sizeof(tcp.seq)))
			return 0;
	} else {
		tcp.ack = bpf_htonl(bpf_ntohl(packet->seq) + 1 + data);
	}
	tcp.check = tcp_check(&tcp, sizeof(tcp), source, target);
	reset.tcp = tcp;
	return !bpf_skb_change_tail(skb, sizeof(reset), 0) &&
	       !bpf_skb_store_bytes(skb, 0, &reset, sizeof(reset), BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH);
}

/* Sends what became a RST back to where it came from. */
static __always_inline int send_back(struct __sk_buff *skb, const struct packet *packet, enum drop_reason reason)
{
	skb->mark = MARK_ANSWER;
	return finish(packet, WORD(decision, .verdict = VERDICT_REFUSE, .reason = reason), bpf_redirect(skb->ifindex, 0));
}

/* Ends a packet for which translate() gave this reason. */
static __always_inline int refuse_answer(struct __sk_buff *skb, struct packet *packet, enum drop_reason reason)
{
	if (reason == DROP_LATE_ANSWER && is_syn_ack(packet) && write_reset(skb, packet))
		return send_back(skb, packet, reason);
	return finish(packet, DROP(reason), 0);
}

/* An ICMP error, and what it quotes. */
struct icmp_refusal {
	struct headers head;
	struct icmp_header icmp;
	__u8 quoted[ICMP_QUOTED];
} __attribute__((packed));

/*
 * Makes a packet the ICMP error that says that a filter dropped it; 0 when it cannot be written. Not inlined and not static, as
 * nat_find().
 */
__noinline int write_prohibited(struct __sk_buff *skb, const struct packet *packet)
{
	struct icmp_refusal refusal = {
		.head = {.eth = {.h_proto = bpf_htons(ETH_P_IP)}},
		.icmp = {.type = ICMP_DEST_UNREACH, .code = ICMP_DENIED},
	};
	const __u32 length = sizeof(refusal.icmp) + sizeof(refusal.quoted);
	__be32 source, target;

	if (!packet || bpf_skb_load_bytes(skb, 0, refusal.head.eth.h_source, ETH_ALEN) ||
	    bpf_skb_load_bytes(skb, ETH_ALEN, refusal.head.eth.h_dest, ETH_ALEN) ||
	    bpf_skb_load_bytes(skb, IP_OFFSET, refusal.quoted, sizeof(refusal.quoted)))
		return 0;
	__builtin_memcpy(&source, packet->target + 12, sizeof(source));
	__builtin_memcpy(&target, packet->source + 12, sizeof(target));
	refusal.head.ip = ip_header(source, target, IPPROTO_ICMP, length, 0);
	refusal.icmp.check = fold(bpf_csum_diff(NULL, 0, (void *)&refusal.icmp, length, 0));
	return !bpf_skb_change_tail(skb, sizeof(refusal), 0) &&
	       !bpf_skb_store_bytes(skb, 0, &refusal, sizeof(refusal), BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH);
}

/* True for what is known to be of the mesh: a pod or a node. */
static __always_inline bool is_of_mesh(__u32 identity)
{
	return identity != IDENTITY_NONE && identity != IDENTITY_WORLD && identity >> LIMIT_IDENTITY_BITS != LIMIT_NODE_CLUSTER;
}

/*
 * True for a packet that policy does not allow and whose sender gets an answer. Not inlined and not static, as nat_find(). `reason`: enum
 * drop_reason.
 */
__noinline int is_answered(const struct packet *packet, __u32 reason)
{
	const struct judgement *judgement = judgement_scratch();
	struct event_limit_key key = {.kind = EVENT_NONE, .reason = reason};
	__u32 limited;

	if (!packet || !judgement || !packet->has_ports || packet->flow.proto == IPPROTO_ICMP || !begins_flow(packet))
		return 0;
	if (reason != DROP_EGRESS_DENIED && reason != DROP_INGRESS_DENIED)
		return 0;
	if (!is_of_mesh(judgement->identity[reason == DROP_EGRESS_DENIED ? TARGET : SOURCE]))
		return 0;
	key.ifindex = packet->ifindex;
	if (!is_within_rate(&key, bpf_ktime_get_ns(), EVENT_REFUSALS_PER_S, EVENT_REFUSALS_BURST, &limited))
		return 0;
	count(METRIC_PROHIBITED);
	return 1;
}

/* Gives the flow of a SYN a row, although policy does not allow it. Not inlined and not static, as nat_find(). */
__noinline int keep_denied(const struct packet *packet)
{
	struct tracked flow = {};

	if (!packet)
		return 0;
	find_flow(packet, &flow);
	if (!flow.row)
		insert_flow(packet, &flow, 0, 0);
	return 0;
}

/*
 * Ends a packet that policy does not allow. What begins a flow is answered if the other end is of the mesh, at a rate. An address
 * that is not known yet may be allowed a moment later, so its packets are sent again; and the world gets no answer.
 * The SYN of a connect that was moved has a row, so that the pod's repeat of it goes to another backend; and its pod would not
 * know the flow that an error quotes.
 */
static __always_inline int deny(struct __sk_buff *skb, const struct packet *packet, enum drop_reason reason)
{
	if (packet->is_moved && is_syn(packet))
		keep_denied(packet);
	else if (is_answered(packet, reason) && write_prohibited(skb, packet))
		return send_back(skb, packet, reason);
	return finish(packet, DROP(reason), 0);
}

/*
 * Ends a SYN to an address that no pod of this node has. That the address is of the node's range, its routes say: the agent
 * keeps one for the range, unreachable, behind those to its pods. Not inlined, for the caller's frame has no room.
 */
__noinline int refuse_connect(struct __sk_buff *skb, const struct packet *packet)
{
	struct bpf_fib_lookup way;

	if (!packet)
		return TC_ACT_UNSPEC;
	if (!is_pod_address(packet->source) || !is_pod_address(packet->target) || !is_no_way(find_way(skb, packet, &way)) ||
	    !write_reset(skb, packet))
		return pass(packet);
	return send_back(skb, packet, DROP_NO_ENDPOINT);
}

#endif
