/* SPDX-License-Identifier: Apache-2.0 */
/* This file contains the entry point: one static program, a server and an open-loop client. */
#include "common.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
	"demo httpd [--port 8080] [--listen-after-ms 0] [--linger-ms 0] [--name HOSTNAME] [--cluster NAME]\n"
	"demo load --target IP:PORT [--rate 100] [--duration-ms 0 (until SIGTERM)] [--deadline-ms 1000]\n";

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc > 1 && strcmp(argv[1], "httpd") == 0)
		return httpd_main(argc - 2, argv + 2);
	if (argc > 1 && strcmp(argv[1], "load") == 0)
		return load_main(argc - 2, argv + 2);
	fputs(help, stderr);
	return 2;
}
