/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains the rescue of connects: what refuses the SYN to a backend of a Service becomes that SYN again, and goes
 * to another backend. The client's kernel sees neither.
 *
 *   pod ──SYN──► backend 1                  its TCP header is kept (mesh_syns)
 *   pod    ┌─RST─ backend 1                 another backend is chosen, mesh_nat gets the two rows of the flow,
 *   pod ◄──┴─SYN                            and the SYN begins at the pod's device again
 *   pod ──SYN──► translate ──► backend 2
 *
 * A refusal is a RST of the backend, an ICMP error that says that the backend is not there, or that the node itself has no
 * way to it; and silence, when the pod repeats its SYN, which timeout.h makes it do early. The first two are believed when they name the sequence number of the SYN in flight, and nothing was heard of its
 * flow but that SYN. A RST comes from the backend's address: from_pod lets a pod send from its own alone.
 *
 * A connect is moved LIMIT_MOVES times at most, the last time to another tier if there is one; on silence LIMIT_SILENT_MOVES
 * times, the last time to another cluster if there is one. Then, or when no backend is left, the refusal passes. The first
 * backend that answers has the connect (nat.h).
 *
 * An ICMP error of a filter, which is believed as the others are, is an answer too: the connect stays where it is from then on.
 */
#ifndef MESH_RESCUE_H
#define MESH_RESCUE_H

#include "endpoint.h"
#include "frontend.h"
#include "nat.h"
#include "service.h"
#include "service_moves.h"
#include "write.h"

#include <linux/errno.h>

/* A SYN of a connect to a Service. */
struct syn_row {
	__u8 tcp[60];	 /* TCP header with its options */
	__u8 tcp_length; /* bytes of it */
	__u8 tos;	 /* of the IP header */
	__be16 data;	 /* bytes behind the TCP header */
	__u64 check;	 /* hash of the fields above and of the flow (syn_check()); another value is a miss */
};

/* low bits of a flow's hash -> its SYN, until another flow's overwrites it */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_SYNS);
	__type(key, __u32);
	__type(value, struct syn_row);
} mesh_syns_v1 SEC(".maps");

#define SYN_WORDS ((int)(sizeof(struct syn_row) / 8) - 1)
#define TCP_MOST_BYTES ((int)sizeof(((struct syn_row *)0)->tcp))

/* Source ports of moved connects: above those that Linux gives to sockets unless it is told otherwise. */
#define PORT_FIRST 61000
#define PORTS (65536 - PORT_FIRST)
#define PORT_TRIES 16

static __always_inline struct syn_row *syn_at(__u64 hash)
{
	__u32 slot = hash & (LIMIT_SYNS - 1);

	return bpf_map_lookup_elem(&mesh_syns_v1, &slot);
}

static __always_inline __u64 syn_check(const struct syn_row *row, __u64 hash)
{
	const __u64 *words = (const void *)row;

	return row_check(row_check(ROW_CHECK ^ hash, words, ROW_WORDS), words + ROW_WORDS, SYN_WORDS - ROW_WORDS);
}

/* Keeps the SYN of a connect to a Service. `hash`: of its flow. Not inlined and not static, as nat_find(). */
__noinline int keep_syn(struct __sk_buff *skb, const struct packet *packet, __u64 hash)
{
	struct syn_row row = {}, *to = syn_at(hash);
	__u32 length;

	if (!packet || !to)
		return 0;
	length = packet->l4_length;
	if (length < TCP_LENGTH || length > TCP_MOST_BYTES)
		return 0;
	if (bpf_skb_load_bytes(skb, L4_OFFSET, row.tcp, length))
		return 0;
	row.tcp_length = length;
	row.tos = packet->tos;
	row.data = bpf_htons(bpf_ntohs(packet->length) - sizeof(struct iphdr) - length);
	row.check = syn_check(&row, hash);
	*to = row;
	return 0;
}

/* A connect on its way to another backend. */
struct move {
	__u8 client[16];
	__u8 peer[16]; /* the backend that its socket connected to */
	__be16 client_port;
	__be16 peer_port;
	__u32 service;
	__u64 hash;	      /* of the front tuple */
	struct nat_row front; /* the row of the front tuple, to be inserted */
};

