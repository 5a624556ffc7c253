// SPDX-License-Identifier: Apache-2.0
// One static program for pods of the end-to-end tests that look at packets on their way. IPv4.
//
//   paths serve PORT                          echoes TCP and UDP; a connection begins with the line "<host name>"
//   paths hold COUNT IP:PORT...               COUNT connections, round-robin over the targets, each with one request of 8 bytes
//                                             under way at a time; ends at the end of stdin
//   paths client IP:PORT                      one connection: each line of stdin is sent, and its outcome printed
//   paths connect IP:PORT                     one connection, 2 s: OUTCOME [HOST NAME]
//   paths stream IP:PORT BYTES                sends that much, compares the echo: OUTCOME BYTES PATH-MTU
//   paths datagram IP:PORT BYTES              the same with one datagram, which may be fragmented
//   paths probe IP:PORT BYTES                 one datagram of BYTES of payload that must not be fragmented
//   paths trace IP HOPS                       datagrams with TTL 1, 2, …: lines "TTL OUTCOME ADDRESS", until the target answers
//   paths listen PORT                         a line "ADDRESS PAYLOAD" for each datagram; ends at the end of stdin
//   paths forge SOURCE MAC VLAN IP:PORT TEXT  a frame as it stands, past the pod's own stack. "own": the pod's address or MAC;
//                                             VLAN: "none", or the ids of its tags, such as 0 or 0,0 (0: a priority tag)
//
// OUTCOME: whole, differs, echoed, open, closed, refused, unreachable, reset, timeout, exceeded, too-big, other.
#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DEVICE "eth0"
#define DATAGRAM_MAX 65507

static char buffer[1 << 16];

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

static void fail(const char *what)
{
	fprintf(stderr, "Cannot %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct in_addr parse_address(const char *text)
{
	struct in_addr address;

	if (inet_pton(AF_INET, text, &address) != 1) {
		fprintf(stderr, "Not an IPv4 address: %s\n", text);
		exit(2);
	}
	return address;
}

static struct sockaddr_in parse(const char *text)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	char ip[64];
	int port;

	if (sscanf(text, "%63[0-9.]:%d", ip, &port) != 2) {
		fprintf(stderr, "Not IP:PORT: %s\n", text);
		exit(2);
	}
	address.sin_addr = parse_address(ip);
	address.sin_port = htons(port);
	return address;
}

static const char *outcome(int error)
{
	switch (error) {
	case 0: return "open";
	case ECONNREFUSED: return "refused";
	case EHOSTUNREACH: case ENETUNREACH: return "unreachable";
	case ECONNRESET: case EPIPE: return "reset";
	case EINPROGRESS: case EAGAIN: case ETIMEDOUT: return "timeout";
	default: return "other";
	}
}

static int open_socket(int type, int timeout_ms)
{
	struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
	int fd = socket(AF_INET, type, 0);

	if (fd < 0) fail("open a socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	return fd;
}

static int dial(struct sockaddr_in to, int timeout_ms)
{
	int fd = open_socket(SOCK_STREAM, timeout_ms), on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) ? -1 : fd;
}

// Reads a line without its end; false with errno = 0 at the end of the stream.
static int read_line(int fd, char *line, size_t size)
{
	size_t have = 0;

	while (have < size - 1) {
		ssize_t n = recv(fd, line + have, 1, 0);

		if (n == 0) errno = 0;
		if (n <= 0) return 0;
		if (line[have] == '\n') break;
		have++;
	}
	line[have] = 0;
	return 1;
}

static void fill(char *bytes, size_t count, size_t offset)
{
	for (size_t i = 0; i < count; i++) bytes[i] = (offset + i) % 251;
}

static int is_filled(const char *bytes, size_t count, size_t offset)
{
	for (size_t i = 0; i < count; i++)
		if ((uint8_t)bytes[i] != (offset + i) % 251) return 0;
	return 1;
}

// ---- servers

static void echo_stream(int fd)
{
	char host[65] = "";
	ssize_t n;

	gethostname(host, 63);
	strcat(host, "\n");
	if (send(fd, host, strlen(host), MSG_NOSIGNAL) < 0) return;
	while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0)
		for (ssize_t sent = 0; sent < n;) {
			ssize_t m = send(fd, buffer + sent, n - sent, MSG_NOSIGNAL);

			if (m <= 0) return;
			sent += m;
		}
}

