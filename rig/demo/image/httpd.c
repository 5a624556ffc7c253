/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This file contains the server. It begins to listen some time after its start, and continues to answer for some time
 * after SIGTERM, then exits with status 0: a graceful shutdown, while its removal from the EndpointSlice propagates.
 *
 * Every GET is answered by "<cluster>/<name>\n", and a header "Ready-Since" with the time of the first answer to GET /ready, which
 * a probe asks, or 0. The connection is closed after the answer unless the request asks for keep-alive. One thread, one epoll;
 * a connection idle for 10 s is closed.
 */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define IDLE_US (10 * 1000000LL)
#define REQUEST_MAX 4096

struct conn {
	struct conn *next, *prev;
	int fd;
	bool keep;
	int64_t seen_us;
	size_t in_len, out_len, out_sent;
	char in[REQUEST_MAX + 1];
	char out[512];
};

static struct {
	int epoll, listener, timer, signals;
	int64_t listen_at, exit_at, sweep_at; /* 0: never */
	int64_t ready_at;		      /* 0: not yet */
	uint16_t port;
	int64_t linger_us;
	char body[320];
	struct conn list; /* ring, not sorted by activity: it is short */
} srv;

static void watch(int fd, uint32_t events, void *tag, int op)
{
	struct epoll_event ev = {.events = events, .data.ptr = tag};

	if (epoll_ctl(srv.epoll, op, fd, &ev) < 0)
		die("watch a descriptor");
}

static void conn_close(struct conn *c)
{
	c->next->prev = c->prev;
	c->prev->next = c->next;
	close(c->fd);
	free(c);
}

static bool wants_keep_alive(const char *head)
{
	const char *line = strcasestr(head, "\r\nconnection:");
	const char *end = line ? strstr(line + 2, "\r\n") : NULL;
	const char *word = line ? strcasestr(line, "keep-alive") : NULL;

	return word && end && word < end;
}

static void answer(struct conn *c, const char *status, const char *body)
{
	c->out_sent = 0;
	c->out_len = (size_t)snprintf(c->out, sizeof(c->out),
				      "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
				      "Ready-Since: %lld\r\nConnection: %s\r\n\r\n%s",
				      status, strlen(body), (long long)srv.ready_at, c->keep ? "keep-alive" : "close", body);
}

/* Removes one whole request from the input. False: the request is not complete yet. */
static bool take_request(struct conn *c)
{
	char *end;
	size_t used;

	c->in[c->in_len] = 0;
	end = strstr(c->in, "\r\n\r\n");
	if (!end && c->in_len < REQUEST_MAX)
		return false;
	c->keep = end && wants_keep_alive(c->in);
	if (end && !srv.ready_at && strncmp(c->in, "GET /ready ", 11) == 0)
		srv.ready_at = now_us();
	if (!end)
		answer(c, "431 Request Header Fields Too Large", "too large\n");
	else if (strncmp(c->in, "GET ", 4) == 0)
		answer(c, "200 OK", srv.body);
	else
		answer(c, "405 Method Not Allowed", "only GET\n");
	used = end ? (size_t)(end + 4 - c->in) : c->in_len;
	memmove(c->in, c->in + used, c->in_len - used);
	c->in_len -= used;
	return true;
}

/* Advances a connection until it would block. False: the connection has ended. */
static bool conn_step(struct conn *c)
{
	for (;;) {
		ssize_t n;

		if (c->out_sent < c->out_len) {
			n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL);
			if (n < 0)
				return errno == EAGAIN;
			c->out_sent += (size_t)n;
			if (c->out_sent == c->out_len && !c->keep)
				return false;
			continue;
		}
		if (take_request(c))
			continue;
		n = recv(c->fd, c->in + c->in_len, REQUEST_MAX - c->in_len, 0);
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		c->in_len += (size_t)n;
	}
}

static void conn_event(struct conn *c)
{
	c->seen_us = now_us();
	if (!conn_step(c)) {
		conn_close(c);
		return;
	}
	watch(c->fd, c->out_sent < c->out_len ? EPOLLOUT : EPOLLIN, c, EPOLL_CTL_MOD);
}

