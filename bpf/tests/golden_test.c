/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Compares the C layout of every shared struct with golden.txt. Run by `make check`; golden.test.ts does the same
 * with the generated codecs.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"
#include "lib/types.h"

static unsigned char golden[512];
static int failures;

/* Reads the bytes of the vector of this name into golden; returns their number. */
static size_t read_golden(const char *name)
{
	FILE *file = fopen("tests/golden.txt", "r");
	char line[256];
	size_t length = 0;
	int inside = 0;

	if (!file)
		exit(2);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "#\n")] = 0;
		if (isalpha((unsigned char)line[0]) && strchr(line, '_')) {
			inside = !strncmp(line, name, strlen(name)) && !line[strlen(name)];
			continue;
		}
		for (char *at = line; inside && *at;) {
			unsigned int byte;

			if (isspace((unsigned char)*at))
				at++;
			else if (sscanf(at, "%2x", &byte) == 1) {
				golden[length++] = byte;
				at += 2;
			}
		}
	}
	fclose(file);
	return length;
}

static void check(const char *name, const void *bytes, size_t size)
{
	size_t length = read_golden(name);

	if (length == size && !memcmp(golden, bytes, size))
		return;
	failures++;
	printf("not ok %s: golden has %zu bytes, C has %zu\n  ", name, length, size);
	for (size_t i = 0; i < size; i++)
		printf("%02x", ((const unsigned char *)bytes)[i]);
	printf("\n");
}

static void address(__u8 *out, const char *text)
{
	inet_pton(AF_INET6, text, out);
}

#define CHECK(name, value) check(name, &(value), sizeof(value))

static void frontends(void)
{
	struct frontend_key key = {.port = htons(80), .proto = PROTO_TCP, .scope = FRONTEND_SCOPE_LOCAL};
	struct frontend_row row = {.service = 0x11223344, .flags = FRONTEND_REJECT, .check = 0xcafe};
	struct service_range_row range = {.mask = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
						   0xff, 0xff, 0xf0}};
	__u16 of_key;

	address(key.addr, "::ffff:10.96.0.1");
	of_key = key_check(&key, sizeof(key) / 4);
	CHECK("frontend_key", key);
	CHECK("frontend_row", row);
	address(range.addr, "::ffff:10.96.0.0");
	CHECK("service_range_row", range);
	CHECK("frontend_check", of_key);
}

static void services(void)
{
	struct tier_word word = {.line = 0x7654321, .slots = 0x1389a, .tries = 5, .maglev = 1, .cluster = 0x267, .spare = 0};
	struct service_row row = {.tier = {0x0102030405060708, 0x1112131415161718, 0x2122232425262728, 0x3132333435363738},
				  .flags = SERVICE_AFFINITY | SERVICE_NO_RESCUE, .affinity_s = 10544, .gen = 7,
				  .rescue_after_ms = 250};
	struct backend_id id = {.index = 0x123456, .generation = 255};
	struct table_line line;

	for (int i = 0; i < LIMIT_LINE_SLOTS; i++)
		line.id[i] = 1 << 24 | (i + 1);
	CHECK("tier_word", word);
	CHECK("service_row", row);
	CHECK("backend_id", id);
	CHECK("table_line", line);
}

static void backends(void)
{
	struct backend_row row = {.id = 0xff123456, .port = htons(8080), .proto = PROTO_UDP, .state = RANK_SUSPECT,
				  .node = 0x11223344, .cluster = 4094, .zone = 5, .flags = BACKEND_TERMINATING};
	struct state_word word = {.draining = 1, .suspect = 2, .down = 4};
	struct node_row node = {.id = 9, .cluster = 258, .zone = 3, .key = 4, .flags = NODE_LOCAL,
				.rtt_us = 0x01020304};

	address(row.addr, "2001:db8::1");
	address(node.tunnel, "::ffff:192.168.0.1");
	address(node.health, "::ffff:192.168.0.2");
	CHECK("backend_row", row);
	CHECK("state_word", word);
	CHECK("node_row", node);
}

static void floors(void)
{
	struct floor_row row = {.valid = 2};
	struct floor_row_v1 old = {.valid = 2};

	for (int i = 0; i < 16; i++) {
		row.copy[1].store[i] = old.copy[1].store[i] = i;
		row.copy[1].position[i] = i + 1;
	}
	for (int i = 0; i < 8; i++)
		old.copy[1].position[i] = i + 1;
	row.copy[1].checksum = old.copy[1].checksum = 0x0123456789abcdef;
	CHECK("floor_copy", row.copy[1]);
	CHECK("floor_row", row);
	CHECK("floor_row_v1", old);
}

