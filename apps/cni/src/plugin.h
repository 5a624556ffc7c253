/* SPDX-License-Identifier: Apache-2.0 */
/* This file contains what the plugin's parts share: sizes, time-outs, CNI error codes. */
#ifndef ISTHMUS_CNI_PLUGIN_H
#define ISTHMUS_CNI_PLUGIN_H

#include <stddef.h>

enum {
	CONFIG_MAX = 256 * 1024, /* bytes of configuration on stdin */
	ANSWER_MAX = 64 * 1024,	 /* bytes of the agent's answer */
	ENV_MAX = 4096,		 /* bytes of one CNI_* value */
	STDIN_MS = 5000,	 /* time for the runtime to write the configuration */
	AGENT_MS = 25000,	 /* time for the agent to answer */
	RESTART_MS = 3000,	 /* time for an absent agent to restart: the runtime's next try is 10 s later */
	RETRY_MS = 50,		 /* between two tries */
};

/* Codes of the CNI specification. */
enum cni_code {
	CNI_ENVIRONMENT = 4,
	CNI_IO = 5,
	CNI_DECODE = 6,
	CNI_CONFIG = 7,
	CNI_TRY_AGAIN = 11,
};

struct bytes {
	char *data;
	size_t len;
};

/* Prints a CNI error and returns the exit code. `msg` must need no escaping in JSON. */
int fail(enum cni_code code, const char *msg);

/* json.c: the string value of a top-level key, without escapes. 0, or -1: absent, not a string, too long, no JSON. */
int json_string(struct bytes json, const char *key, char *out, size_t cap);

/* agent.c: one request, one answer, printed on stdout. Returns the exit code. */
int ask_agent(const char *socket_path, struct bytes config);

/* loopback.c: acts as the plugin of that name, for runtimes that require it. Returns the exit code. */
int loopback(struct bytes config);

/* io.c: reads to the end, at most `max` bytes, until `deadline_ms` (monotonic). -1 sets errno (EFBIG, ETIMEDOUT). */
int read_all(int fd, struct bytes *out, size_t max, long long deadline_ms);
int write_all(int fd, const void *data, size_t len, long long deadline_ms);
long long now_ms(void);

#endif
