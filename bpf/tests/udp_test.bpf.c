// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Sends as an unconnected UDP socket, without a socket. In: a packet that is a struct udp_request, with an empty
 * Ethernet header. Out: the return value is the id of the backend that the datagram goes to; 0 = none.
 */
#include "lib/udp.h"

struct udp_request {
	__u8 ethernet[14];
	__u8 pad[2];
	__u32 service;
	__u32 cookie;
};

SEC("tc")
int udp_send(struct __sk_buff *skb)
{
	const struct udp_request *request = (void *)(long)skb->data;
	const struct backend_row *backend;
	struct udp_sticky_key key = {};

	if ((void *)(request + 1) > (void *)(long)skb->data_end)
		return -1;
	key.cookie = request->cookie;
	backend = sticky_backend(&key, request->service);
	return backend ? backend->id : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