static int bound(int type, int port)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, type, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any))) fail("bind");
	return fd;
}

static int serve(int port)
{
	struct pollfd fds[2] = {{.fd = bound(SOCK_STREAM, port), .events = POLLIN}, {.fd = bound(SOCK_DGRAM, port), .events = POLLIN}};

	signal(SIGCHLD, SIG_IGN);
	if (listen(fds[0].fd, 1024)) fail("listen");
	for (;;) {
		if (poll(fds, 2, -1) < 0) continue;
		if (fds[0].revents) {
			int fd = accept(fds[0].fd, NULL, NULL), on = 1;

			if (fd >= 0 && fork() == 0) {
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
				echo_stream(fd);
				_exit(0);
			}
			if (fd >= 0) close(fd);
		}
		if (fds[1].revents) {
			struct sockaddr_in from;
			socklen_t length = sizeof(from);
			ssize_t n = recvfrom(fds[1].fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &length);

			if (n >= 0) sendto(fds[1].fd, buffer, n, 0, (struct sockaddr *)&from, length);
		}
	}
}

static int listen_datagrams(int port)
{
	struct pollfd fds[2] = {{.fd = bound(SOCK_DGRAM, port), .events = POLLIN}, {.fd = 0, .events = POLLIN}};

	printf("listening\n");
	for (;;) {
		if (poll(fds, 2, -1) < 0) continue;
		if (fds[0].revents) {
			struct sockaddr_in from;
			socklen_t length = sizeof(from);
			ssize_t n = recvfrom(fds[0].fd, buffer, sizeof(buffer) - 1, 0, (struct sockaddr *)&from, &length);

			if (n < 0) continue;
			buffer[n] = 0;
			printf("%s %s\n", inet_ntoa(from.sin_addr), buffer);
		} else if (fds[1].revents && read(0, buffer, sizeof(buffer)) <= 0) {
			return 0;
		}
	}
}

// ---- long connections

#define HOLD_MAX 256
#define HOLD_PAUSE_MS 20
#define HOLD_STALL_MS 400
#define HOLD_DRAIN_MS 10000

struct held {
	int fd, target, waiting, lost;
	int64_t at; // of the request under way, or when the next one is due
	uint64_t done, have;
	char in[8];
};

static void lose(struct held *h, int error)
{
	fprintf(stderr, "connection lost after %llu requests: %s\n", (unsigned long long)h->done, error ? strerror(error) : "closed");
	h->lost = 1;
	close(h->fd);
	h->fd = -1;
}

static void ask(struct held *h, int64_t now)
{
	uint64_t number = h->done;

	if (send(h->fd, &number, sizeof(number), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(number)) return lose(h, errno);
	h->waiting = 1;
	h->have = 0;
	h->at = now;
}

static void hear(struct held *h, int64_t now)
{
	ssize_t n = recv(h->fd, h->in + h->have, sizeof(h->in) - h->have, MSG_DONTWAIT);
	uint64_t number;

	if (n < 0 && errno == EAGAIN) return;
	if (n <= 0) return lose(h, n < 0 ? errno : 0);
	h->have += n;
	if (h->have < sizeof(h->in)) return;
	memcpy(&number, h->in, sizeof(number));
	if (number != h->done) return lose(h, EILSEQ);
	h->done++;
	h->waiting = 0;
	h->at = now + HOLD_PAUSE_MS;
}

// A line each 100 ms: open, stalled, lost, and the requests of the connection that has answered the fewest.
static void report(const char *what, const struct held *all, int count, int64_t now)
{
	int open = 0, stalled = 0, lost = 0;
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < count; i++) {
		open += !all[i].lost;
		lost += all[i].lost;
		stalled += !all[i].lost && all[i].waiting && now - all[i].at > HOLD_STALL_MS;
		least = all[i].done < least ? all[i].done : least;
	}
	printf("{\"what\":\"%s\",\"open\":%d,\"stalled\":%d,\"lost\":%d,\"least\":%llu}\n", what, open, stalled, lost,
	       (unsigned long long)least);
}

