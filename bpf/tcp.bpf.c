// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The TCP sockets of pods: when the SYN of a connect to a Service is repeated. For mode packets, in which the repeat goes to
 * another backend.
 */
#include "lib/timeout.h"

SEC("sockops")
int tcp_timeouts(struct bpf_sock_ops *ctx)
{
	switch (ctx->op) {
	case BPF_SOCK_OPS_TIMEOUT_INIT:
		ctx->reply = timeout_ticks(ctx);
		break;
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		keep_give_up_time(ctx);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		note_rtt(ctx);
		break;
	}
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
