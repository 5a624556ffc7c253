// SPDX-License-Identifier: Apache-2.0
// One static program for the pods of the leak test: servers that say who they are, and a client that tries all the time. IPv4.
//
//   flows serve PORT...   TCP: a connection begins with the line "<host name>", then echoes; UDP: "<host name> <datagram>"
//   flows probe RATE      RATE new TCP connections a second and a tenth as many new UDP sockets, round-robin over the targets of the
//                         latest lines of stdin, each of which replaces those of its word; ends at the end of stdin:
//                           connect IP:PORT...   new TCP connections
//                           ask IP:PORT...       one datagram from a new UDP socket, and its answer
//                           hold IP:PORT...      one TCP connection each, on which one byte is echoed every 100 ms; one that is named
//                                                twice has two
//                           flow IP:PORT...      one UDP socket each, with a datagram and its answer every 100 ms
//   flows first RATE SECONDS IP:PORT...   the same with these targets of new TCP connections, for so long; then does nothing
//
// Output, times in microseconds of CLOCK_MONOTONIC, which all pods of a machine share:
//   KIND BEGAN ENDED SOURCE-PORT IP:PORT OUTCOME [HOST NAME]   what was tried; a connection to hold is opened as a "connect"; the name of
//                                                              one that is held is the one that it began with, also when it fails
//   late FROM TO                                               this program was not running
// OUTCOME: open, refused, unreachable, reset, timeout, other. A connect that is reset was established before.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECT_US 900000 // less than the first repeat of a SYN
#define ASK_US 900000
#define HOLD_US 2000000
#define PAUSE_US 100000
#define LATE_US 50000
#define TICK_MS 5
#define EVENTS 64

static int epoll;
static char host[64];

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

static void fail(const char *what)
{
	fprintf(stderr, "Cannot %s: %s\n", what, strerror(errno));
	exit(1);
}

static void watch(int fd, uint32_t events, epoll_data_t data)
{
	struct epoll_event event = {.events = events, .data = data};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) fail("watch a socket");
}

// ---- server

struct served {
	int fd;
	enum { LISTENS, DATAGRAMS, STREAM } kind;
};

static void serve_socket(int fd, int kind)
{
	struct served *it = malloc(sizeof(*it));

	if (!it) fail("serve");
	*it = (struct served){fd, kind};
	watch(fd, EPOLLIN, (epoll_data_t){.ptr = it});
}

static void serve_port(int type, int port)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any))) fail("bind");
	if (type == SOCK_STREAM && listen(fd, 1024)) fail("listen");
	serve_socket(fd, type == SOCK_STREAM ? LISTENS : DATAGRAMS);
}

static void serve_one(struct served *it)
{
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	char in[256], out[512];
	ssize_t n;
	int fd;

	switch (it->kind) {
	case LISTENS:
		fd = accept4(it->fd, NULL, NULL, SOCK_NONBLOCK);
		if (fd < 0) return;
		n = snprintf(out, sizeof(out), "%s\n", host);
		if (send(fd, out, n, MSG_NOSIGNAL) == n)
			serve_socket(fd, STREAM);
		else
			close(fd);
		return;
	case DATAGRAMS:
		n = recvfrom(it->fd, in, sizeof(in) - 1, 0, (struct sockaddr *)&from, &length);
		if (n < 0) return;
		in[n] = 0;
		n = snprintf(out, sizeof(out), "%s %s", host, in);
		sendto(it->fd, out, n, 0, (struct sockaddr *)&from, length);
		return;
	case STREAM:
		n = recv(it->fd, in, sizeof(in), 0);
		if (n < 0 && errno == EAGAIN) return;
		if (n > 0 && send(it->fd, in, n, MSG_NOSIGNAL) == n) return;
		close(it->fd);
		free(it);
	}
}

static void serve(int count, char **ports)
{
	struct epoll_event events[EVENTS];

	for (int i = 0; i < count; i++) {
		serve_port(SOCK_STREAM, atoi(ports[i]));
		serve_port(SOCK_DGRAM, atoi(ports[i]));
	}
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		// A socket has one event in a batch, so none is used after it was freed.
		for (int i = 0; i < n; i++) serve_one(events[i].data.ptr);
	}
}

// ---- client

enum kind { CONNECT, ASK, HOLD, FLOW, KINDS };
static const char *const names[KINDS] = {"connect", "ask", "hold", "flow"};

#define TARGETS 64
#define TRIES 2048
#define STDIN UINT64_MAX

