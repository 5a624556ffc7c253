/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Sends SYNs from random ports, as many as one processor can, until its input ends. Then prints how many it sent a second.
 *
 *   flood DEVICE TO-MAC FROM TO PORT...
 *
 * FROM is an address, or the first two octets of one, of which the others are random then.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 256
#define FIRST_PORT 1024

struct packet {
	struct iphdr ip;
	struct tcphdr tcp;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Xorshift: the next of a sequence that does not repeat within a flood. */
static uint64_t next_random(void)
{
	static uint64_t state;

	if (!state && (getentropy(&state, sizeof(state)) || !state))
		die("getentropy");
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint64_t sum(const void *bytes, size_t size)
{
	uint64_t total = 0;
	uint16_t word;

	for (size_t at = 0; at < size; at += sizeof(word)) {
		memcpy(&word, (const char *)bytes + at, sizeof(word));
		total += word;
	}
	return total;
}

static uint16_t folded(uint64_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return ~total;
}

/* Takes other ports and another sequence number; also the last two octets of the source if `any_source`. */
static void change(struct packet *packet, const uint16_t *ports, int count, int any_source)
{
	struct iphdr *ip = &packet->ip;
	struct tcphdr *tcp = &packet->tcp;
	uint64_t random = next_random();

	tcp->source = htons(FIRST_PORT + (uint16_t)random % (0x10000 - FIRST_PORT));
	tcp->dest = ports[(random >> 16) % count];
	tcp->seq = random >> 32;
	if (any_source)
		ip->saddr = htonl((ntohl(ip->saddr) & 0xffff0000) | (next_random() & 0xffff));
	ip->check = tcp->check = 0;
	ip->check = folded(sum(ip, sizeof(*ip)));
	tcp->check = folded(sum(&ip->saddr, 2 * sizeof(ip->saddr)) + htons(IPPROTO_TCP) + htons(sizeof(*tcp)) +
			    sum(tcp, sizeof(*tcp)));
}

/* Where the kernel sends packets, behind an Ethernet header that it adds. */
static struct sockaddr_ll next_hop(const char *device, const char *mac)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = if_nametoindex(device),
		.sll_halen = 6,
	};
	uint8_t *at = to.sll_addr;

	if (!to.sll_ifindex)
		die(device);
	if (sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &at[0], &at[1], &at[2], &at[3], &at[4], &at[5]) != 6)
		die(mac);
	return to;
}

/* inet_aton() reads "10.2" as 10.0.0.2. Returns whether only two octets are given. */
static int parse_source(const char *text, uint32_t *address)
{
	uint8_t octets[4] = { 0 };
	int count = sscanf(text, "%hhu.%hhu.%hhu.%hhu", &octets[0], &octets[1], &octets[2], &octets[3]);

	if (count != 2 && count != 4)
		die(text);
	memcpy(address, octets, sizeof(octets));
	return count == 2;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static struct packet packets[BATCH];
static struct iovec parts[BATCH];
static struct mmsghdr messages[BATCH];

/* Returns how many were sent: what the receiver's full queue refused is not counted. */
static int send_batch(int fd, const uint16_t *ports, int count, int any_source)
{
	int sent;

	for (int i = 0; i < BATCH; i++)
		change(&packets[i], ports, count, any_source);
	sent = sendmmsg(fd, messages, BATCH, 0);
	if (sent < 0 && errno != ENOBUFS)
		die("sendmmsg");
	return sent < 0 ? 0 : sent;
}

int main(int argc, char **argv)
{
	struct packet first = {
		.ip = { .version = 4, .ihl = 5, .tot_len = htons(sizeof(first)), .frag_off = htons(IP_DF), .ttl = 64,
			.protocol = IPPROTO_TCP },
		.tcp = { .doff = sizeof(first.tcp) / 4, .syn = 1, .window = 0xffff },
	};
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	int any_source, count = argc - 5, fd = socket(AF_PACKET, SOCK_DGRAM, 0);
	struct sockaddr_ll to;
	uint16_t ports[16];
	uint64_t sent = 0;
	double began;

	if (count < 1 || count > 16 || inet_pton(AF_INET, argv[4], &first.ip.daddr) != 1)
		return 2;
	if (fd < 0)
		die("socket");
	to = next_hop(argv[1], argv[2]);
	any_source = parse_source(argv[3], &first.ip.saddr);
	for (int i = 0; i < count; i++)
		ports[i] = htons(atoi(argv[5 + i]));
	for (int i = 0; i < BATCH; i++) {
		packets[i] = first;
		parts[i] = (struct iovec){ &packets[i], sizeof(packets[i]) };
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &parts[i], .msg_iovlen = 1
		};
	}
	began = seconds();
	while (!poll(&input, 1, 0))
		sent += send_batch(fd, ports, count, any_source);
	printf("%.0f\n", sent / (seconds() - began));
	return 0;
}
