// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Reads maps while a writer changes them by the commit rule, and counts states that must never be read.
 *
 * Every value can be checked against another one: a backend's address contains its id, its port is the low bits of the
 * id; a frontend's service is its port + 1; each of the two tables of a flip contains backends of its side only.
 */
#include "lib/frontend.h"
#include "lib/service.h"
#include "tests/race.h"

/* backend ids that are still used, as sockets do */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u32);
} mesh_test_held SEC(".maps");

/* The body of a backend row contains the id that it was written for. */
static __always_inline void check_body(const struct backend_row *row, __u32 id)
{
	__u32 word;

	__builtin_memcpy(&word, row->addr + 12, sizeof(word));
	if (word != id || row->port != (__be16)id)
		tally(RACE_MIXED);
}

/* Service 1 flips between two tables; its backends are deleted and added again with other generations. */
SEC("tc")
int race_choose(struct __sk_buff *skb)
{
	__u32 number = 1, id;
	const struct service_row *service = bpf_map_lookup_elem(&mesh_services_v1, &number);
	const struct backend_row *row;
	__u64 pick;

	if (!service)
		return -1;
	tally(RACE_READS);
	pick = service_choose(service, bpf_get_prandom_u32());
	id = FIELDS(pick, pick).id;
	row = backend_lookup(id);
	if (!row) {
		tally(RACE_NONE);
		return 0;
	}
	check_body(row, id);
	return 0;
}

/* The lookup of an old id returns its backend or none, also while its index is reused. */
SEC("tc")
int race_held(struct __sk_buff *skb)
{
	__u32 slot = bpf_get_prandom_u32() & 63;
	const __u32 *held = bpf_map_lookup_elem(&mesh_test_held, &slot);
	const struct backend_row *row;
	__u32 id = held ? READ_ONCE(*held) : 0;

	tally(RACE_READS);
	row = backend_lookup(id);
	if (row)
		check_body(row, id);
	return 0;
}

/* Ports 1..511 always have a frontend; those of 512..1023 are added and deleted all the time. */
SEC("tc")
int race_frontend(struct __sk_buff *skb)
{
	struct endpoint_addr dest = {.addr = {0, 0, bpf_htonl(0xffff), bpf_htonl(0x0a600001)}};
	__u32 port = bpf_get_prandom_u32() & 1023;
	struct frontend_row row;

	if (!port)
		return 0;
	dest.port = bpf_htons(port);
	tally(RACE_READS);
	if (!frontend_find(&dest, PROTO_TCP, &row)) {
		if (port < 512)
			tally(RACE_LOST);
		return 0;
	}
	if (port >= 512)
		tally(RACE_CHURNED);
	if (row.service != port + 1)
		tally(RACE_MIXED);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
