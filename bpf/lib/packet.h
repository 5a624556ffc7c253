/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains what programs on devices read of a packet: addresses, ports, and whether it needs the node's
 * stack. IPv4; other packets are not of the mesh yet.
 */
#ifndef MESH_PACKET_H
#define MESH_PACKET_H

#include "common.h"

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>

#define IP_OFFSET ETH_HLEN
#define L4_OFFSET (IP_OFFSET + sizeof(struct iphdr))
#define FRAGMENT_OFFSET 0x1fff
#define MORE_FRAGMENTS 0x2000
#define DONT_FRAGMENT 0x4000
/* linux/icmp.h includes headers of libc. */
#define ICMP_ECHOREPLY 0
#define ICMP_DEST_UNREACH 3
#define ICMP_PORT_UNREACH 3 /* codes up to it: net, host, protocol, port */
#define ICMP_ECHO 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12
/* Codes of "destination unreachable" that filters send: ICMP_NET_ANO, ICMP_HOST_ANO, ICMP_PKT_FILTERED of linux/icmp.h. */
#define ICMP_NET_DENIED 9
#define ICMP_HOST_DENIED 10
#define ICMP_DENIED 13
#define ICMP_QUOTED (sizeof(struct iphdr) + 8) /* bytes of a packet that an ICMP error quotes at least */
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

enum parsed {
	PARSED_OK,
	PARSED_OTHER,	  /* not IPv4 */
	PARSED_TAGGED,	  /* IPv4 in a frame of a VLAN: only addresses and MAC are read */
	PARSED_MALFORMED, /* no whole IPv4 header, it is behind a second tag of a VLAN, or a fragment splits the L4 header */
};

/* What a packet's pod dialled, if that is a Service. */
struct orig_dst {
	__u8 vip[16];
	__be16 vip_port;
	__be16 wire_port; /* of a packet that moves its connect: the source port that this has then */
	__u32 backend;
};

/* What was translated of a flow whose connect was moved. */
enum moved {
	MOVED_NOT,
	MOVED_REQUEST, /* a packet of the pod that began it */
	MOVED_ANSWER,
	MOVED_ERROR,
};

struct packet {
	struct flow_key flow;
	__u8 source[16];
	__u8 target[16];
	__u8 from_b;	/* 1: sent by end b of the flow, 0: by end a */
	__u8 tcp;	/* flags, 0 unless it is TCP */
	__u8 has_ports; /* `flow` is complete: TCP, UDP, SCTP or ICMP echo, not a fragment after the first */
	__u8 is_error;	/* ICMP error: `flow` is that of the packet that it quotes, and the error goes the other way */
	__u8 stack;	/* it needs the stack: IP options, the end of its TTL, or another protocol */
	__u8 way;	/* of a fragment after the first: enum fragment_flag bits of its datagram; 0 = not known */
	__be16 length;	/* of the IP packet; of a super-packet that of all segments */
	__u8 tos;
	__u8 l4_length; /* bytes of the TCP or UDP header */
	__u8 icmp_type;
	__u8 icmp_code;
	__be16 id;     /* of a fragment: identifies its datagram, together with addresses and protocol */
	__u16 fragment; /* place in its datagram: offset in units of 8 bytes, and MORE_FRAGMENTS; 0 = it is whole */
	__be32 seq;    /* sequence number of TCP; of an ICMP error, that of the segment that it quotes */
	__u32 ifindex; /* device of the pod of this node; an uplink where the pod is not known */
	__u32 service; /* the Service that its pod dialled, of which orig_dst_scratch() has the rest; 0 = none, or not known */
	__u8 point;    /* enum event_point */
	__u8 event;    /* enum event_kind of what happened to its flow */
	__u8 reply;    /* with an event: the flow began in the other direction */
	__u8 is_moved; /* enum moved: it was translated (nat.h), and `flow` is its other tuple, but for an ICMP error */
	__u8 move_reason; /* enum move_reason of a packet that moves its connect */
	__u8 allowed;	/* bits 1 << SOURCE, 1 << TARGET: policy of the pod there was asked, and allows it */
	__u8 target_began; /* its flow, which had no row, was begun by its target, as policy says */
	__u8 is_judged; /* policy was asked: judgement_scratch() has what it said */
	__u8 is_routed; /* ICMP error of another end than the one to which the packet went that it quotes: of a router, as it says */
	__u8 is_passed_on; /* the node received it and passes it on to a pod: it is not of a process of the node */
	__u8 pad[2];   /* 0: on Linux 6.1 global functions are given no memory that nobody wrote */
};

