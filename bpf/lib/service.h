/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains the choice of a backend (design/datapath.md, Choosing). It reads mesh_services, mesh_tables,
 * mesh_backends, mesh_cluster_state and mesh_node_state. backend_find.h finds a backend again.
 *
 * Tiers are probed in order: one slot of each, and `tries` more. The first backend that is up is chosen, else the
 * probed one with the lowest rank, so a service whose backends are all suspect or down still has one. A tier whose
 * backends are all in one cluster is skipped when that cluster is down; if the other tiers give no backend, the first
 * skipped tier is probed after all.
 */
#ifndef MESH_SERVICE_H
#define MESH_SERVICE_H

#include "config.h"
#include "maps.h"
#include "metrics.h"

#define RANK_NONE (RANK_DOWN + 1)

/*
 * A backend that was picked, with its rank, tier and slot. One u64: functions that are not inlined are global, and their
 * parameters and results are numbers, so that the verifier checks each of them once, not once per path that reaches it
 * (measured: 4,000 instructions instead of 430,000).
 */
struct pick {
	__u64 id : 32;
	__u64 slot : LIMIT_SLOT_BITS;
	__u64 tier : LIMIT_TIER_BITS;
	__u64 rank : 13;
};

#define PICK_NONE WORD(pick, .rank = RANK_NONE)

static __always_inline __u32 state_rank(const __u32 *state)
{
	__u32 word = state ? READ_ONCE(*state) : 0;
	struct state_word ranks = FIELDS(state_word, word);

	if (ranks.down)
		return RANK_DOWN;
	if (ranks.suspect)
		return RANK_SUSPECT;
	return ranks.draining ? RANK_DRAINING : RANK_UP;
}

/* The local cluster is always up. */
static __always_inline __u32 cluster_rank(__u32 cluster)
{
	if (cluster == CONFIG(cluster_id) || cluster == 0)
		return RANK_UP;
	return state_rank(bpf_map_lookup_elem(&mesh_cluster_state_v1, &cluster));
}

static __always_inline const struct backend_row *backend_lookup(__u32 id)
{
	__u32 index = FIELDS(backend_id, id).index;
	const struct backend_row *row = bpf_map_lookup_elem(&mesh_backends_v1, &index);

	if (!row || !id || READ_ONCE(row->id) != id)
		return NULL;
	return row;
}

static __always_inline __u32 backend_rank(const struct backend_row *row)
{
	__u32 node = row->node;
	__u32 rank = row->state & 3;
	__u32 other = cluster_rank(row->cluster);

	if (other > rank)
		rank = other;
	other = node ? state_rank(bpf_map_lookup_elem(&mesh_node_state_v1, &node)) : RANK_UP;
	return other > rank ? other : rank;
}

/*
 * The distance between two probed slots. In a table of at most LIMIT_PROBES slots it is 1, so that enough tries probe
 * all of them. In a longer table the hash gives it, and it is so small that LIMIT_PROBES probes never repeat a slot.
 */
static __always_inline __u32 tier_step(__u32 slots, __u32 hash)
{
	if (slots <= LIMIT_PROBES)
		return 1;
	return 1 + (((__u64)(hash * 0x9e3779b1) * ((slots - 1) / (LIMIT_PROBES - 1))) >> 32);
}

/* The id in this slot of the table that begins at this line; 0 = none. */
static __always_inline __u32 slot_id(__u32 line, __u32 slot)
{
	__u32 segment = line / LIMIT_SEGMENT_LINES, at = line % LIMIT_SEGMENT_LINES + slot / LIMIT_LINE_SLOTS;
	void *table = bpf_map_lookup_elem(&mesh_tables_v1, &segment);
	const struct table_line *ids = table ? bpf_map_lookup_elem(table, &at) : NULL;

	return ids ? READ_ONCE(ids->id[slot % LIMIT_LINE_SLOTS]) : 0;
}

