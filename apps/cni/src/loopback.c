/* SPDX-License-Identifier: Apache-2.0 */
/* This file contains the `loopback` plugin: it sets the interface lo of a network namespace up. */
#define _GNU_SOURCE
#include "plugin.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int lo_up(const char *netns)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = open(netns, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request))
		return -1;
	request.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &request);
}

int loopback(struct bytes config)
{
	const char *command = getenv("CNI_COMMAND"), *netns = getenv("CNI_NETNS");
	char version[16];

	if (strcmp(command, "ADD") && strcmp(command, "CHECK"))
		return 0;
	if (json_string(config, "cniVersion", version, sizeof(version)))
		return fail(CNI_DECODE, "Cannot read the cniVersion of the configuration");
	if (!netns || lo_up(netns))
		return fail(CNI_IO, "Cannot set lo up in the network namespace of the pod");
	if (!strcmp(command, "CHECK"))
		return 0;
	printf("{\"cniVersion\":\"%s\",\"interfaces\":[{\"name\":\"lo\",\"mac\":\"00:00:00:00:00:00\",\"sandbox\":\"%s\"}],"
	       "\"ips\":[{%s\"address\":\"127.0.0.1/8\",\"interface\":0}],\"dns\":{}}\n",
	       version, netns, version[0] == '0' ? "\"version\":\"4\"," : "");
	return 0;
}
