// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Fills a ring buffer: every run writes one numbered event; before every tenth one it also discards an event. */
#include "lib/common.h"

struct event {
	__u32 number;
	__u32 lost; /* events that found the ring full so far */
};

/* the events */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} mesh_test_events SEC(".maps");

__u32 number;
__u32 lost;

SEC("tc")
int emit(struct __sk_buff *skb)
{
	struct event *event;

	if (number % 10 == 0) {
		event = bpf_ringbuf_reserve(&mesh_test_events, sizeof(*event), 0);
		if (event)
			bpf_ringbuf_discard(event, 0);
	}
	event = bpf_ringbuf_reserve(&mesh_test_events, sizeof(*event), 0);
	if (!event) {
		lost++;
		return 1;
	}
	event->number = number++;
	event->lost = lost;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
