// SPDX-License-Identifier: Apache-2.0
// Many stores in one call, because a call costs ten times as much as a store. All offsets are checked before the first
// store, and stores are made in the order given, so that if the process dies the result is as with single stores.
#include <string.h>

#include "mapping.h"

struct numbers {
  void *data;
  size_t count;
};

static bool get_numbers(napi_env env, napi_value value, napi_typedarray_type want, struct numbers *out) {
  napi_typedarray_type type;
  bool typed = false;
  if (napi_is_typedarray(env, value, &typed) == napi_ok && typed &&
      napi_get_typedarray_info(env, value, &type, &out->count, &out->data, NULL, NULL) == napi_ok && type == want)
    return true;
  napi_failed(env);
  return false;
}

// True when [offset, offset + length) is inside an entry of the map, and aligned.
static bool fits(const struct mapping *mapping, uint32_t index, uint32_t offset, size_t length, size_t align) {
  return index < mapping->max_entries && offset + length <= mapping->value_size && offset % align == 0;
}

static char *address(const struct mapping *mapping, uint32_t index, uint32_t offset) {
  return mapping->base + (size_t)index * mapping->stride + offset;
}

#define BAD_OFFSET "Cannot use an index or offset outside the map, or an offset that is not aligned"
#define BAD_COUNT "Cannot use indexes, offsets and values of different counts"

// writeEach(indexes, bytes, offset): plain stores; `bytes` is split into as many equal parts as there are indexes
napi_value mapping_write_each(napi_env env, napi_callback_info info) {
  napi_value args[3], self;
  struct numbers indexes;
  void *bytes;
  size_t length;
  uint32_t offset;
  if (!get_args(env, info, 3, args, &self)) return napi_failed(env);
  struct mapping *mapping = mapping_open(env, self);
  if (!mapping || !get_numbers(env, args[0], napi_uint32_array, &indexes)) return NULL;
  if (!get_bytes(env, args[1], &bytes, &length) || !get_u32(env, args[2], &offset)) return napi_failed(env);
  if (!indexes.count && !length) return NULL;
  if (!indexes.count || length % indexes.count) return throw_range(env, BAD_COUNT);
  size_t each = length / indexes.count;
  const uint32_t *index = indexes.data;
  for (size_t i = 0; i < indexes.count; i++)
    if (!fits(mapping, index[i], offset, each, 1)) return throw_range(env, BAD_OFFSET);
  for (size_t i = 0; i < indexes.count; i++)
    memcpy(address(mapping, index[i], offset), (const char *)bytes + i * each, each);
  return NULL;
}

struct words {
  const struct mapping *mapping;
  const uint32_t *index, *offset;
  const void *value;
  size_t count;
};

// Reads and checks the arguments (indexes, offsets, values) for words of `size` bytes; on failure returns false with an
// exception pending.
static bool get_words(napi_env env, napi_callback_info info, size_t size, napi_typedarray_type type, struct words *out) {
  napi_value args[3], self;
  struct numbers indexes, offsets, values;
  if (!get_args(env, info, 3, args, &self)) {
    napi_failed(env);
    return false;
  }
  out->mapping = mapping_open(env, self);
  if (!out->mapping || !get_numbers(env, args[0], napi_uint32_array, &indexes) ||
      !get_numbers(env, args[1], napi_uint32_array, &offsets) || !get_numbers(env, args[2], type, &values))
    return false;
  if (indexes.count != offsets.count || indexes.count != values.count) {
    throw_range(env, BAD_COUNT);
    return false;
  }
  *out = (struct words){out->mapping, indexes.data, offsets.data, values.data, indexes.count};
  for (size_t i = 0; i < out->count; i++) {
    if (fits(out->mapping, out->index[i], out->offset[i], size, size)) continue;
    throw_range(env, BAD_OFFSET);
    return false;
  }
  return true;
}

// store32Each(indexes, offsets, values: Uint32Array): one release store each
napi_value mapping_store32_each(napi_env env, napi_callback_info info) {
  struct words words;
  if (!get_words(env, info, sizeof(uint32_t), napi_uint32_array, &words)) return NULL;
  for (size_t i = 0; i < words.count; i++)
    __atomic_store_n((uint32_t *)address(words.mapping, words.index[i], words.offset[i]),
                     ((const uint32_t *)words.value)[i], __ATOMIC_RELEASE);
  return NULL;
}

// store64Each(indexes, offsets, values: BigUint64Array): one release store each
napi_value mapping_store64_each(napi_env env, napi_callback_info info) {
  struct words words;
  if (!get_words(env, info, sizeof(uint64_t), napi_biguint64_array, &words)) return NULL;
  for (size_t i = 0; i < words.count; i++)
    __atomic_store_n((uint64_t *)address(words.mapping, words.index[i], words.offset[i]),
                     ((const uint64_t *)words.value)[i], __ATOMIC_RELEASE);
  return NULL;
}
