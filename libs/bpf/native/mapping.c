// SPDX-License-Identifier: Apache-2.0
// Mapping: an array map (BPF_F_MMAPABLE) that is mapped into this process. Copies
// bytes in and out, and stores words by one release store. Offsets are bytes from the start; the distance of entries
// (`stride`) is value_size rounded up to 8.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "mapping.h"

static const napi_type_tag MAPPING_TAG = {0x6d6573682d627066, 0x6d617070696e6721};

static void release(struct mapping *mapping) {
  if (mapping->base) munmap(mapping->base, mapping->size);
  mapping->base = NULL;
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  release(data);
  free(data);
}

static struct mapping *unwrap(napi_env env, napi_value self) {
  struct mapping *mapping = NULL;
  bool is_tagged = false;
  if (napi_check_object_type_tag(env, self, &MAPPING_TAG, &is_tagged) != napi_ok || !is_tagged) return NULL;
  return napi_unwrap(env, self, (void **)&mapping) == napi_ok ? mapping : NULL;
}

struct mapping *mapping_open(napi_env env, napi_value self) {
  struct mapping *mapping = unwrap(env, self);
  if (mapping && mapping->base) return mapping;
  if (mapping) throw_errno(env, EBADF, "use a closed mapping", NULL);
  else napi_failed(env);
  return NULL;
}

// The mapping of `self`, when it is open and [at, at + length) is inside it and aligned; else NULL with an exception.
static struct mapping *span(napi_env env, napi_value self, napi_value at, size_t length, size_t align, size_t *offset) {
  struct mapping *mapping = mapping_open(env, self);
  double number;
  if (!mapping) return NULL;
  if (napi_get_value_double(env, at, &number) != napi_ok) {
    napi_failed(env);
    return NULL;
  }
  if (!(number >= 0) || number + length > mapping->size || (size_t)number % align) {
    throw_range(env, "Cannot use an offset outside the map, or one that is not aligned");
    return NULL;
  }
  *offset = (size_t)number;
  return mapping;
}

// read(offset, length) -> copy
static napi_value mapping_read(napi_env env, napi_callback_info info) {
  napi_value args[2], self;
  uint32_t length;
  size_t offset;
  void *data;
  if (!get_args(env, info, 2, args, &self) || !get_u32(env, args[1], &length)) return napi_failed(env);
  struct mapping *mapping = span(env, self, args[0], length, 1, &offset);
  if (!mapping) return NULL;
  napi_value result = make_bytes(env, length, &data);
  if (result) memcpy(data, mapping->base + offset, length);
  return result;
}

// write(offset, bytes): plain stores
static napi_value mapping_write(napi_env env, napi_callback_info info) {
  napi_value args[2], self;
  size_t offset, length;
  void *data;
  if (!get_args(env, info, 2, args, &self) || !get_bytes(env, args[1], &data, &length)) return napi_failed(env);
  struct mapping *mapping = span(env, self, args[0], length, 1, &offset);
  if (mapping) memcpy(mapping->base + offset, data, length);
  return NULL;
}

// store32(offset, number): one release store
static napi_value mapping_store32(napi_env env, napi_callback_info info) {
  napi_value args[2], self;
  uint32_t value;
  size_t offset;
  if (!get_args(env, info, 2, args, &self) || !get_u32(env, args[1], &value)) return napi_failed(env);
  struct mapping *mapping = span(env, self, args[0], 4, 4, &offset);
  if (mapping) __atomic_store_n((uint32_t *)(mapping->base + offset), value, __ATOMIC_RELEASE);
  return NULL;
}

// store64(offset, bigint): one release store
static napi_value mapping_store64(napi_env env, napi_callback_info info) {
  napi_value args[2], self;
  uint64_t value;
  bool lossless;
  size_t offset;
  if (!get_args(env, info, 2, args, &self)) return napi_failed(env);
  NAPI(napi_get_value_bigint_uint64(env, args[1], &value, &lossless));
  struct mapping *mapping = span(env, self, args[0], 8, 8, &offset);
  if (!mapping) return NULL;
  if (!lossless) return throw_range(env, "Cannot store a number of more than 64 bits");
  __atomic_store_n((uint64_t *)(mapping->base + offset), value, __ATOMIC_RELEASE);
  return NULL;
}

static napi_value mapping_close(napi_env env, napi_callback_info info) {
  napi_value self;
  if (!get_args(env, info, 0, NULL, &self)) return napi_failed(env);
  struct mapping *mapping = unwrap(env, self);
  if (!mapping) return napi_failed(env);
  release(mapping);
  return NULL;
}

// mapMapping(map) -> Mapping {stride, read, write, store32, store64, writeEach, store32Each, store64Each, close}
static napi_value mapping_make(napi_env env, napi_callback_info info) {
  static const napi_property_descriptor properties[] = {
      {.utf8name = "read", .method = mapping_read},       {.utf8name = "write", .method = mapping_write},
      {.utf8name = "store32", .method = mapping_store32}, {.utf8name = "store64", .method = mapping_store64},
      {.utf8name = "writeEach", .method = mapping_write_each},
      {.utf8name = "store32Each", .method = mapping_store32_each},
      {.utf8name = "store64Each", .method = mapping_store64_each},
      {.utf8name = "close", .method = mapping_close},
  };
  napi_value args[1], object;
  struct bpf_map_info map = {};
  uint32_t size = sizeof(map);
  int fd;
  if (!get_args(env, info, 1, args, NULL) || !fd_get(env, args[0], &fd)) return napi_failed(env);
  int error = bpf_obj_get_info_by_fd(fd, &map, &size);
  if (error) return throw_errno(env, error, "read the map's information", NULL);
  if (map.type != BPF_MAP_TYPE_ARRAY || !(map.map_flags & BPF_F_MMAPABLE))
    return throw_errno(env, EINVAL, "map a map that is not a mappable array", map.name);
  size_t stride = (map.value_size + 7) & ~7U, page = sysconf(_SC_PAGESIZE);
  size_t bytes = (stride * map.max_entries + page - 1) / page * page;
  void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return throw_errno(env, errno, "map an array into memory", map.name);
  struct mapping *mapping = malloc(sizeof(*mapping));
  if (!mapping) {
    munmap(base, bytes);
    return throw_errno(env, ENOMEM, "allocate a mapping", NULL);
  }
  *mapping = (struct mapping){base, bytes, stride, map.value_size, map.max_entries};
  if (napi_create_object(env, &object) != napi_ok ||
      napi_wrap(env, object, mapping, finalize, NULL, NULL) != napi_ok) {
    release(mapping);
    free(mapping);
    return napi_failed(env);
  }
  NAPI(napi_type_tag_object(env, object, &MAPPING_TAG));
  NAPI(napi_define_properties(env, object, sizeof(properties) / sizeof(*properties), properties));
  set_u32(env, object, "stride", stride);
  return object;
}

bool mapping_init(napi_env env, napi_value exports) { return set_function(env, exports, "mapMapping", mapping_make); }
