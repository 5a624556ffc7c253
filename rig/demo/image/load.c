/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This file contains the client: an open loop. Request n is due at t0 + n / rate whatever the results of earlier ones
 * are; each is a new connection, none is retried, and its deadline counts from the time at which it was due. A client
 * that was not scheduled in time catches up, and the delay counts as latency.
 *
 * stdout, one JSON object per line, times in microseconds:
 *   {"start":{"mono":…,"wall":…,"rate":100,"deadline":1000000,"target":"10.0.0.1:80"}}   mono = when request 0 is due
 *   {"responder":0,"name":"east/web-x","ready":…}                     the first time a responder answers; ready = since
 *                                                                     when its probe has been answered, or 0
 *   {"s":[[n,"o",latency,0,connect],[n,"t",latency,-1,-1], …]}        requests that completed, in that order; connect =
 *                                                                     from due until it was established, or -1
 *   {"stall":[from,to]}                                               this program was not running, on the clock of "mono"
 *   {"end":{"sent":…}}
 * Results: o answered, r refused, x reset or closed early, t deadline passed, s deadline passed while this program
 * itself was not running, e anything else.
 *
 * stdout never blocks the loop: output that a full pipe does not accept is buffered in memory.
 */
#define _GNU_SOURCE
#include "common.h"
#include "output.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define FLUSH_US 100000
#define STALL_US 50000

/* Requests in flight, by due time; finished ones are removed at once, so the head has the next deadline. */
struct request {
	struct request *next, *prev;
	uint64_t number;
	int64_t due_us, begun_us;
	int64_t connected_us; /* -1 = not established so far */
	int fd;
	bool sent;
	size_t len;
	char in[1024];
};

static struct {
	int epoll, timer, signals;
	struct sockaddr_storage target;
	socklen_t target_len;
	const char *target_text;
	int64_t t0, deadline_us, flush_at, rate;
	int64_t ran_at, wake_at;      /* when this program last read the clock, and until when it asked to sleep */
	int64_t stall_from, stall_to; /* when it was not running although it should have been; 0 = not since expire() */
	uint64_t next, limit;	      /* limit: requests in all */
	struct request list;
	char get[160];
	size_t get_len;
} ld;

static int64_t due(uint64_t n)
{
	return ld.t0 + (int64_t)(n * 1000000 / (uint64_t)ld.rate);
}

/*
 * Reads the clock. The scheduler can suspend this program anywhere, not only in epoll_wait(), so every reading also
 * notices a stall: more time than STALL_US since the last one that was not asked for.
 */
static int64_t read_clock(void)
{
	int64_t now = now_us(), since = ld.ran_at > ld.wake_at ? ld.ran_at : ld.wake_at;

	if (now - since > STALL_US) {
		if (!ld.stall_from)
			ld.stall_from = since;
		ld.stall_to = now;
		out_line("{\"stall\":[%lld,%lld]}\n", (long long)since, (long long)now);
	}
	ld.ran_at = now;
	return now;
}

static void watch(int fd, uint32_t events, void *tag, int op)
{
	struct epoll_event ev = {.events = events, .data.ptr = tag};

	if (epoll_ctl(ld.epoll, op, fd, &ev) < 0)
		die("watch a descriptor");
}

static void finish(struct request *q, char result, int responder)
{
	int64_t end = read_clock(), deadline = q->due_us + ld.deadline_us;

	if (end > deadline) {
		bool asleep = (ld.stall_to >= deadline && ld.stall_from <= deadline + 1) ||
			      q->begun_us - q->due_us > ld.deadline_us / 2;

		result = asleep ? 's' : 't';
		responder = -1;
	}
	out_sample(q->number, result, end - q->due_us, responder,
		   q->connected_us < 0 ? -1 : q->connected_us - q->due_us);
	if (q->fd >= 0) {
		/* The server closes an answered connection first; any other is reset, so that it is not left in TIME_WAIT. */
		struct linger cut = {.l_onoff = 1, .l_linger = 0};

		if (result != 'o')
			setsockopt(q->fd, SOL_SOCKET, SO_LINGER, &cut, sizeof(cut));
		close(q->fd);
	}
	q->next->prev = q->prev;
	q->prev->next = q->next;
	free(q);
}

