/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains the checks that map values carry of their key, and of themselves. It touches no maps.
 *
 * A lookup in a BPF hash that races with a deletion may return the value of another key, whose memory was reused at
 * once. A value that does not carry the check of the key that was asked for is a miss. A value of more than one word
 * may also be read while it is written: its check covers key and value.
 * libs/bpf/src/check.ts computes the same as key_check(); bpf/tests/golden.txt proves it.
 */
#ifndef MESH_HASH_H
#define MESH_HASH_H

#include <linux/types.h>

/* 16 bits over `words` 32-bit words of the key. */
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

/*
 * 64 bits over `words` 64-bit words, continued from `hash`; begun with ROW_CHECK, so that zeros do not pass.
 * Each step is one to one: rows that differ in one word never have the same check.
 */
static inline __attribute__((always_inline)) __u64 row_check(__u64 hash, const void *row, int words)
{
	const __u64 *word = row;

	for (int i = 0; i < words; i++) {
		hash = (hash ^ word[i]) * 0xd6e8feb86659fd93ULL;
		hash ^= hash >> 32;
	}
	return hash;
}

#endif
