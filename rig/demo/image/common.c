/* SPDX-License-Identifier: Apache-2.0 */
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>

static int64_t read_clock(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t now_us(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t wall_us(void)
{
	return read_clock(CLOCK_REALTIME);
}

void arm(int timer, int64_t at_us)
{
	struct itimerspec when = {0};

	if (at_us < 1)
		at_us = 1;
	when.it_value.tv_sec = at_us / 1000000;
	when.it_value.tv_nsec = at_us % 1000000 * 1000;
	if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL) < 0)
		die("set a timer");
}

void die(const char *what)
{
	fprintf(stderr, "Cannot %s: %s\n", what, strerror(errno));
	exit(1);
}

static _Noreturn void usage(const char *problem, const char *word)
{
	fprintf(stderr, "%s \"%s\"\n", problem, word);
	exit(2);
}

const char *flag(int argc, char **argv, const char *name, const char *otherwise)
{
	for (int i = 0; i + 1 < argc; i += 2)
		if (strcmp(argv[i], name) == 0)
			return argv[i + 1];
	return otherwise;
}

int64_t flag_number(int argc, char **argv, const char *name, int64_t otherwise)
{
	const char *text = flag(argc, argv, name, NULL);
	char *end;
	int64_t value;

	if (!text)
		return otherwise;
	value = strtoll(text, &end, 10);
	if (*text == 0 || *end != 0 || value < 0)
		usage("Not a number:", text);
	return value;
}

void only_flags(int argc, char **argv, const char *const *known)
{
	for (int i = 0; i < argc; i += 2) {
		const char *const *k = known;

		while (*k && strcmp(*k, argv[i]) != 0)
			k++;
		if (!*k)
			usage("Unknown flag", argv[i]);
		if (i + 1 == argc)
			usage("No value after", argv[i]);
	}
}

bool parse_target(const char *text, struct sockaddr_storage *out, socklen_t *length)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	const char *colon = strrchr(text, ':');
	bool bracket = text[0] == '[';
	char host[64];
	size_t n;
	int port;

	if (!colon || colon == text || (bracket && colon[-1] != ']'))
		return false;
	n = (size_t)(colon - text) - (bracket ? 2 : 0);
	port = atoi(colon + 1);
	if (n >= sizeof(host) || port < 1 || port > 65535)
		return false;
	memcpy(host, text + (bracket ? 1 : 0), n);
	host[n] = 0;
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		*length = sizeof(*v4);
		return true;
	}
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
		return false;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)port);
	*length = sizeof(*v6);
	return true;
}