static struct targets {
	struct sockaddr_in all[TARGETS];
	int count, next;
} targets[KINDS];

struct try {
	enum { FREE, CONNECTING, GREETING, PAUSED, WAITING, REOPENS } state;
	enum kind kind;
	int fd;
	struct sockaddr_in to;
	uint16_t port;		   // of its socket
	uint32_t opened;	   // number of its socket among all, so that no event counts for a later one
	int64_t began, ended, due; // due: when it is given up, or when what is paused goes on
	uint32_t number;	   // of the exchange
	size_t have;
	char in[128];
	char responder[128]; // that a connection to hold began with
};
static struct try tries[TRIES];

static const char *outcome(int error)
{
	switch (error) {
	case 0: return "open";
	case ECONNREFUSED: return "refused";
	case EHOSTUNREACH: case ENETUNREACH: return "unreachable";
	case ECONNRESET: case EPIPE: return "reset";
	case ETIMEDOUT: return "timeout";
	default: return "other";
	}
}

static void report(enum kind kind, const struct try *it, int64_t ended, int error, const char *responder)
{
	printf("%s %lld %lld %d %s:%d %s%s%s\n", names[kind], (long long)it->began, (long long)ended, it->port,
	       inet_ntoa(it->to.sin_addr), ntohs(it->to.sin_port), outcome(error), *responder ? " " : "", responder);
}

static epoll_data_t event_of(const struct try *it)
{
	return (epoll_data_t){.u64 = (uint64_t)it->opened << 32 | (it - tries)};
}

static bool is_same(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
	return a->sin_addr.s_addr == b->sin_addr.s_addr && a->sin_port == b->sin_port;
}

static bool is_stream(enum kind kind)
{
	return kind == CONNECT || kind == HOLD;
}

static bool is_kept(enum kind kind)
{
	return kind == HOLD || kind == FLOW;
}

static void end(struct try *it)
{
	if (it->fd >= 0) close(it->fd);
	it->fd = -1;
	it->state = FREE;
}

// What is kept is opened again, after a pause.
static void lose(struct try *it, int64_t now)
{
	end(it);
	if (!is_kept(it->kind)) return;
	it->state = REOPENS;
	it->due = now + PAUSE_US;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in own = {};
	socklen_t length = sizeof(own);

	getsockname(fd, (struct sockaddr *)&own, &length);
	return ntohs(own.sin_port);
}