static int hold(int count, char **targets, int target_count)
{
	static struct held all[HOLD_MAX];
	struct pollfd fds[HOLD_MAX + 1] = {{.fd = 0, .events = POLLIN}};
	int64_t report_at = 0, ends_at = 0;
	char line[128];

	if (count < 1 || count > HOLD_MAX) return 2;
	for (int i = 0; i < count; i++) {
		all[i].fd = dial(parse(targets[i % target_count]), 5000);
		if (all[i].fd < 0 || !read_line(all[i].fd, line, sizeof(line))) fail("open a long connection");
	}
	for (;;) {
		int64_t now = now_ms();
		int waiting = 0;

		for (int i = 0; i < count; i++) {
			if (!ends_at && !all[i].lost && !all[i].waiting && now >= all[i].at) ask(&all[i], now);
			waiting += !all[i].lost && all[i].waiting;
			fds[i + 1] = (struct pollfd){.fd = all[i].fd, .events = POLLIN};
		}
		if (now >= report_at) {
			report("now", all, count, now);
			report_at = now + 100;
		}
		if (ends_at && (!waiting || now >= ends_at)) {
			report("end", all, count, now);
			return 0;
		}
		poll(fds, count + 1, 10);
		now = now_ms();
		for (int i = 0; i < count; i++)
			if (fds[i + 1].fd >= 0 && fds[i + 1].revents) hear(&all[i], now);
		if (fds[0].revents && read(0, buffer, sizeof(buffer)) <= 0) {
			fds[0].fd = -1;
			ends_at = now + HOLD_DRAIN_MS;
		}
	}
}

// ---- clients

static int client(const char *target)
{
	int fd = dial(parse(target), 10000);
	char line[256], answer[256];

	if (fd < 0) fail("connect");
	if (!read_line(fd, answer, sizeof(answer))) fail("read the host name");
	printf("open %s\n", answer);
	while (fgets(line, sizeof(line), stdin)) {
		if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
			printf("%s\n", outcome(errno));
		else if (read_line(fd, answer, sizeof(answer)))
			printf("echoed %s\n", answer);
		else
			printf("%s\n", errno ? outcome(errno) : "closed");
	}
	return 0;
}

static int try_connect(const char *target)
{
	int fd = dial(parse(target), 2000), error = fd < 0 ? errno : 0;
	char answer[128] = "";

	if (fd >= 0 && !read_line(fd, answer, sizeof(answer))) error = errno ? errno : ECONNRESET;
	printf("%s%s%s\n", outcome(error), *answer ? " " : "", answer);
	return 0;
}

static int path_mtu(int fd)
{
	int mtu = 0;
	socklen_t length = sizeof(mtu);

	getsockopt(fd, IPPROTO_IP, IP_MTU, &mtu, &length);
	return mtu;
}

static int stream(const char *target, size_t bytes)
{
	int fd = dial(parse(target), 10000);
	size_t sent = 0, received = 0;
	const char *result = "whole";
	char out[16384], line[128];

	if (fd < 0 || !read_line(fd, line, sizeof(line))) fail("connect");
	while (received < bytes) {
		struct pollfd one = {.fd = fd, .events = POLLIN | (sent < bytes ? POLLOUT : 0)};
		ssize_t n = 0;

		if (poll(&one, 1, 15000) <= 0) {
			result = "timeout";
			break;
		}
		if (one.revents & POLLOUT) {
			size_t size = bytes - sent < sizeof(out) ? bytes - sent : sizeof(out);

			fill(out, size, sent);
			n = send(fd, out, size, MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n > 0) sent += n;
		}
		if (n >= 0 && one.revents & (POLLIN | POLLERR | POLLHUP)) {
			n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
			if (n > 0 && !is_filled(buffer, n, received)) result = "differs";
			if (n == 0) result = "closed";
			if (n > 0) received += n;
			if (n == 0) break;
		}
		if (n < 0 && errno != EAGAIN) {
			result = outcome(errno);
			break;
		}
	}
	printf("%s %zu %d\n", result, received, path_mtu(fd));
	return 0;
}

