/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Every slot of tables of many sizes converts to a fraction and back, and lies in its window. Run by `make check`. */
#include <stdio.h>

#include "lib/slot_fraction.h"

static const __u32 SIZES[] = {1, 2, 3, 15, 16, 17, 255, 256, 257, 272, 1000, 4093, 65535, 65537, 99991, 131070, 131071};

static int wrong(__u32 slot, __u32 slots)
{
	__u32 fraction = slot_fraction(slot, slots), begin = window_begin(fraction, slots) * LIMIT_LINE_SLOTS;
	__u32 end = begin + WINDOW_LINES * LIMIT_LINE_SLOTS;

	if (fraction >> LIMIT_SLOT_BITS || fraction_slot(fraction, slots) != slot || slot < begin || slot >= end)
		return 1;
	/* The window has at least seven lines on both sides of the slot, unless the table ends there. */
	if (begin && slot - begin < 7 * LIMIT_LINE_SLOTS)
		return 1;
	return end < slots && end - slot <= 7 * LIMIT_LINE_SLOTS;
}

int main(void)
{
	for (unsigned int i = 0; i < sizeof(SIZES) / sizeof(*SIZES); i++) {
		for (__u32 slot = 0; slot < SIZES[i]; slot++) {
			if (!wrong(slot, SIZES[i]))
				continue;
			printf("not ok slot %u of %u\n", slot, SIZES[i]);
			return 1;
		}
	}
	printf("ok slot fractions\n");
	return 0;
}
