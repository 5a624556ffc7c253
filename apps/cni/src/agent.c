/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This file contains the protocol with the agent over its unix socket.
 *
 *   -> "isthmus-cni 1\n"  NAME=value\0 ... for each CNI_* variable, \0, the configuration as it came; then end of stream
 *   <- "ok <length>\n" or "error <length>\n", and that many bytes of JSON
 *
 * An incomplete answer counts as none. Every call may be repeated: if the agent is absent, or dies during a call, the
 * plugin repeats the call for RESTART_MS. Then it fails with code 11, and the runtime tries again.
 */
#include "plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *const VARIABLES[] = { "CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS" };
#define VARIABLE_COUNT (sizeof(VARIABLES) / sizeof(VARIABLES[0]))

static const char NO_AGENT[] = "Cannot reach the agent of this node: it is starting or being replaced";
static const char NO_ANSWER[] = "Cannot get an answer from the agent of this node in time";

static int dial(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(to.sun_path))
		return -1;
	strcpy(to.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		close(fd);
		return -1;
	}
	return fd;
}

static int send_request(int fd, struct bytes config, long long deadline)
{
	static char head[sizeof("isthmus-cni 1\n") + VARIABLE_COUNT * (ENV_MAX + 32) + 1];
	size_t len = sprintf(head, "isthmus-cni 1\n");

	for (size_t i = 0; i < VARIABLE_COUNT; i++) {
		const char *value = getenv(VARIABLES[i]);

		if (value)
			len += sprintf(head + len, "%s=%s", VARIABLES[i], value) + 1;
	}
	head[len++] = 0;
	return write_all(fd, head, len, deadline) || write_all(fd, config.data, config.len, deadline) ||
	       shutdown(fd, SHUT_WR);
}

/* Prints the answer. Returns the exit code, or -1 when the answer is incomplete. */
static int print_answer(struct bytes answer)
{
	char word[8];
	size_t length, body;
	int head = 0;

	answer.data[answer.len] = 0;
	if (sscanf(answer.data, "%7s %zu\n%n", word, &length, &head) != 2 || head == 0)
		return -1;
	body = strcspn(answer.data, "\n") + 1;
	if (body > answer.len || answer.len - body != length)
		return -1;
	if (strcmp(word, "ok") && strcmp(word, "error"))
		return -1;
	if (fwrite(answer.data + body, 1, length, stdout) != length || fflush(stdout))
		return 1;
	return strcmp(word, "ok") ? 1 : 0;
}

enum outcome { ANSWERED, NOT_THERE, NO_WHOLE_ANSWER };

static enum outcome ask_once(const char *path, struct bytes config, long long deadline, int *code)
{
	struct bytes answer = { 0 };
	enum outcome outcome = NO_WHOLE_ANSWER;
	int fd = dial(path);

	if (fd < 0)
		return NOT_THERE;
	if (!send_request(fd, config, deadline) && !read_all(fd, &answer, ANSWER_MAX, deadline)) {
		*code = print_answer(answer);
		outcome = *code < 0 ? NO_WHOLE_ANSWER : ANSWERED;
	}
	free(answer.data);
	close(fd);
	return outcome;
}

int ask_agent(const char *socket_path, struct bytes config)
{
	long long start = now_ms(), missed_since = 0;
	enum outcome outcome;
	int code;

	for (size_t i = 0; i < VARIABLE_COUNT; i++) {
		const char *value = getenv(VARIABLES[i]);

		if (value && strlen(value) > ENV_MAX)
			return fail(CNI_ENVIRONMENT, "Cannot use a CNI variable of more than 4096 bytes");
	}
	for (;;) {
		outcome = ask_once(socket_path, config, start + AGENT_MS, &code);
		if (outcome == ANSWERED)
			return code;
		if (!missed_since)
			missed_since = now_ms();
		if (now_ms() - missed_since >= RESTART_MS || now_ms() - start >= AGENT_MS)
			break;
		usleep(RETRY_MS * 1000);
	}
	return fail(CNI_TRY_AGAIN, outcome == NOT_THERE ? NO_AGENT : NO_ANSWER);
}