static void accept_all(void)
{
	int fd;

	while ((fd = accept4(srv.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = calloc(1, sizeof(*c));

		if (!c) {
			close(fd);
			return;
		}
		c->fd = fd;
		c->next = &srv.list;
		c->prev = srv.list.prev;
		c->prev->next = c;
		srv.list.prev = c;
		watch(fd, EPOLLIN, c, EPOLL_CTL_ADD);
		conn_event(c);
	}
}

static void start_listening(void)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(srv.port)};
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(srv.port)};
	int on = 1, off = 0, type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	bool v6 = true;

	srv.listener = socket(AF_INET6, type, 0);
	if (srv.listener < 0) {
		v6 = false;
		srv.listener = socket(AF_INET, type, 0);
	}
	setsockopt(srv.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (v6)
		setsockopt(srv.listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(srv.listener, v6 ? (void *)&any : (void *)&any4, v6 ? sizeof(any) : sizeof(any4)) < 0 ||
	    listen(srv.listener, 1024) < 0)
		die("listen");
	watch(srv.listener, EPOLLIN, &srv.listener, EPOLL_CTL_ADD);
	fprintf(stderr, "listening on port %u\n", srv.port);
}

static void on_signal(void)
{
	struct signalfd_siginfo info;

	if (read(srv.signals, &info, sizeof(info)) != sizeof(info) || srv.exit_at)
		return;
	srv.exit_at = now_us() + (srv.listen_at ? 0 : srv.linger_us);
	fprintf(stderr, "signal %u: answering for %lld ms more\n", info.ssi_signo, (long long)srv.linger_us / 1000);
}

static void on_time(int64_t now)
{
	if (srv.exit_at && now >= srv.exit_at)
		exit(0);
	if (srv.listen_at && now >= srv.listen_at) {
		srv.listen_at = 0;
		start_listening();
	}
	if (now >= srv.sweep_at) {
		srv.sweep_at = now + 1000000;
		for (struct conn *c = srv.list.next, *n; c != &srv.list; c = n) {
			n = c->next;
			if (now - c->seen_us > IDLE_US)
				conn_close(c);
		}
	}
}

static int64_t next_time(void)
{
	int64_t at = srv.sweep_at;

	if (srv.exit_at && srv.exit_at < at)
		at = srv.exit_at;
	if (srv.listen_at && srv.listen_at < at)
		at = srv.listen_at;
	return at;
}

static void setup(int argc, char **argv)
{
	static const char *const known[] = {"--port", "--listen-after-ms", "--linger-ms", "--name", "--cluster", NULL};
	char host[256] = "unknown";
	const char *cluster = getenv("CLUSTER"), *name = getenv("HOSTNAME");
	sigset_t set;

	only_flags(argc, argv, known);
	gethostname(host, sizeof(host) - 1);
	snprintf(srv.body, sizeof(srv.body), "%.40s/%.253s\n",
		 flag(argc, argv, "--cluster", cluster ? cluster : "none"),
		 flag(argc, argv, "--name", name ? name : host));
	srv.port = (uint16_t)flag_number(argc, argv, "--port", 8080);
	srv.linger_us = flag_number(argc, argv, "--linger-ms", 0) * 1000;
	srv.listen_at = now_us() + flag_number(argc, argv, "--listen-after-ms", 0) * 1000;
	srv.list.next = srv.list.prev = &srv.list;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	srv.epoll = epoll_create1(EPOLL_CLOEXEC);
	srv.signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	srv.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (srv.epoll < 0 || srv.signals < 0 || srv.timer < 0)
		die("set up the event loop");
	watch(srv.signals, EPOLLIN, &srv.signals, EPOLL_CTL_ADD);
	watch(srv.timer, EPOLLIN, &srv.timer, EPOLL_CTL_ADD);
}

int httpd_main(int argc, char **argv)
{
	setup(argc, argv);
	for (;;) {
		struct epoll_event events[64];
		int n;

		on_time(now_us());
		arm(srv.timer, next_time());
		n = epoll_wait(srv.epoll, events, 64, -1);
		/* There is one event per descriptor and round, so no later event of this round refers to a connection freed here. */
		for (int i = 0; i < n; i++) {
			void *tag = events[i].data.ptr;

			if (tag == &srv.signals)
				on_signal();
			else if (tag == &srv.listener)
				accept_all();
			else if (tag != &srv.timer)
				conn_event(tag);
		}
	}
}
