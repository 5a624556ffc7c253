/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains the hashes that map values carry as checks, of their key or of key and value. It uses no maps.
 *
 * A lookup in a BPF hash that races with a deletion may return the value of another key, because the memory of a
 * deleted entry is reused at once. A value without the check of the requested key is a miss. A value of more than one
 * word may also be read while it is written; its check covers key and value.
 * libs/bpf/src/check.ts computes the same as key_check(); both are tested with bpf/tests/golden.txt.
 */
#ifndef MESH_HASH_H
#define MESH_HASH_H

#include <linux/types.h>

/* A 16-bit hash of `words` 32-bit words of the key. */
static inline __attribute__((always_inline)) __u16 key_check(const void *key, int words)
{
	const __u32 *word = key;
	__u32 hash = 0x9e3779b1;

	for (int i = 0; i < words; i++) {
		hash = (hash ^ word[i]) * 0x85ebca6b;
		hash ^= hash >> 15;
	}
	return hash >> 16;
}

#define ROW_CHECK 0x9e3779b97f4a7c15ULL
#define ROW_WORDS 7

/*
 * A 64-bit hash of at most ROW_WORDS 64-bit words, continued from `hash`. The first call passes ROW_CHECK, so that a
 * row of zeros is a miss. Rows that differ in one word never have the same check, because multiplication by an odd
 * number is one to one. No product depends on another one, which keeps connect() fast.
 */
static inline __attribute__((always_inline)) __u64 row_check(__u64 hash, const void *row, int words)
{
	const __u64 odd[ROW_WORDS] = {
		0x63e5e0265696cce1, 0xd2d54450e318365b, 0x3652811dd4e105d1,
		0x2fd33a77b80b0121, 0x3bb2399cebae0881, 0x02daf4f6e1c18637,
		0x81bb7836d53cb581,
	};
	const __u64 *word = row;

	hash = (hash ^ hash >> 32) * ROW_CHECK;
	for (int i = 0; i < words; i++)
		hash += word[i] * odd[i];
	return hash;
}

#endif