static void begin(struct try *it)
{
	static uint32_t opened;
	int on = 1, error;

	it->opened = ++opened;
	it->fd = socket(AF_INET, (is_stream(it->kind) ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0);
	if (it->fd < 0) fail("open a socket");
	if (is_stream(it->kind)) setsockopt(it->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	it->have = 0;
	it->responder[0] = 0;
	it->began = now_us();
	error = connect(it->fd, (struct sockaddr *)&it->to, sizeof(it->to)) ? errno : 0;
	it->port = port_of(it->fd);
	if (error && error != EINPROGRESS) {
		report(is_stream(it->kind) ? CONNECT : it->kind, it, now_us(), error, "");
		return lose(it, it->began);
	}
	it->state = is_stream(it->kind) ? CONNECTING : PAUSED;
	it->due = is_stream(it->kind) ? it->began + CONNECT_US : it->began;
	watch(it->fd, EPOLLIN | (is_stream(it->kind) ? EPOLLOUT : 0), event_of(it));
}

static struct try *free_try(void)
{
	static int next;

	for (int i = 0; i < TRIES; i++) {
		struct try *it = &tries[next++ % TRIES];

		if (it->state == FREE) return it;
	}
	return NULL;
}

static void start(enum kind kind, const struct sockaddr_in *to)
{
	struct try *it = free_try();

	if (!it) return;
	it->kind = kind;
	it->to = *to;
	begin(it);
}

static void start_next(enum kind kind)
{
	struct targets *of = &targets[kind];

	if (of->count > 0) start(kind, &of->all[of->next++ % of->count]);
}

// Sends what the exchange begins with.
static void exchange(struct try *it, int64_t now)
{
	char text[16];
	int length = it->kind == HOLD ? 1 : snprintf(text, sizeof(text), "%u", ++it->number);

	if (it->kind == HOLD) text[0] = 'a' + ++it->number % 26;
	it->began = now;
	if (send(it->fd, text, length, MSG_NOSIGNAL) != length) {
		report(it->kind, it, now_us(), errno, it->responder);
		// An error of an earlier datagram ends no UDP socket.
		if (it->kind == HOLD) return lose(it, now);
		if (it->kind == ASK) return end(it);
		it->due = now + PAUSE_US;
		return;
	}
	it->state = WAITING;
	it->due = now + (it->kind == HOLD ? HOLD_US : ASK_US);
}

static void pause_until_next(struct try *it, int64_t now)
{
	if (it->kind == ASK) return end(it);
	it->state = PAUSED;
	it->due = now + PAUSE_US;
}

static void hear_greeting(struct try *it, int64_t now)
{
	ssize_t n = recv(it->fd, it->in + it->have, sizeof(it->in) - 1 - it->have, 0);
	char *line_end;

	if (n < 0 && errno == EAGAIN) return;
	if (n > 0) it->have += n;
	it->in[it->have] = 0;
	line_end = strchr(it->in, '\n');
	if (!line_end && n > 0 && it->have < sizeof(it->in) - 1) return;
	if (line_end) *line_end = 0;
	// It was established, whatever became of the greeting.
	report(CONNECT, it, it->ended, 0, line_end ? it->in : "");
	if (!line_end) return lose(it, now);
	if (it->kind == CONNECT) return end(it);
	memcpy(it->responder, it->in, sizeof(it->responder));
	pause_until_next(it, now);
}

static void hear_answer(struct try *it, int64_t now)
{
	ssize_t n = recv(it->fd, it->in, sizeof(it->in) - 1, 0);
	char *number;

	if (n < 0 && errno == EAGAIN) return;
	if (it->kind == HOLD) {
		if (n <= 0) {
			it->began = it->state == WAITING ? it->began : now;
			report(HOLD, it, now, n < 0 ? errno : ECONNRESET, it->responder);
			return lose(it, now);
		}
		if (it->state != WAITING) return;
		report(HOLD, it, now, 0, it->responder);
		return pause_until_next(it, now);
	}
	if (n < 0) {
		if (it->state != WAITING) return;
		report(it->kind, it, now, errno, "");
		return pause_until_next(it, now);
	}
	it->in[n] = 0;
	number = strchr(it->in, ' ');
	// An answer to an earlier one.
	if (!number || it->state != WAITING || (uint32_t)strtoul(number, NULL, 10) != it->number) return;
	*number = 0;
	report(it->kind, it, now, 0, it->in);
	pause_until_next(it, now);
}

// True for a socket that has a peer. That of a connect that failed has none, although SO_ERROR may be 0 at the event that reports it.
static bool is_connected(int fd)
{
	struct sockaddr_in peer;
	socklen_t length = sizeof(peer);

	return !getpeername(fd, (struct sockaddr *)&peer, &length);
}

static void on_event(struct try *it, int64_t now)
{
	struct epoll_event event = {.events = EPOLLIN, .data = event_of(it)};
	socklen_t length = sizeof(int);
	int error = 0;

	switch (it->state) {
	case CONNECTING:
		getsockopt(it->fd, SOL_SOCKET, SO_ERROR, &error, &length);
		if (error) {
			report(CONNECT, it, now, error, "");
			return lose(it, now);
		}
		// Its error is another event.
		if (!is_connected(it->fd)) return;
		it->ended = now;
		it->state = GREETING;
		if (epoll_ctl(epoll, EPOLL_CTL_MOD, it->fd, &event)) fail("watch a socket");
		return;
	case GREETING: return hear_greeting(it, now);
	case PAUSED: case WAITING: return hear_answer(it, now);
	default: return;
	}
}

static void on_due(struct try *it, int64_t now)
{
	switch (it->state) {
	case CONNECTING:
		report(CONNECT, it, now, ETIMEDOUT, "");
		return lose(it, now);
	case GREETING:
		report(CONNECT, it, it->ended, 0, "");
		return lose(it, now);
	case PAUSED: return exchange(it, now);
	case WAITING:
		report(it->kind, it, now, ETIMEDOUT, it->responder);
		if (it->kind == HOLD) return lose(it, now);
		return pause_until_next(it, now);
	case REOPENS: return begin(it);
	default: return;
	}
}

static int count_targets(const struct targets *of, const struct sockaddr_in *to)
{
	int count = 0;

	for (int t = 0; t < of->count; t++) count += is_same(&of->all[t], to);
	return count;
}

static int count_tries(enum kind kind, const struct sockaddr_in *to)
{
	int count = 0;

	for (int i = 0; i < TRIES; i++)
		count += tries[i].state != FREE && tries[i].kind == kind && is_same(&tries[i].to, to);
	return count;
}

// As many to each target as the line names it.
static void keep_only(enum kind kind)
{
	struct targets *of = &targets[kind];

	for (int i = 0; i < TRIES; i++) {
		struct try *it = &tries[i];

		if (it->state == FREE || it->kind != kind) continue;
		if (count_tries(kind, &it->to) > count_targets(of, &it->to)) end(it);
	}
	for (int t = 0; t < of->count; t++)
		if (count_tries(kind, &of->all[t]) < count_targets(of, &of->all[t])) start(kind, &of->all[t]);
}

static void add_target(enum kind kind, const char *text)
{
	struct sockaddr_in *to = &targets[kind].all[targets[kind].count];
	char ip[64];
	int port;

	if (targets[kind].count == TARGETS) return;
	*to = (struct sockaddr_in){.sin_family = AF_INET};
	if (sscanf(text, "%63[0-9.]:%d", ip, &port) != 2 || inet_pton(AF_INET, ip, &to->sin_addr) != 1) {
		fprintf(stderr, "Not IP:PORT: %s\n", text);
		exit(2);
	}
	to->sin_port = htons(port);
	targets[kind].count++;
}

static void on_line(char *line)
{
	char *rest, *word = strtok_r(line, " ", &rest);
	enum kind kind = 0;

	while (kind < KINDS && (!word || strcmp(word, names[kind]))) kind++;
	if (kind == KINDS) {
		fprintf(stderr, "Unknown word: %s\n", word ? word : "");
		exit(2);
	}
	targets[kind].count = 0;
	while ((word = strtok_r(NULL, " ", &rest))) add_target(kind, word);
	if (is_kept(kind)) keep_only(kind);
}

// False at the end of stdin.
static bool read_lines(void)
{
	static char text[1 << 14];
	static size_t have;
	ssize_t n = read(0, text + have, sizeof(text) - 1 - have);
	char *line_end;

	if (n < 0 && errno == EAGAIN) return true;
	if (n <= 0) return false;
	have += n;
	text[have] = 0;
	while ((line_end = strchr(text, '\n'))) {
		*line_end = 0;
		have -= line_end + 1 - text;
		on_line(text);
		memmove(text, line_end + 1, have + 1);
	}
	return true;
}

// Until the end of stdin, or for so long.
static int probe(int rate, int seconds)
{
	int64_t began = now_us(), ran = began;
	struct epoll_event events[EVENTS];
	uint64_t connects = 0, asks = 0;

	if (rate < 1 || rate > 1000) return 2;
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	if (!seconds) {
		fcntl(0, F_SETFL, O_NONBLOCK);
		watch(0, EPOLLIN, (epoll_data_t){.u64 = STDIN});
	}
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, TICK_MS);
		int64_t now = now_us();

		if (seconds && now - began > seconds * 1000000ll) return 0;
		if (now - ran > LATE_US) {
			printf("late %lld %lld\n", (long long)ran, (long long)now);
			// What was due meanwhile is not caught up.
			connects = (now - began) * rate / 1000000;
			asks = connects / 10;
		}
		ran = now;
		for (int i = 0; i < n; i++) {
			struct try *it = &tries[events[i].data.u64 % TRIES];

			if (events[i].data.u64 == STDIN) {
				if (!read_lines()) return 0;
			} else if (it->opened == events[i].data.u64 >> 32) {
				on_event(it, now_us());
			}
		}
		for (int i = 0; i < TRIES; i++)
			if (tries[i].state != FREE && now >= tries[i].due) on_due(&tries[i], now_us());
		for (; connects < (uint64_t)(now - began) * rate / 1000000; connects++) start_next(CONNECT);
		for (; asks < connects / 10; asks++) start_next(ASK);
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	gethostname(host, sizeof(host) - 1);
	epoll = epoll_create1(0);
	if (epoll < 0) fail("watch");
	if (argc >= 3 && !strcmp(argv[1], "serve")) serve(argc - 2, argv + 2);
	if (argc == 3 && !strcmp(argv[1], "probe")) return probe(atoi(argv[2]), 0);
	if (argc >= 4 && !strcmp(argv[1], "first") && atoi(argv[3]) > 0) {
		for (int i = 4; i < argc; i++) add_target(CONNECT, argv[i]);
		probe(atoi(argv[2]), atoi(argv[3]));
		for (;;) pause();
	}
	fprintf(stderr, "usage: flows serve PORT... | probe RATE | first RATE SECONDS IP:PORT...\n");
	return 2;
}