static char cause(int error)
{
	if (error == ECONNREFUSED)
		return 'r';
	if (error == ECONNRESET || error == EPIPE)
		return 'x';
	return error == ETIMEDOUT ? 't' : 'e';
}

static void start(uint64_t n)
{
	struct request *q = calloc(1, sizeof(*q));

	if (!q)
		die("allocate a request");
	q->number = n;
	q->due_us = due(n);
	q->begun_us = read_clock();
	q->connected_us = -1;
	q->next = &ld.list;
	q->prev = ld.list.prev;
	q->prev->next = q;
	ld.list.prev = q;
	q->fd = socket(ld.target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (q->fd < 0) {
		finish(q, 'e', -1);
		return;
	}
	if (connect(q->fd, (struct sockaddr *)&ld.target, ld.target_len) < 0 && errno != EINPROGRESS) {
		finish(q, cause(errno), -1);
		return;
	}
	watch(q->fd, EPOLLOUT, q, EPOLL_CTL_ADD);
}

/* Classifies a complete answer: 'o' and its responder, or 'e' when it is not from the demo's server. */
static void judge(struct request *q)
{
	static const char since[] = "\r\nReady-Since: ";
	char *body, *ready;

	q->in[q->len] = 0;
	body = strstr(q->in, "\r\n\r\n");
	ready = strstr(q->in, since);
	if (strncmp(q->in, "HTTP/1.1 200 ", 13) == 0 && body && body[4])
		finish(q, 'o', out_responder(body + 4, ready && ready < body ? atoll(ready + sizeof(since) - 1) : 0));
	else
		finish(q, body ? 'e' : 'x', -1);
}

/* True for a socket that has a peer. That of a connect that failed has none, although SO_ERROR may be 0 at the event that reports it. */
static bool is_connected(int fd)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);

	return !getpeername(fd, (struct sockaddr *)&peer, &length);
}

static void send_request(struct request *q)
{
	int error = 0;
	socklen_t length = sizeof(error);

	getsockopt(q->fd, SOL_SOCKET, SO_ERROR, &error, &length);
	/* Its error is another event. */
	if (!error && !is_connected(q->fd))
		return;
	/* Only an established connection is reset: a connect that a RST answers is refused. */
	if (!error || error == ECONNRESET || error == EPIPE)
		q->connected_us = read_clock();
	if (!error && send(q->fd, ld.get, ld.get_len, MSG_NOSIGNAL) != (ssize_t)ld.get_len)
		error = errno;
	if (error) {
		finish(q, cause(error), -1);
		return;
	}
	q->sent = true;
	watch(q->fd, EPOLLIN, q, EPOLL_CTL_MOD);
}

static void request_event(struct request *q)
{
	ssize_t n;

	if (!q->sent) {
		send_request(q);
		return;
	}
	for (;;) {
		n = recv(q->fd, q->in + q->len, sizeof(q->in) - 1 - q->len, 0);
		if (n <= 0)
			break;
		q->len += (size_t)n;
		if (q->len == sizeof(q->in) - 1)
			break;
	}
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		finish(q, cause(errno), -1);
	else
		judge(q);
}

/* Completes every request whose deadline has passed. A stall up to now then explains none of those that remain. */
static void expire(void)
{
	while (ld.list.next != &ld.list && read_clock() > ld.list.next->due_us + ld.deadline_us)
		finish(ld.list.next, 't', -1);
	ld.stall_from = ld.stall_to = 0;
}

