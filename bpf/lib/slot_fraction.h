/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains slot fractions: a slot divided by the slots of its table, in units of 2^-17. It uses no maps.
 *
 * Tables longer than LIMIT_SEARCH_SLOTS are in the order of a hash of the backend. When such a table grows or shrinks,
 * a backend stays near the same fraction, though not near the same slot. Shorter tables have no order.
 */
#ifndef MESH_SLOT_FRACTION_H
#define MESH_SLOT_FRACTION_H

#include "types.h"

#define WINDOW_LINES (LIMIT_SEARCH_SLOTS / LIMIT_LINE_SLOTS)

/* The fraction of a slot in a table of `slots`; rounded up, so that fraction_slot() returns the same slot. */
static inline __attribute__((always_inline)) __u32 slot_fraction(__u32 slot, __u32 slots)
{
	return slots ? (((__u64)slot << LIMIT_SLOT_BITS) + slots - 1) / slots : 0;
}

static inline __attribute__((always_inline)) __u32 fraction_slot(__u32 fraction, __u32 slots)
{
	return ((__u64)fraction * slots) >> LIMIT_SLOT_BITS;
}

/* The first of the WINDOW_LINES lines around a fraction, which is in their middle except near an end of the table. */
static inline __attribute__((always_inline)) __u32 window_begin(__u32 fraction, __u32 slots)
{
	__u32 lines = (slots + LIMIT_LINE_SLOTS - 1) / LIMIT_LINE_SLOTS;
	__u32 line = fraction_slot(fraction, slots) / LIMIT_LINE_SLOTS;

	if (lines <= WINDOW_LINES || line <= WINDOW_LINES / 2)
		return 0;
	return line < lines - WINDOW_LINES / 2 ? line - WINDOW_LINES / 2 : lines - WINDOW_LINES;
}

#endif