// Prints what the error queue says: OUTCOME ADDRESS [MTU]. False when it is empty.
static int read_error(int fd, const char *before)
{
	char control[512], data[64];
	struct iovec part = {.iov_base = data, .iov_len = sizeof(data)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};

	if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		struct sock_extended_err error;
		struct sockaddr_in from = {0};
		const char *name = "other";

		if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_RECVERR) continue;
		memcpy(&error, CMSG_DATA(c), sizeof(error));
		if (error.ee_origin == SO_EE_ORIGIN_ICMP) memcpy(&from, CMSG_DATA(c) + sizeof(error), sizeof(from));
		if (error.ee_type == ICMP_TIME_EXCEEDED) name = "exceeded";
		if (error.ee_type == ICMP_DEST_UNREACH) name = error.ee_code == ICMP_PORT_UNREACH ? "refused" : "unreachable";
		if (error.ee_errno == EMSGSIZE) name = "too-big";
		printf("%s%s %s", before, name, error.ee_origin == SO_EE_ORIGIN_ICMP ? inet_ntoa(from.sin_addr) : "local");
		if (error.ee_errno == EMSGSIZE) printf(" %u", error.ee_info);
		printf("\n");
		return 1 + (error.ee_type == ICMP_DEST_UNREACH);
	}
	return 0;
}

static int trace(const char *target, int hops)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = parse_address(target)};

	for (int ttl = 1; ttl <= hops; ttl++) {
		int fd = open_socket(SOCK_DGRAM, 2000), on = 1, seen;
		struct pollfd one = {.fd = fd};
		char before[16];

		snprintf(before, sizeof(before), "%d ", ttl);
		to.sin_port = htons(33433 + ttl);
		setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
		setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
		if (sendto(fd, "trace", 5, 0, (struct sockaddr *)&to, sizeof(to)) < 0) fail("send");
		poll(&one, 1, 3000);
		seen = read_error(fd, before);
		if (!seen) printf("%d timeout\n", ttl);
		close(fd);
		if (seen > 1) return 0;
	}
	return 0;
}

// One datagram and its echo. `whole`: it must not be fragmented, whatever this host knows of the path.
static int datagram(const char *target, int size, int whole)
{
	struct sockaddr_in to = parse(target);
	int fd = open_socket(SOCK_DGRAM, 5000), on = 1, discover = whole ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT;
	static char out[DATAGRAM_MAX];
	ssize_t n;

	if (size < 1 || size > DATAGRAM_MAX) return 2;
	fill(out, size, 0);
	setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof(discover));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to))) fail("connect");
	n = send(fd, out, size, 0);
	if (n == size) n = recv(fd, buffer, sizeof(buffer), 0);
	if (n >= 0)
		printf("%s %zd\n", n == size && is_filled(buffer, n, 0) ? "echoed" : "differs", n);
	else if (!read_error(fd, ""))
		printf("%s\n", outcome(errno));
	return 0;
}

// ---- forged frames

struct frame {
	uint8_t bytes[2048];
	size_t length;
};

static void put(struct frame *frame, const void *bytes, size_t count)
{
	if (frame->length + count > sizeof(frame->bytes)) exit(2);
	memcpy(frame->bytes + frame->length, bytes, count);
	frame->length += count;
}

static uint16_t sum(const void *bytes, size_t count)
{
	const uint8_t *b = bytes;
	uint32_t total = 0;

	for (size_t i = 0; i < count; i += 2) total += b[i] << 8 | (i + 1 < count ? b[i + 1] : 0);
	while (total >> 16) total = (total & 0xffff) + (total >> 16);
	return htons(~total);
}

