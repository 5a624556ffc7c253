/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RESPONDERS 256
#define WAITING_MAX (64u << 20) /* if the reader is away for hours, exit instead of growing without bound */

static char *data;
static size_t used, size;
static int in_line; /* samples in the open line */
static struct {
	char *name;
	int64_t ready_us;
} responders[RESPONDERS];
static int known;

static void append(const char *text, size_t n)
{
	if (used + n > size) {
		size = (used + n) * 2;
		data = size > WAITING_MAX ? NULL : realloc(data, size);
		if (!data)
			die("keep more output than this in memory");
	}
	memcpy(data + used, text, n);
	used += n;
}

static void close_line(void)
{
	if (in_line)
		append("]}\n", 3);
	in_line = 0;
}

void out_line(const char *format, ...)
{
	char line[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	close_line();
	append(line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

void out_sample(uint64_t number, char result, int64_t latency_us, int responder, int64_t connect_us)
{
	char text[112];
	int n = snprintf(text, sizeof(text), "%s[%llu,\"%c\",%lld,%d,%lld]", in_line ? "," : "{\"s\":[",
			 (unsigned long long)number, result, (long long)latency_us, responder, (long long)connect_us);

	append(text, (size_t)n);
	if (++in_line == 200)
		close_line();
}

int out_responder(const char *name, int64_t ready_us)
{
	char clean[320];
	size_t n = 0;

	while (name[n] > ' ' && name[n] != '"' && name[n] != '\\' && n + 1 < sizeof(clean)) {
		clean[n] = name[n];
		n++;
	}
	clean[n] = 0;
	for (int i = 0; i < known; i++)
		if (responders[i].ready_us == ready_us && strcmp(responders[i].name, clean) == 0)
			return i;
	if (known == RESPONDERS || !(responders[known].name = strdup(clean)))
		return -1;
	responders[known].ready_us = ready_us;
	out_line("{\"responder\":%d,\"name\":\"%s\",\"ready\":%lld}\n", known, clean, (long long)ready_us);
	return known++;
}

void out_open(void)
{
	fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
}

static void drain(void)
{
	size_t done = 0;

	while (done < used) {
		ssize_t n = write(STDOUT_FILENO, data + done, used - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			die("write to stdout");
		if (n < 0)
			break;
		done += (size_t)n;
	}
	memmove(data, data + done, used - done);
	used -= done;
}

void out_flush(void)
{
	close_line();
	drain();
}

void out_close(void)
{
	fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) & ~O_NONBLOCK);
	out_flush();
}
