// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The programs of pod.bpf.c, for test runs of packets that a pod's socket sends: in a test run a packet has a socket of the
 * kernel's, so here the priority of the packet is the cookie of its socket.
 */
#include "lib/common.h"

#define bpf_get_socket_cookie(skb) ((skb)->priority)

#include "pod.bpf.c"
