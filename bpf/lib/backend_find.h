/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file checks whether a service still has a backend that was chosen before. It reads mesh_services and
 * mesh_tables.
 *
 * A kept backend is stored with its tier and its slot fraction (slot_fraction.h). While the table does not change, the
 * fraction gives the same slot, and one load checks it. After a change the backend is searched for in each of the
 * service's tables, in LIMIT_SEARCH_SLOTS slots around the fraction. These are all slots of a short table, which is
 * edited in place and has no order. A longer table is rewritten in the order of a hash: the backend is almost certainly
 * among them, and one that moved further counts as gone. Slots behind the last one of a table may still contain a
 * backend that was moved to an earlier slot; the earlier slots are searched first.
 *
 * While an agent moves a backend from one tier to another, by two stores, a search may find it in neither.
 */
#ifndef MESH_BACKEND_FIND_H
#define MESH_BACKEND_FIND_H

#include "slot_fraction.h"
#include "service.h"

/* The slot of this line that contains the id; LIMIT_LINE_SLOTS = none. */
__noinline __u32 line_find(__u32 line, __u32 id)
{
	__u32 segment = line / LIMIT_SEGMENT_LINES, at = line % LIMIT_SEGMENT_LINES, slot = LIMIT_LINE_SLOTS;
	void *table = bpf_map_lookup_elem(&mesh_tables_v1, &segment);
	const struct table_line *ids = table ? bpf_map_lookup_elem(table, &at) : NULL;

	if (!ids)
		return slot;
	for (slot = 0; slot < LIMIT_LINE_SLOTS; slot++)
		if (READ_ONCE(ids->id[slot]) == id)
			break;
	return slot;
}

/* The slot of this table that contains the id; `slots` or higher when none in the window around the fraction does. */
__noinline __u32 tier_find(__u64 word, __u32 id, __u32 fraction)
{
	struct tier_word tier = FIELDS(tier_word, word);
	__u32 slots = tier.slots, line = window_begin(fraction, slots);

	for (__u32 i = 0; i < WINDOW_LINES; i++, line++) {
		__u32 slot = line_find(tier.line + line, id);

		if (slot < LIMIT_LINE_SLOTS)
			return line * LIMIT_LINE_SLOTS + slot; /* behind the last slot: not found */
		if ((line + 1) * LIMIT_LINE_SLOTS >= slots)
			break;
	}
	return slots;
}

/* Does the slot at this fraction still contain the backend? */
static __always_inline bool service_has_backend(const struct service_row *service, __u32 tier, __u32 fraction, __u32 id)
{
	__u64 word = READ_ONCE(service->tier[tier & (LIMIT_TIERS - 1)]);
	struct tier_word table = FIELDS(tier_word, word);

	return table.slots && slot_id(table.line, fraction_slot(fraction, table.slots)) == id;
}

/* The backend with its present tier and slot; PICK_NONE when the service no longer has it. Its rank is not read. */
__noinline __u64 service_find(__u32 service, __u32 fraction, __u32 id)
{
	const struct service_row *row = bpf_map_lookup_elem(&mesh_services_v1, &service);

	for (__u32 i = 0; row && i < LIMIT_TIERS; i++) {
		__u64 word = READ_ONCE(row->tier[i]);
		__u32 slots = FIELDS(tier_word, word).slots, slot = slots ? tier_find(word, id, fraction) : 0;

		if (slot < slots)
			return WORD(pick, .id = id, .slot = slot, .tier = i, .rank = RANK_UP);
	}
	return PICK_NONE;
}

#endif