/*
 * Up to three backends that are not chosen, by the low bits of their index (a table has 2 million rows at most that differ
 * in them). One number, as a parameter of global functions. 0 = all may be chosen.
 */
struct tried {
	__u64 first : 21;
	__u64 second : 21;
	__u64 third : 21;
	__u64 spare : 1;
};

static __always_inline bool is_tried(__u64 tried, __u32 id)
{
	struct tried indices = FIELDS(tried, tried);
	__u32 index = id & ((1 << 21) - 1);

	return index == indices.first || index == indices.second || index == indices.third;
}

/*
 * The backend in this slot of the table that begins at this line; PICK_NONE when that backend is gone, was tried, or is of
 * the cluster that is avoided (0 = none is).
 */
__noinline __u64 slot_probe(__u32 line, __u32 slot, __u64 tried, __u32 avoided)
{
	__u32 id = slot_id(line, slot);
	const struct backend_row *row = backend_lookup(id);

	if (tried && (is_tried(tried, id) || (avoided && row && row->cluster == avoided)))
		return PICK_NONE;
	if (row)
		return WORD(pick, .id = id, .slot = slot, .rank = backend_rank(row));
	count(METRIC_STALE_ID);
	return PICK_NONE;
}

/* Where tier_probe() is, in one number, as a parameter of global functions. */
struct probed {
	__u32 tier : LIMIT_TIER_BITS;
	__u32 avoided : 12; /* cluster whose backends are not chosen */
	__u32 spare : 18;
};

/* The best of `pick` and of the backends that are probed in this tier; stops at the first that is up. */
__noinline __u64 tier_probe(__u64 word, __u32 probed, __u32 hash, __u64 pick, __u64 tried)
{
	__u32 tier = FIELDS(probed, probed).tier, avoided = FIELDS(probed, probed).avoided;
	struct tier_word table = FIELDS(tier_word, word);
	__u32 slots = table.slots, tries = table.tries, line = table.line;
	__u32 slot = ((__u64)hash * slots) >> 32, step = tier_step(slots, hash);

	for (__u32 i = 0; i < LIMIT_PROBES && i <= tries; i++) {
		__u64 other = slot_probe(line, slot, tried, avoided);
		__u32 rank = FIELDS(pick, other).rank;

		if (rank < FIELDS(pick, pick).rank) /* of equal ranks, the first */
			pick = other | WORD(pick, .tier = tier);
		if (rank == RANK_UP)
			break;
		barrier_var(i); /* else clang rewrites the counter, and Linux 6.1 cannot verify that the loop ends */
		slot += step;
		if (slot >= slots)
			slot -= slots;
	}
	return pick;
}

/* A backend of this service for a connection with this hash (at a socket: 32 random bits); id 0 = none. */
static __always_inline __u64 service_choose(const struct service_row *service, __u32 hash)
{
	__u64 pick = PICK_NONE, skipped = 0;
	bool first = true;
	__u32 skipped_tier = 0;

	for (int i = 0; i < LIMIT_TIERS; i++) {
		__u64 word = READ_ONCE(service->tier[i]);
		struct tier_word table = FIELDS(tier_word, word);
		__u32 cluster = table.cluster;

		if (!table.slots)
			continue;
		if (cluster && cluster_rank(cluster) == RANK_DOWN) {
			count(METRIC_SKIPPED_TIER);
			if (!skipped) {
				skipped = word;
				skipped_tier = i;
			}
			continue;
		}
		pick = tier_probe(word, i, hash, pick, 0);
		if (FIELDS(pick, pick).rank == RANK_UP) {
			if (!first || skipped)
				count(METRIC_SPILLED);
			return pick;
		}
		first = false;
	}
	if (FIELDS(pick, pick).rank == RANK_NONE && skipped)
		pick = tier_probe(skipped, skipped_tier, hash, pick, 0);
	if (FIELDS(pick, pick).id)
		count(METRIC_DEGRADED);
	return pick;
}

#endif