/* What a move works with, as nat_scratch. */
struct move_scratch {
	struct move move;
	struct flow_body body;
	struct syn_row syn;
	struct nat_row wire; /* the row of the wire tuple */
	struct flow_key front_key;
	struct flow_key wire_key;
	struct flow_key key; /* of the packet */
};

/* 0 -> for one packet at a time */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct move_scratch);
} mesh_move_scratch_v1 SEC(".maps");

static __always_inline struct move_scratch *move_scratch(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&mesh_move_scratch_v1, &first);
}

/* Another backend than those that were tried, of another cluster than `avoided`, and not of tiers before `first_tier`. */
__noinline __u64 choose_untried(__u32 service, __u64 tried, __u32 first_tier, __u32 avoided)
{
	const struct service_row *row = bpf_map_lookup_elem(&mesh_services_v1, &service);
	__u32 hash = bpf_get_prandom_u32();
	__u64 pick = PICK_NONE;

	for (__u32 i = 0; row && i < LIMIT_TIERS; i++) {
		/* All of a short table, as far as LIMIT_PROBES go. */
		__u64 word = READ_ONCE(row->tier[i]) | WORD(tier_word, .tries = LIMIT_PROBES - 1);
		struct tier_word tier = FIELDS(tier_word, word);
		__u32 cluster = tier.cluster;

		if (i < first_tier || !tier.slots || (cluster && cluster_rank(cluster) == RANK_DOWN))
			continue;
		pick = tier_probe(word, i | avoided << LIMIT_TIER_BITS, hash, pick, tried);
		if (FIELDS(pick, pick).rank == RANK_UP)
			break;
	}
	return pick;
}

/* Chooses the next backend of the move, whose row then has it as its peer; 0 when none is left. */
__noinline int choose_next(__u32 is_silent)
{
	struct move_scratch *scratch = move_scratch();
	const struct backend_row *backend;
	__u64 pick = PICK_NONE, tried;
	struct nat_row *row;
	struct move *move;

	if (!scratch)
		return 0;
	move = &scratch->move;
	row = &move->front;
	if (row->moves >= LIMIT_MOVES || (is_silent && row->silent >= LIMIT_SILENT_MOVES))
		return 0;
	tried = WORD(tried, .first = row->backend, .second = row->before[0], .third = row->before[1]);
	backend = backend_lookup(row->backend);
	if (is_silent && row->silent + 1 == LIMIT_SILENT_MOVES && backend)
		pick = choose_untried(move->service, tried, 0, backend->cluster);
	else if (row->moves + 1 == LIMIT_MOVES)
		pick = choose_untried(move->service, tried, row->tier + 1, 0);
	if (!FIELDS(pick, pick).id)
		pick = choose_untried(move->service, tried, 0, 0);
	backend = backend_lookup(FIELDS(pick, pick).id);
	/* Others are reached through the stack, which knows nothing of the translation. */
	if (!backend || !is_pod_address(backend->addr))
		return 0;
	row->before[1] = row->before[0];
	row->before[0] = row->backend;
	row->backend = FIELDS(pick, pick).id;
	row->tier = FIELDS(pick, pick).tier;
	row->moves++;
	row->silent += is_silent;
	__builtin_memcpy(row->peer, backend->addr, sizeof(row->peer));
	row->peer_port = backend->port;
	return 1;
}

/* True when a flow of this key has a row and has not ended. */
__noinline int is_in_use(const struct flow_key *key)
{
	struct flow_set *set;
	__u32 index, place;
	__u64 hash;

	if (!key)
		return 1;
	index = place_of(key, &hash);
	set = bpf_map_lookup_elem(&mesh_conntrack_v2, &index);
	if (!set)
		return 1;
	place = row_of_flow(set, key);
	return place < LIMIT_FLOW_SET && !has_ended(row_at(set, place), bpf_ktime_get_coarse_ns() >> 30);
}

/*
 * Gives the flow a source port of ours, and inserts the row of its wire tuple: 0, or a negative errno when there is no room. A
 * port that the pod uses to the same backend would mix two connections.
 */
