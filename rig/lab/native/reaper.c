/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A minimal pid 1: reaps orphans and exits on SIGTERM or SIGINT; the kernel then kills everything in its pid namespace.
 * Used as the sandbox's `pause` and as the first process of a node.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void finish(int signal_number)
{
	(void)signal_number;
	_exit(0);
}

static void reap(int signal_number)
{
	(void)signal_number;
	while (waitpid(-1, 0, WNOHANG) > 0)
		;
}

int main(void)
{
	struct sigaction on_end = { .sa_handler = finish };
	struct sigaction on_child = { .sa_handler = reap, .sa_flags = SA_NOCLDSTOP };

	sigaction(SIGTERM, &on_end, 0);
	sigaction(SIGINT, &on_end, 0);
	sigaction(SIGCHLD, &on_child, 0);
	for (;;)
		pause();
}
