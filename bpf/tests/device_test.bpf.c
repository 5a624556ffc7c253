// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Programs for a network device: an object beside sock.bpf.c that shares mesh_metrics_v1 with it and brings a map of its
 * own. They count the frames of the tests, by direction, and leave every packet as it is; `once_in` and `once_out` count a
 * frame once on a device that has them twice. `edit` is for test runs: it shows what it read of the context in the control
 * block, and changes packet, mark and priority. `find_listener` looks for a TCP socket in the network namespace with the
 * number in the control block.
 */
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

#include "lib/metrics.h"
#include "lib/once.h"

#define ETHERTYPE 0x88b5 /* for local experiments: no other software sends it */

enum direction {
	INGRESS = 0,
	EGRESS = 1,
};

/* enum direction -> frames */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} mesh_test_frames_v1 SEC(".maps");

static __always_inline int frame(struct __sk_buff *skb, __u32 direction)
{
	__u64 *frames = bpf_map_lookup_elem(&mesh_test_frames_v1, &direction);

	if (skb->protocol != bpf_htons(ETHERTYPE))
		return TC_ACT_UNSPEC;
	if (frames)
		__sync_fetch_and_add(frames, 1);
	count(METRIC_REPLY);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int frame_in(struct __sk_buff *skb)
{
	return frame(skb, INGRESS);
}

SEC("tc")
int frame_out(struct __sk_buff *skb)
{
	return frame(skb, EGRESS);
}

static __always_inline int frame_once(struct __sk_buff *skb, __u32 direction)
{
	if (was_passed(skb, direction))
		return TC_ACT_UNSPEC;
	return end_run(skb, direction, frame(skb, direction));
}

SEC("tc")
int once_in(struct __sk_buff *skb)
{
	return frame_once(skb, INGRESS);
}

SEC("tc")
int once_out(struct __sk_buff *skb)
{
	return frame_once(skb, EGRESS);
}

/* Ends the filters of its hook: those after it do not run. */
SEC("tc")
int accept(struct __sk_buff *skb)
{
	return TC_ACT_OK;
}

SEC("tc")
int edit(struct __sk_buff *skb)
{
	__u8 last = 0;

	if (bpf_skb_load_bytes(skb, skb->len - 1, &last, 1))
		return TC_ACT_SHOT;
	last++;
	if (bpf_skb_store_bytes(skb, skb->len - 1, &last, 1, 0))
		return TC_ACT_SHOT;
	skb->cb[0]++;
	skb->cb[1] = skb->ifindex;
	skb->cb[2] = skb->ingress_ifindex;
	skb->cb[3] = skb->mark;
	skb->cb[4] = skb->gso_segs;
	skb->mark = 0xcafe0001;
	skb->priority += 7;
	return TC_ACT_REDIRECT;
}

/* TC_ACT_OK when a socket listens at the destination of this TCP packet, in the namespace with the number in cb[0]. */
SEC("tc")
int find_listener(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sock;
	struct tcphdr tcp;
	struct iphdr ip;
	bool listens;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(ip), &tcp, sizeof(tcp)))
		return TC_ACT_SHOT;
	tuple.ipv4.saddr = ip.saddr;
	tuple.ipv4.daddr = ip.daddr;
	tuple.ipv4.sport = tcp.source;
	tuple.ipv4.dport = tcp.dest;
	sock = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), skb->cb[0], 0);
	if (!sock)
		return TC_ACT_SHOT;
	listens = sock->state == BPF_TCP_LISTEN;
	bpf_sk_release(sock);
	return listens ? TC_ACT_OK : TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