static void sockets(void)
{
	struct sock_row sock = {.vip_port = htons(80), .port = htons(8080), .backend = 1 << 24 | 1, .service = 2};
	struct tcp_orig_dst_row recent = {.cookie = 0x1122334455667788, .check = 0x0123456789abcdef};
	struct udp_sticky_key sticky_key = {.cookie = 0x1122334455667788, .port = htons(53)};
	struct udp_sticky_row sticky = {.backend = 1 << 24 | 1, .fraction = 0x12345, .tier = 2, .check = 0x1abc};
	struct udp_reverse_key reverse_key = {.cookie = 0x1122334455667788, .port = htons(53)};
	struct udp_reverse_row reverse = {.port = htons(53), .check = 0x0123456789abcdef};
	struct datapath_config config = {.cluster_id = 7, .netns_cookie = 0x1122334455667788,
					 .flow_seed = 0x99aabbccddeeff00, .flow_sets = 0x1234};
	__u64 of_row;

	address(sock.vip, "::ffff:10.96.0.1");
	address(sock.addr, "::ffff:10.1.2.3");
	address(sticky_key.vip, "::ffff:10.96.0.1");
	address(reverse_key.addr, "::ffff:10.1.2.3");
	address(reverse.vip, "::ffff:10.96.0.1");
	recent.orig_dst = sock;
	of_row = row_check(ROW_CHECK, &recent, sizeof(recent) / 8 - 1);
	CHECK("sock_row", sock);
	CHECK("tcp_orig_dst_row", recent);
	CHECK("row_check", of_row);
	CHECK("udp_sticky_key", sticky_key);
	CHECK("udp_sticky_row", sticky);
	CHECK("udp_reverse_key", reverse_key);
	CHECK("udp_reverse_row", reverse);
	CHECK("datapath_config", config);
}

static void pods(void)
{
	struct endpoint_key key;
	struct endpoint_row row = {.id = 3, .ifindex = 0x01020304, .mac = {2, 0, 0, 0, 0, 1}, .host_mac = {2, 0, 0, 0, 0, 2},
				   .netns_id = 5, .identity = 0x00100100, .flags = 6, .policy = 0x1122334455667788,
				   .moved = 0x01020304, .moves_ended = 0x01020300};
	struct pod_range_key range_key = {.length = 112};
	struct pod_range_row range = {.cluster = 258, .flags = 7};
	struct flow_key flow = {.pa = htons(40000), .pb = htons(80), .proto = PROTO_TCP, .space = 0x0102};
	struct flow_word word = {.rev = 0x01020304, .check = 0xabcd, .flags = FLOW_INITIATOR | FLOW_VIA_STACK};
	struct flow_row flow_row = {.word = {0x0102030405060708, 0x1112131415161718}, .gen = 0x01020304, .seen = 0x0506,
				    .sent = {FLOW_SENT_SYN, FLOW_SENT_FIN | FLOW_SENT_DATA}};
	struct fragment_key fragment_key = {.id = htons(0x1234), .proto = PROTO_UDP, .space = 0x0102};
	struct fragment_row fragment = {.check = 0x11223344, .seen = 0x0506, .flags = FRAGMENT_FIRST_SEEN};

	address(key.addr, "::ffff:10.1.0.1");
	address(row.addr, "::ffff:10.1.0.1");
	address(range_key.addr, "::ffff:10.1.0.0");
	address(flow.a, "::ffff:10.1.0.1");
	address(flow.b, "::ffff:10.1.0.2");
	CHECK("endpoint_key", key);
	CHECK("endpoint_row", row);
	CHECK("pod_range_key", range_key);
	CHECK("pod_range_row", range);
	CHECK("flow_key", flow);
	CHECK("flow_word", word);
	flow_row.key = flow;
	CHECK("flow_row", flow_row);
	address(fragment_key.source, "::ffff:10.1.0.1");
	address(fragment_key.target, "::ffff:10.1.0.2");
	CHECK("fragment_key", fragment_key);
	CHECK("fragment_row", fragment);
}