// The MAC of the pod's gateway: the only neighbour of the device.
static void read_gateway(uint8_t *mac)
{
	FILE *file = fopen("/proc/net/arp", "r");
	char line[256], device[32], text[32];

	if (!file || !fgets(line, sizeof(line), file)) fail("read /proc/net/arp");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%*s %*s %*s %31s %*s %31s", text, device) == 2 && !strcmp(device, DEVICE) &&
		    sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) == 6) {
			fclose(file);
			return;
		}
	errno = ENOENT;
	fail("find the gateway's MAC");
}

static int forge(const char *source, const char *mac_text, const char *vlan, const char *target, const char *text)
{
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP)), any = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(DEVICE)};
	struct ifreq request = {.ifr_name = DEVICE};
	struct sockaddr_in to = parse(target);
	uint8_t gateway[6], mac[6];
	struct frame frame = {.length = 0};
	struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .daddr = to.sin_addr.s_addr};
	struct udphdr udp = {.source = htons(5000), .dest = to.sin_port, .len = htons(sizeof(udp) + strlen(text))};
	uint16_t type = htons(ETH_P_IP);

	if (fd < 0) fail("open a packet socket");
	if (ioctl(any, SIOCGIFHWADDR, &request)) fail("read the MAC");
	memcpy(mac, request.ifr_hwaddr.sa_data, sizeof(mac));
	if (strcmp(mac_text, "own") &&
	    sscanf(mac_text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) != 6)
		return 2;
	if (ioctl(any, SIOCGIFADDR, &request)) fail("read the address");
	ip.saddr = strcmp(source, "own") ? parse_address(source).s_addr
					 : ((struct sockaddr_in *)&request.ifr_addr)->sin_addr.s_addr;
	read_gateway(gateway);
	ip.tot_len = htons(sizeof(ip) + sizeof(udp) + strlen(text));
	ip.check = sum(&ip, sizeof(ip));
	put(&frame, gateway, sizeof(gateway));
	put(&frame, mac, sizeof(mac));
	for (const char *id = strcmp(vlan, "none") ? vlan : NULL; id; id = strchr(id, ',') ? strchr(id, ',') + 1 : NULL) {
		uint16_t tag[2] = {htons(ETH_P_8021Q), htons(atoi(id))};

		put(&frame, tag, sizeof(tag));
	}
	put(&frame, &type, sizeof(type));
	put(&frame, &ip, sizeof(ip));
	put(&frame, &udp, sizeof(udp)); // without a checksum
	put(&frame, text, strlen(text));
	if (sendto(fd, frame.bytes, frame.length, 0, (struct sockaddr *)&link, sizeof(link)) < 0) fail("send a frame");
	printf("sent\n");
	return 0;
}

static void leave(int signal)
{
	(void)signal;
	_exit(0);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGTERM, leave);
	if (!strcmp(what, "serve") && argc == 3) return serve(atoi(argv[2]));
	if (!strcmp(what, "listen") && argc == 3) return listen_datagrams(atoi(argv[2]));
	if (!strcmp(what, "hold") && argc >= 4) return hold(atoi(argv[2]), argv + 3, argc - 3);
	if (!strcmp(what, "client") && argc == 3) return client(argv[2]);
	if (!strcmp(what, "connect") && argc == 3) return try_connect(argv[2]);
	if (!strcmp(what, "stream") && argc == 4) return stream(argv[2], strtoul(argv[3], NULL, 10));
	if (!strcmp(what, "datagram") && argc == 4) return datagram(argv[2], atoi(argv[3]), 0);
	if (!strcmp(what, "probe") && argc == 4) return datagram(argv[2], atoi(argv[3]), 1);
	if (!strcmp(what, "trace") && argc == 4) return trace(argv[2], atoi(argv[3]));
	if (!strcmp(what, "forge") && argc == 7) return forge(argv[2], argv[3], argv[4], argv[5], argv[6]);
	fputs("paths serve | listen | hold | client | connect | stream | datagram | probe | trace | forge (see paths.c)\n", stderr);
	return 2;
}
