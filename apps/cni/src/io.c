/* SPDX-License-Identifier: Apache-2.0 */
/* This file contains reads and writes with a size and a deadline. */
#include "plugin.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* 0 when `fd` is ready, -1 with ETIMEDOUT or poll's errno. */
static int wait_for(int fd, short events, long long deadline_ms)
{
	struct pollfd entry = { .fd = fd, .events = events };

	for (;;) {
		long long left = deadline_ms - now_ms();
		int ready = poll(&entry, 1, left > 0 ? (int)left : 0);

		if (ready > 0)
			return 0;
		if (ready == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		if (errno != EINTR)
			return -1;
	}
}

int read_all(int fd, struct bytes *out, size_t max, long long deadline_ms)
{
	out->len = 0;
	out->data = malloc(max + 1);
	if (!out->data)
		return -1;
	for (;;) {
		ssize_t got;

		if (wait_for(fd, POLLIN, deadline_ms))
			return -1;
		got = read(fd, out->data + out->len, max + 1 - out->len);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			return 0;
		out->len += got;
		if (out->len > max) {
			errno = EFBIG;
			return -1;
		}
	}
}

int write_all(int fd, const void *data, size_t len, long long deadline_ms)
{
	const char *at = data;

	while (len > 0) {
		ssize_t sent;

		if (wait_for(fd, POLLOUT, deadline_ms))
			return -1;
		sent = send(fd, at, len, MSG_NOSIGNAL);
		if (sent < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (sent < 0)
			return -1;
		at += sent;
		len -= sent;
	}
	return 0;
}