/* 0 -> what the packet's pod dialled: only first and last packets of flows ask, and a program's frame has no room for it */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct orig_dst);
} mesh_orig_dst_scratch_v1 SEC(".maps");

/* Never NULL, but for the verifier. */
static __always_inline struct orig_dst *orig_dst_scratch(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&mesh_orig_dst_scratch_v1, &first);
}

/* IPv4 as v4-mapped. */
static __always_inline void map_address(__u8 *to, __be32 address)
{
	__u32 words[4] = {0, 0, bpf_htonl(0xffff), address};

	__builtin_memcpy(to, words, sizeof(words));
}

/* True when (a, pa) comes before (b, pb). Any order will do, as long as all programs have the same. */
static __always_inline bool comes_first(const __u8 *a, __be16 pa, const __u8 *b, __be16 pb)
{
	__u64 x[2], y[2];

	__builtin_memcpy(x, a, sizeof(x));
	__builtin_memcpy(y, b, sizeof(y));
	if (x[1] != y[1])
		return x[1] < y[1];
	if (x[0] != y[0])
		return x[0] < y[0];
	return pa <= pb;
}

static __always_inline void set_flow(struct packet *packet, __u8 proto, const __u8 *source, __be16 sport, __be16 dport)
{
	struct flow_key *flow = &packet->flow;
	bool from_a = comes_first(source, sport, packet->target, dport);

	__builtin_memcpy(flow->a, from_a ? source : packet->target, sizeof(flow->a));
	__builtin_memcpy(flow->b, from_a ? packet->target : source, sizeof(flow->b));
	flow->pa = from_a ? sport : dport;
	flow->pb = from_a ? dport : sport;
	flow->proto = proto;
	packet->from_b = !from_a;
}

