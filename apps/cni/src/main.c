/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This file contains the CNI plugin: it forwards a call to the agent of this node and prints the agent's answer.
 *
 * In: CNI_* variables, the network configuration on stdin; its "socket" is the path of the agent's unix socket.
 * Out: result or error as JSON on stdout; exit code 0 or 1. Without an agent: error 11, and the runtime retries later.
 */
#include "plugin.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fail(enum cni_code code, const char *msg)
{
	printf("{\"cniVersion\":\"1.0.0\",\"code\":%d,\"msg\":\"%s\"}\n", code, msg);
	return 1;
}

static int version(int is_loopback)
{
	printf("{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[%s\"1.0.0\"]}\n",
	       is_loopback ? "\"0.3.0\",\"0.3.1\",\"0.4.0\"," : "");
	return 0;
}

int main(int argc, char **argv)
{
	const char *command = getenv("CNI_COMMAND");
	const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
	int is_loopback = name && !strcmp(name, "/loopback");
	char socket_path[128];
	struct bytes config;

	signal(SIGPIPE, SIG_IGN);
	if (!command)
		return fail(CNI_ENVIRONMENT, "Cannot run without CNI_COMMAND: this program is called by a container runtime");
	if (!strcmp(command, "VERSION"))
		return version(is_loopback);
	if (read_all(STDIN_FILENO, &config, CONFIG_MAX, now_ms() + STDIN_MS))
		return fail(CNI_IO, errno == EFBIG ? "Cannot read a configuration of more than 256 KiB from stdin" :
						     "Cannot read the configuration from stdin");
	if (is_loopback)
		return loopback(config);
	if (json_string(config, "socket", socket_path, sizeof(socket_path)))
		return fail(CNI_CONFIG, "Cannot find a path under \\\"socket\\\" in the configuration");
	return ask_agent(socket_path, config);
}