__noinline int insert_wire(void)
{
	struct move_scratch *scratch = move_scratch();
	__u32 random = bpf_get_prandom_u32();
	struct nat_row *row;
	struct move *move;
	int error;

	if (!scratch)
		return -EINVAL;
	row = &scratch->wire;
	move = &scratch->move;
	*row = move->front;
	__builtin_memcpy(row->peer, move->peer, sizeof(row->peer));
	row->peer_port = move->peer_port;
	row->client_port = move->client_port;
	for (__u32 i = 0; i < PORT_TRIES; i++) {
		__be16 port = bpf_htons(PORT_FIRST + (random + i) % PORTS);
		bool is_b = tuple_key(&scratch->wire_key, move->client, port, move->front.peer, move->front.peer_port);

		row->flags = is_b ? NAT_CLIENT_IS_B : 0;
		if (is_in_use(&scratch->wire_key))
			continue;
		error = nat_insert(&scratch->wire_key, row);
		if (!error)
			move->front.client_port = port;
		if (error != -EEXIST)
			return error;
	}
	return -ENOSPC;
}

static __always_inline struct endpoint_row *client_of_move(void)
{
	struct move_scratch *scratch = move_scratch();

	return scratch ? find_endpoint(scratch->move.client) : NULL;
}

/*
 * False when a client has as many moved connects as it may have, for one pod must not take the room of all others; and when it
 * is no pod of this node any more. `more`: of connects to be moved for the first time.
 */
__noinline int client_may_have(__u32 more)
{
	const struct endpoint_row *client = client_of_move();

	return client && (!more || READ_ONCE(client->moved) - READ_ONCE(client->moves_ended) < LIMIT_MOVED_CONNECTS);
}

/* Counts one for the client, which has rows by now. */
__noinline int count_for_client(void)
{
	struct endpoint_row *client = client_of_move();

	if (client)
		__sync_fetch_and_add(&client->moved, 1);
	return 0;
}

/*
 * Inserts the two rows of a move, in the place of those of the move before (`again`), if its client may have them: whoever
 * inserts the row of the front tuple, or deletes it, moves the connect. A flow has both rows afterwards, or none. 0, or a
 * negative errno; -EEXIST: another CPU moves it.
 */
__noinline int insert_move(__u32 again)
{
	struct move_scratch *scratch = move_scratch();
	struct move *move;
	int error;
	bool is_b;

	if (!scratch)
		return -EINVAL;
	move = &scratch->move;
	is_b = tuple_key(&scratch->front_key, move->client, move->client_port, move->peer, move->peer_port);
	error = client_may_have(!again) ? insert_wire() : -ENOSPC;
	if (error)
		return error;
	if (again && bpf_map_delete_elem(&mesh_nat_v1, &scratch->front_key)) {
		error = -EEXIST;
	} else {
		if (again)
			bpf_map_delete_elem(&mesh_nat_v1, &scratch->key);
		move->front.flags = NAT_FRONT | (is_b ? NAT_CLIENT_IS_B : 0);
		error = nat_insert(&scratch->front_key, &move->front);
	}
	if (error)
		bpf_map_delete_elem(&mesh_nat_v1, &scratch->wire_key);
	else if (!again)
		count_for_client();
	return error;
}

/* The length of a TCP header with its options, in a way that the verifier follows; 0 if it cannot be one. */
static __always_inline __u32 tcp_length(__u8 bytes)
{
	__u32 options = (__u32)(bytes & ~3) - TCP_LENGTH;

	barrier_var(options);
	return options <= TCP_MOST_BYTES - TCP_LENGTH ? options + TCP_LENGTH : 0;
}

/* Makes a packet the SYN of the connect, as the pod would send it: the pod's device, or 0 when it cannot be written. */
__noinline int write_syn(struct __sk_buff *skb)
{
	struct move_scratch *scratch = move_scratch();
	struct headers head = {.eth = {.h_proto = bpf_htons(ETH_P_IP)}};
	const struct endpoint_row *client;
	const struct move *move;
	__be32 source, target;
	struct syn_row *syn;
	__u32 length;

	if (!scratch)
		return 0;
	move = &scratch->move;
	syn = &scratch->syn;
	length = tcp_length(syn->tcp_length);
	if (!length)
		return 0;
	client = find_endpoint(move->client);
	if (!client || bpf_skb_change_tail(skb, L4_OFFSET + length, 0))
		return 0;
	__builtin_memcpy(head.eth.h_source, client->mac, ETH_ALEN);
	__builtin_memcpy(head.eth.h_dest, client->host_mac, ETH_ALEN);
	__builtin_memcpy(&source, move->client + 12, sizeof(source));
	__builtin_memcpy(&target, move->peer + 12, sizeof(target));
	head.ip = ip_header(source, target, IPPROTO_TCP, length, syn->tos);
	*(__be16 *)(syn->tcp + TCP_CHECK_OFFSET) = 0;
	*(__be16 *)(syn->tcp + TCP_CHECK_OFFSET) = tcp_check(syn->tcp, length, source, target);
	if (bpf_skb_store_bytes(skb, 0, &head, sizeof(head), BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH) ||
	    bpf_skb_store_bytes(skb, L4_OFFSET, syn->tcp, length, BPF_F_RECOMPUTE_CSUM))
		return 0;
	return client->ifindex;
}