static int64_t next_time(void)
{
	int64_t at = ld.flush_at;

	if (ld.next < ld.limit && due(ld.next) < at)
		at = due(ld.next);
	if (ld.list.next != &ld.list && ld.list.next->due_us + ld.deadline_us + 1 < at)
		at = ld.list.next->due_us + ld.deadline_us + 1;
	return at;
}

static void on_time(void)
{
	int64_t now;

	expire();
	now = read_clock();
	while (ld.next < ld.limit && due(ld.next) <= now)
		start(ld.next++);
	if (now >= ld.flush_at) {
		ld.flush_at = now + FLUSH_US;
		out_flush();
	}
}

static void setup(int argc, char **argv)
{
	static const char *const known[] = {"--target", "--rate", "--duration-ms", "--deadline-ms", NULL};
	uint64_t duration_ms;
	sigset_t set;

	only_flags(argc, argv, known);
	ld.target_text = flag(argc, argv, "--target", "");
	if (!parse_target(ld.target_text, &ld.target, &ld.target_len)) {
		fprintf(stderr, "Not an address: --target \"%s\"\n", ld.target_text);
		exit(2);
	}
	ld.rate = flag_number(argc, argv, "--rate", 100);
	if (ld.rate < 1 || ld.rate > 10000) {
		fprintf(stderr, "Not a rate from 1 to 10000: --rate\n");
		exit(2);
	}
	duration_ms = (uint64_t)flag_number(argc, argv, "--duration-ms", 0);
	ld.deadline_us = flag_number(argc, argv, "--deadline-ms", 1000) * 1000;
	ld.limit = duration_ms ? duration_ms * (uint64_t)ld.rate / 1000 : UINT64_MAX;
	ld.get_len = (size_t)snprintf(ld.get, sizeof(ld.get), "GET / HTTP/1.1\r\nHost: %.64s\r\nConnection: close\r\n\r\n",
				      ld.target_text);
	ld.list.next = ld.list.prev = &ld.list;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ld.epoll = epoll_create1(EPOLL_CLOEXEC);
	ld.signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	ld.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (ld.epoll < 0 || ld.signals < 0 || ld.timer < 0)
		die("set up the event loop");
	watch(ld.signals, EPOLLIN, &ld.signals, EPOLL_CTL_ADD);
	watch(ld.timer, EPOLLIN, &ld.timer, EPOLL_CTL_ADD);
	out_open();
	ld.ran_at = now_us();
	ld.t0 = ld.ran_at + 50000;
	ld.flush_at = ld.t0;
	out_line("{\"start\":{\"mono\":%lld,\"wall\":%lld,\"rate\":%lld,\"deadline\":%lld,\"target\":\"%s\"}}\n",
		 (long long)ld.t0, (long long)(ld.t0 + wall_us() - now_us()), (long long)ld.rate,
		 (long long)ld.deadline_us, ld.target_text);
}

static void on_signal(void)
{
	struct signalfd_siginfo info;

	if (read(ld.signals, &info, sizeof(info)) == sizeof(info) && ld.next < ld.limit)
		ld.limit = ld.next; /* send no new requests; those in flight still complete */
}

int load_main(int argc, char **argv)
{
	setup(argc, argv);
	while (ld.next < ld.limit || ld.list.next != &ld.list) {
		struct epoll_event events[128];
		int n;

		ld.wake_at = next_time();
		arm(ld.timer, ld.wake_at);
		n = epoll_wait(ld.epoll, events, 128, -1);
		read_clock();
		ld.wake_at = 0;
		/* Process answers before deadlines, so that an answer that has arrived is not counted as lost. */
		for (int i = 0; i < n; i++) {
			void *tag = events[i].data.ptr;

			if (tag == &ld.signals)
				on_signal();
			else if (tag != &ld.timer)
				request_event(tag);
		}
		on_time();
	}
	out_line("{\"end\":{\"sent\":%llu}}\n", (unsigned long long)ld.next);
	out_close();
	return 0;
}
