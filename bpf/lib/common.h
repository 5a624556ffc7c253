/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* This file contains what every program needs: kernel and libbpf headers, words, reads that happen exactly once. */
#ifndef MESH_COMMON_H
#define MESH_COMMON_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "types.h"

#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))

/*
 * FIELDS(tier_word, word).slots: a field of a word. WORD(tier_word, .slots = 1): the 64-bit word of these fields, the
 * others 0. Shifts and masks are the compiler's, from the declaration of the struct.
 */
#define FIELDS(name, value) ({									\
	_Static_assert(sizeof(value) == sizeof(struct name), "the word has another length");	\
	((union { typeof(value) word; struct name fields; }){.word = (value)}).fields;		\
})
#define WORD(name, ...) (((union { struct name fields; __u64 word; }){.fields = {__VA_ARGS__}}).word)

/* Copies memory that may change meanwhile: each word is read once, so the values that are checked are those used. */
static __always_inline void copy_once(void *to, const void *from, int words)
{
	const __u64 *source = from;
	__u64 *target = to;

	for (int i = 0; i < words; i++)
		target[i] = READ_ONCE(source[i]);
}

#endif