/* True for a flow that is a connect to a Service of which nothing was heard but its SYN. `client`: the end that sent it. */
static __always_inline bool is_connecting(const struct tracked *flow, __u32 client)
{
	return flow->row && (flow->flags & FLOW_SERVICE) && !(flow->flags & FLOW_VIA_STACK) &&
	       is_unanswered(flow->row, client);
}

static __always_inline enum move_reason refusal_reason(const struct packet *packet)
{
	if (is_denial(packet))
		return MOVE_REASON_DENIED;
	return packet->is_error ? MOVE_REASON_UNREACHABLE : MOVE_REASON_REFUSED;
}

/* True for an answer that may refuse a connect to a Service. */
static __always_inline bool may_refuse(const struct packet *packet, const struct tracked *flow)
{
	bool is_refusal = packet->has_ports ? (packet->tcp & (TCP_RST | TCP_ACK)) == (TCP_RST | TCP_ACK) :
					      is_unreachable(packet) || is_denial(packet);

	return is_refusal && packet->flow.proto == IPPROTO_TCP && !(flow->flags & FLOW_INITIATOR) &&
	       is_connecting(flow, !packet->from_b);
}

/*
 * True for the SYN of a connect to a Service whose flow has a row: before that packet is noted there, it is a repeat, since
 * nothing answered.
 */
static __always_inline bool may_move(const struct packet *packet, const struct tracked *flow)
{
	return is_syn(packet) && (flow->flags & FLOW_INITIATOR) && is_connecting(flow, packet->from_b);
}

/* Results of rescue() that are no device. */
#define MOVE_NONE 0	/* the refusal passes */
#define MOVE_DROP (-1) /* it is dropped: it answers no SYN of the pod, or the pod has to repeat its SYN by itself */

/*
 * False for a Service whose setting keeps its connects at the backends that were chosen for them, and when what was dialled
 * is no longer of the Service that had it then: another one may have that row by now.
 */
static __always_inline bool is_rescued(const struct flow_body *body)
{
	struct frontend_key key = {.port = body->vip_port, .proto = PROTO_TCP, .scope = FRONTEND_SCOPE_ALL};
	const struct service_row *row;
	struct frontend_row frontend;

	__builtin_memcpy(key.addr, body->vip, sizeof(key.addr));
	if (!frontend_lookup(&key, &frontend) || frontend.service != body->service)
		return false;
	row = bpf_map_lookup_elem(&mesh_services_v1, &frontend.service);
	return row && !(READ_ONCE(row->flags) & SERVICE_NO_RESCUE);
}

/* Sets what the move of a refused connect begins with; 0 when it may not or cannot be moved. `hash`, `flags`: of its flow. */
__noinline int begin_move(const struct packet *packet, __u64 hash, __u32 flags)
{
	struct move_scratch *scratch = move_scratch();
	const struct flow_body *body;
	struct nat_row *wire;
	struct move *move;
	bool client_is_b;

	if (!packet || !scratch)
		return 0;
	body = &scratch->body;
	move = &scratch->move;
	wire = &scratch->wire;
	if (!is_rescued(body))
		return 0;
	client_is_b = !packet->from_b == !(flags & FLOW_INITIATOR);
	__builtin_memset(move, 0, sizeof(*move));
	__builtin_memcpy(move->client, client_is_b ? packet->flow.b : packet->flow.a, sizeof(move->client));
	__builtin_memcpy(move->peer, client_is_b ? packet->flow.a : packet->flow.b, sizeof(move->peer));
	move->client_port = client_is_b ? packet->flow.pb : packet->flow.pa;
	move->peer_port = client_is_b ? packet->flow.pa : packet->flow.pb;
	move->service = body->service;
	move->hash = hash;
	move->front.isn = body->isn;
	move->front.backend = body->backend;
	if (!(flags & FLOW_NAT))
		return 1;
	scratch->key = packet->flow;
	if (!nat_lookup(&scratch->key, wire) || (wire->flags & NAT_FRONT))
		return 0;
	__builtin_memcpy(move->peer, wire->peer, sizeof(move->peer));
	move->peer_port = wire->peer_port;
	move->client_port = wire->client_port;
	other_key(&scratch->front_key, wire, move->client);
	place_of(&scratch->front_key, &move->hash);
	return nat_lookup(&scratch->front_key, &move->front);
}