static void policies(void)
{
	struct pod_policy_word policy = {.set = 0x01020304, .audit = 1, .revision = 0x11121314};
	struct ipcache_key exact = {.space = 0x0102};
	struct ipcache_prefix_key prefix = {.length = 32 + 112, .space = 0x0102};
	struct ipcache_row row = {.identity = 0x00100101, .node = 9, .flags = IPCACHE_EXACT, .check = 0xabcd};
	struct peer_verdict verdict = {.number = 0x01020304, .allow = 1};
	struct policy_set_row set = {.in = 0x01020304, .out = 0x11121314};
	struct policy_state_row state = {.revision = 0x01020304, .pending = 1};
	struct policy_peer_key peer_key = {.set = 5, .identity = 0x00100101};
	struct policy_peer_row peer = {.set = 5, .identity = 0x00100101, .in = 0x01020304, .out = 0x11121314};
	struct policy_port_key port_key = {.length = 60, .class = 7, .proto = PROTO_TCP, .port = htons(8080)};
	struct policy_port_row port = {.class = 7, .rule = 0x01020304, .allow = 1, .flags = 2, .proxy = htons(15001)};

	address(exact.addr, "::ffff:10.1.0.1");
	address(prefix.addr, "::ffff:10.1.0.0");
	CHECK("pod_policy_word", policy);
	CHECK("ipcache_key", exact);
	CHECK("ipcache_prefix_key", prefix);
	CHECK("ipcache_row", row);
	CHECK("peer_verdict", verdict);
	CHECK("policy_set_row", set);
	CHECK("policy_state_row", state);
	CHECK("policy_peer_key", peer_key);
	CHECK("policy_peer_row", peer);
	CHECK("policy_port_key", port_key);
	CHECK("policy_port_row", port);
}

static void moves(void)
{
	struct flow_body body = {.vip_port = htons(80), .service = 2, .backend = 1 << 24 | 3, .isn = htonl(0x11223344),
				 .check = 0x0102030405060708};
	struct nat_row nat = {.peer_port = htons(8080), .client_port = htons(61000), .flags = NAT_FRONT | NAT_CLIENT_IS_B,
			      .moves = 2, .tier = 1, .silent = 2, .isn = htonl(0x11223344), .backend = 1 << 24 | 3,
			      .before = {1 << 24 | 2, 1 << 24 | 1}, .check = 0x0102030405060708};
	struct nat_state_row state = {.used = 1};
	struct service_moves_key moves_key = {.service = 0x01020304, .gen = 7};
	struct service_moves_row moves = {.count = {0, 1, 2, 3, 4, 5, 6}};

	address(body.vip, "::ffff:10.96.0.1");
	address(nat.peer, "::ffff:10.1.0.2");
	CHECK("flow_body", body);
	CHECK("nat_row", nat);
	CHECK("nat_state_row", state);
	CHECK("service_moves_key", moves_key);
	CHECK("service_moves_row", moves);
}

static void events(void)
{
	struct event_settings_row settings = {.kinds = 1 << EVENT_FLOW_NEW | 1 << EVENT_FLOW_PICKED_UP | 1 << EVENT_DROP};
	struct event_limit_key key = {.ifindex = 0x01020304, .kind = EVENT_DROP, .reason = DROP_MALFORMED};
	struct event_limit_row row = {.due = 0x1122334455667788, .limited = 7};
	struct packet_event event = {.time = 0x1122334455667788, .version = EVENT_VERSION, .kind = EVENT_DROP,
				     .point = EVENT_POINT_TO_POD, .verdict = VERDICT_DELIVER, .reason = DROP_MALFORMED,
				     .proto = PROTO_TCP, .tcp = 0x12, .flags = EVENT_REPLY, .source_port = htons(40000),
				     .target_port = htons(80), .icmp_type = 8, .icmp_code = 3, .length = htons(1500),
				     .ifindex = 0x01020304, .limited = 7, .source_identity = 8, .target_identity = 9,
				     .vip_port = htons(443), .wire_port = htons(61000), .service = 10, .backend = 11, .rule = 12,
				     .isn = htonl(0x11223344), .move_reason = MOVE_REASON_SILENT};

	address(event.source, "::ffff:10.1.0.1");
	address(event.target, "::ffff:10.1.0.2");
	address(event.vip, "::ffff:10.96.0.10");
	CHECK("event_settings_row", settings);
	CHECK("event_limit_key", key);
	CHECK("event_limit_row", row);
	CHECK("packet_event", event);
}

int main(void)
{
	frontends();
	services();
	backends();
	floors();
	sockets();
	pods();
	policies();
	moves();
	events();
	if (!failures)
		printf("ok golden vectors\n");
	return failures != 0;
}