/* True for the first segment of a connect. */
static __always_inline bool is_syn(const struct packet *packet)
{
	return packet->has_ports && (packet->tcp & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

static __always_inline bool is_syn_ack(const struct packet *packet)
{
	return packet->has_ports && (packet->tcp & (TCP_SYN | TCP_ACK | TCP_RST)) == (TCP_SYN | TCP_ACK);
}

/* Of a packet whose flow is complete. */
static __always_inline __be16 source_port(const struct packet *packet)
{
	return packet->from_b ? packet->flow.pb : packet->flow.pa;
}

static __always_inline __be16 target_port(const struct packet *packet)
{
	return packet->from_b ? packet->flow.pa : packet->flow.pb;
}

/* The headers that programs read and write in place. */
struct headers {
	struct ethhdr eth;
	struct iphdr ip;
} __attribute__((packed));

/* What TCP, UDP, SCTP and ICMP echo begin with. */
struct ports {
	__be16 source; /* of ICMP: type and code */
	__be16 dest;
	__be16 id; /* of ICMP echo; of TCP the first half of the sequence number */
	__be16 rest; /* of TCP its other half */
};

#define TCP_ACK_OFFSET 8
#define TCP_DOFF_OFFSET 12
#define TCP_FLAGS_OFFSET 13
#define TCP_LENGTH 20

/* Makes the headers readable in place, as far as the packet has them. */
static __always_inline void pull_headers(struct __sk_buff *skb)
{
	const __u32 most = L4_OFFSET + TCP_LENGTH;

	if ((void *)(long)skb->data + most > (void *)(long)skb->data_end)
		bpf_skb_pull_data(skb, skb->len < most ? skb->len : most);
}

/*
 * The first `length` bytes in place, or NULL when the packet is shorter. The pointers are read anew each time: a check
 * that the compiler finds to be contained in another one is not there for the verifier.
 */
static __always_inline void *in_place(struct __sk_buff *skb, __u32 length)
{
	void *data = (void *)(long)READ_ONCE(skb->data);
	void *end = (void *)(long)READ_ONCE(skb->data_end);

	return data + length <= end ? data : NULL;
}

/* Reads the ports of a TCP packet, and its flags; false when its header is not whole. */
static __always_inline bool read_tcp(struct __sk_buff *skb, struct packet *packet, __be16 *sport, __be16 *dport)
{
	const void *data = in_place(skb, L4_OFFSET + TCP_LENGTH);
	const struct ports *ports;

	if (!data)
		return false;
	ports = data + L4_OFFSET;
	*sport = ports->source;
	*dport = ports->dest;
	packet->seq = *(const __be32 *)&ports->id;
	packet->tcp = *(const __u8 *)(data + L4_OFFSET + TCP_FLAGS_OFFSET);
	packet->l4_length = *(const __u8 *)(data + L4_OFFSET + TCP_DOFF_OFFSET) >> 4 << 2;
	return true;
}

/* Reads the ports of a datagram, or the id of an ICMP echo; false for other ICMP, or when the header is not whole. */
static __always_inline bool read_datagram(struct __sk_buff *skb, struct packet *packet, __u8 proto, __be16 *sport,
					   __be16 *dport)
{
	const void *data = in_place(skb, L4_OFFSET + sizeof(struct ports));
	const struct ports *ports;
	__u8 type;

	if (!data)
		return false;
	ports = data + L4_OFFSET;
	*sport = ports->source;
	*dport = ports->dest;
	if (proto != IPPROTO_ICMP)
		return true;
	type = bpf_ntohs(ports->source) >> 8;
	packet->icmp_type = type;
	packet->icmp_code = bpf_ntohs(ports->source);
	*sport = *dport = ports->id;
	return type == ICMP_ECHO || type == ICMP_ECHOREPLY;
}

/* True for an ICMP error that says that a filter refused a packet. */
static __always_inline bool is_denial(const struct packet *packet)
{
	__u8 code = packet->icmp_code;

	return packet->is_error && packet->icmp_type == ICMP_DEST_UNREACH &&
	       (code == ICMP_NET_DENIED || code == ICMP_HOST_DENIED || code == ICMP_DENIED);
}

/* True for an ICMP error that says that the target of a packet is not there. Others, as of a filter, are no such news. */
static __always_inline bool is_unreachable(const struct packet *packet)
{
	return packet->is_error && packet->icmp_type == ICMP_DEST_UNREACH && packet->icmp_code <= ICMP_PORT_UNREACH;
}

/* True for protocols whose header begins with two ports. */
static __always_inline bool has_port_fields(__u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

/*
 * True when the ports were not read, or the type of ICMP: behind IP options, in a fragment after the first, or without a whole
 * header.
 */
static __always_inline bool is_unread(const struct packet *packet)
{
	return !packet->has_ports &&
	       (packet->flow.proto == IPPROTO_ICMP ? !packet->icmp_type : has_port_fields(packet->flow.proto));
}

/* What an ICMP error begins with: its own header, and the start of the packet that caused it. */
struct icmp_error {
	struct ports own;
	struct iphdr ip;
	struct ports ports;
} __attribute__((packed));

static __always_inline bool is_icmp_error(__u8 type)
{
	return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}

/* Reads the flow that an ICMP error is about; false for other ICMP, or when the error quotes no packet of its target. */
static __always_inline bool read_error(struct __sk_buff *skb, struct packet *packet)
{
	const __u32 most = L4_OFFSET + sizeof(struct icmp_error);
	const struct icmp_error *error;
	const void *data;
	__u8 source[16];
	__be16 from, to;

	if (skb->len < most || (!in_place(skb, most) && bpf_skb_pull_data(skb, most)))
		return false;
	data = in_place(skb, most);
	if (!data)
		return false;
	error = data + L4_OFFSET;
	if (!is_icmp_error(bpf_ntohs(error->own.source) >> 8) || error->ip.version != 4 || error->ip.ihl != 5 ||
	    (error->ip.frag_off & bpf_htons(FRAGMENT_OFFSET)))
		return false;
	map_address(source, error->ip.saddr);
	if (__builtin_memcmp(source, packet->target, sizeof(source)))
		return false;
	from = error->ports.source;
	to = error->ports.dest;
	packet->seq = error->ports.id | (__be32)error->ports.rest << 16;
	if (error->ip.protocol == IPPROTO_ICMP)
		from = to = error->ports.id;
	else if (!has_port_fields(error->ip.protocol))
		return false;
	map_address(source, error->ip.daddr);
	packet->is_routed = !!__builtin_memcmp(source, packet->source, sizeof(source));
	set_flow(packet, error->ip.protocol, source, to, from);
	return true;
}

/* True when the frame comes from this MAC. */
static __always_inline bool is_from_mac(struct __sk_buff *skb, const __u8 *mac)
{
	const struct ethhdr *eth = in_place(skb, sizeof(*eth));

	return eth && !__builtin_memcmp(eth->h_source, mac, ETH_ALEN);
}

/* Of a frame whose first tag the kernel took out: what follows it is another one. */
static __always_inline bool is_tag(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

static __always_inline bool is_first_fragment(const struct packet *packet)
{
	return packet->fragment == MORE_FRAGMENTS;
}

/* True for a fragment after the first, which has no ports. */
static __always_inline bool is_later_fragment(const struct packet *packet)
{
	return packet->fragment & FRAGMENT_OFFSET;
}

/*
 * True for a fragment that splits the header of TCP, UDP, SCTP or ICMP: a later one could give the datagram other ports or flags
 * than those that were judged (RFC 1858).
 */
static __always_inline bool splits_header(const struct packet *packet, const struct headers *head)
{
	__u32 length = head->ip.protocol == IPPROTO_TCP ? TCP_LENGTH : sizeof(struct ports);
	__u32 offset = (packet->fragment & FRAGMENT_OFFSET) * 8;

	if (!has_port_fields(head->ip.protocol) && head->ip.protocol != IPPROTO_ICMP)
		return false;
	return offset ? offset < length : bpf_ntohs(head->ip.tot_len) < head->ip.ihl * 4 + length;
}

/* Reads the packet; the fields count only for PARSED_OK, and some for PARSED_TAGGED. */
static __always_inline enum parsed parse(struct __sk_buff *skb, struct packet *packet)
{
	__be16 sport = 0, dport = 0;
	const struct headers *head;
	__u8 proto;

	packet->l4_length = sizeof(struct ports);
	if (skb->protocol != bpf_htons(ETH_P_IP))
		return is_tag(skb->protocol) ? PARSED_MALFORMED : PARSED_OTHER;
	pull_headers(skb);
	head = in_place(skb, sizeof(*head));
	if (!head || head->ip.version != 4 || head->ip.ihl < 5)
		return PARSED_MALFORMED;
	map_address(packet->source, head->ip.saddr);
	map_address(packet->target, head->ip.daddr);
	/* The kernel took the tag out of the frame: redirected, the packet would have it again. */
	if (skb->vlan_present)
		return PARSED_TAGGED;
	packet->length = head->ip.tot_len;
	packet->tos = head->ip.tos;
	proto = head->ip.protocol;
	packet->flow.proto = proto;
	packet->id = head->ip.id;
	packet->fragment = bpf_ntohs(head->ip.frag_off) & (FRAGMENT_OFFSET | MORE_FRAGMENTS);
	if (packet->fragment && splits_header(packet, head))
		return PARSED_MALFORMED;
	packet->stack = head->ip.ihl != 5 || head->ip.ttl <= 1;
	if (is_later_fragment(packet) || head->ip.ihl != 5)
		return PARSED_OK;
	if (proto == IPPROTO_TCP)
		packet->has_ports = read_tcp(skb, packet, &sport, &dport);
	else if (proto == IPPROTO_UDP || proto == IPPROTO_SCTP || proto == IPPROTO_ICMP)
		packet->has_ports = read_datagram(skb, packet, proto, &sport, &dport);
	if (packet->has_ports)
		set_flow(packet, proto, packet->source, sport, dport);
	else if (proto == IPPROTO_ICMP && !packet->fragment)
		packet->is_error = read_error(skb, packet);
	packet->stack |= !packet->has_ports && !packet->is_error;
	return PARSED_OK;
}

/* The router's part of forwarding: other MACs, and one less TTL with its checksum. False when it cannot be written. */
static __always_inline bool route(struct __sk_buff *skb, const __u8 *target_mac, const __u8 *source_mac)
{
	struct headers *head = in_place(skb, sizeof(*head));
	__u32 sum;

	if (!head)
		return false;
	__builtin_memcpy(head->eth.h_dest, target_mac, ETH_ALEN);
	__builtin_memcpy(head->eth.h_source, source_mac, ETH_ALEN);
	/* TTL is the high byte of its word: one less there is one more in the sum's complement (RFC 1624). */
	head->ip.ttl--;
	sum = head->ip.check + bpf_htons(0x0100);
	head->ip.check = sum + (sum >> 16);
	return true;
}

#endif