/* Takes the SYN of the connect, if it is still known; 0 when what the refusal answers is not what the pod sent. */
__noinline int take_syn(struct __sk_buff *skb, const struct packet *packet)
{
	struct move_scratch *scratch = move_scratch();
	__be32 ack = 0;
	__u32 isn, behind;
	const struct syn_row *kept;
	struct syn_row *syn;

	if (!scratch || !packet)
		return 0;
	syn = &scratch->syn;
	kept = syn_at(scratch->move.hash);
	if (!kept)
		return 0;
	copy_once(syn, kept, SYN_WORDS + 1);
	if (syn->check != syn_check(syn, scratch->move.hash))
		__builtin_memset(syn, 0, sizeof(*syn));
	isn = bpf_ntohl(scratch->move.front.isn);
	if (packet->tcp & TCP_RST)
		bpf_skb_load_bytes(skb, L4_OFFSET + TCP_ACK_OFFSET, &ack, sizeof(ack));
	behind = bpf_ntohl(ack) - isn - 1;
	return packet->tcp & TCP_RST ? behind <= bpf_ntohs(syn->data) : bpf_ntohl(packet->seq) == isn;
}

/* Notes in the packet what became of its connect. `is_answer`: it is not the SYN itself. */
static __always_inline void note_move(struct packet *packet, const struct move *move, const struct flow_body *body,
				      bool is_answer, enum move_reason reason)
{
	struct orig_dst *orig_dst = orig_dst_scratch();

	packet->event = EVENT_MOVED;
	packet->move_reason = reason;
	packet->reply = is_answer;
	packet->service = body->service;
	if (!orig_dst)
		return;
	__builtin_memcpy(orig_dst->vip, body->vip, sizeof(body->vip));
	orig_dst->vip_port = body->vip_port;
	orig_dst->backend = move->front.backend;
	orig_dst->wire_port = move->front.client_port;
}

/*
 * Moves the connect that this packet refuses to another backend: returns the client's device, at whose ingress the packet,
 * which is the SYN then, begins; or MOVE_NONE, or MOVE_DROP. For packets that may_refuse(); for those that may_move() and have
 * no way; and for repeats of a SYN. Each of its steps is a call with a frame of its own.
 */
static __always_inline int rescue(struct __sk_buff *skb, struct packet *packet, struct tracked *flow,
				  enum move_reason reason)
{
	bool is_answer = !(flow->flags & FLOW_INITIATOR);
	struct move_scratch *scratch = move_scratch();
	int error, device;

	if (!scratch || !read_body(flow, &scratch->body) || !begin_move(packet, flow->hash, flow->flags))
		return MOVE_NONE;
	if (!take_syn(skb, packet))
		return is_answer ? MOVE_DROP : MOVE_NONE;
	if (reason == MOVE_REASON_DENIED && !(flow->flags & FLOW_PINNED)) {
		mark(flow, FLOW_PINNED, 0);
		count_move(scratch->move.service, reason);
	}
	if (flow->flags & FLOW_PINNED)
		return MOVE_NONE;
	if (!choose_next(reason == MOVE_REASON_SILENT)) {
		count_move(scratch->move.service, MOVE_REASON_EXHAUSTED);
		return MOVE_NONE;
	}
	error = insert_move(flow->flags & FLOW_NAT);
	if (error == -EEXIST)
		return MOVE_DROP;
	if (error) {
		count_move(scratch->move.service, MOVE_REASON_FAILED);
		return MOVE_NONE;
	}
	mark(flow, FLOW_NAT, 0);
	count_move(scratch->move.service, reason);
	note_move(packet, &scratch->move, &scratch->body, is_answer, reason);
	device = write_syn(skb);
	return device ? device : MOVE_DROP;
}

#endif
