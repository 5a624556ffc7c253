// SPDX-License-Identifier: Apache-2.0
// Map operations on one or many entries. Lengths are checked against bpf_map_info:
// a wrong one throws, so that the kernel never reads beyond a buffer.
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "native.h"

struct map {
  int fd;
  struct bpf_map_info info;
};

static bool map_get(napi_env env, napi_value value, struct map *map) {
  uint32_t size = sizeof(map->info);
  if (!fd_get(env, value, &map->fd)) return false;
  map->info = (struct bpf_map_info){};
  int error = bpf_obj_get_info_by_fd(map->fd, &map->info, &size);
  if (error) throw_errno(env, error, "read the map's information", NULL);
  return !error;
}

static bool is_per_cpu(uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
         type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

// Bytes of one value as user space sees it: per-CPU maps have one value per CPU, each rounded up to 8.
static size_t value_size(const struct map *map) {
  if (!is_per_cpu(map->info.type)) return map->info.value_size;
  static int cpus;
  if (!cpus) cpus = libbpf_num_possible_cpus();
  return (size_t)((map->info.value_size + 7) & ~7U) * cpus;
}

static bool sized(napi_env env, napi_value value, size_t want, void **data, const char *what) {
  size_t length = 0;
  if (!get_bytes(env, value, data, &length)) {
    napi_failed(env);
    return false;
  }
  if (length != want) throw_range(env, what);
  return length == want;
}

#define BAD_KEY "Cannot use a key that is not as long as the map's keys"
#define BAD_VALUE "Cannot use a value that is not as long as the map's values"
#define DIFFERENT_COUNTS "Cannot use keys and values of different counts"

// mapInfo(map) -> {type, keySize, valueSize, maxEntries, flags, id, name}
static napi_value map_info(napi_env env, napi_callback_info info) {
  napi_value args[1], result;
  struct map map;
  if (!get_args(env, info, 1, args, NULL) || !map_get(env, args[0], &map)) return napi_failed(env);
  NAPI(napi_create_object(env, &result));
  set_u32(env, result, "type", map.info.type);
  set_u32(env, result, "keySize", map.info.key_size);
  set_u32(env, result, "valueSize", map.info.value_size);
  set_u32(env, result, "maxEntries", map.info.max_entries);
  set_u32(env, result, "flags", map.info.map_flags);
  set_u32(env, result, "id", map.info.id);
  set_text(env, result, "name", map.info.name);
  return result;
}

// mapCreate({type, name, keySize, valueSize, maxEntries, flags, inner?})
static napi_value map_create(napi_env env, napi_callback_info info) {
  static const char *const fields[] = {"type", "keySize", "valueSize", "maxEntries", "flags"};
  napi_value args[1], field;
  uint32_t numbers[5];
  char name[BPF_OBJ_NAME_LEN];
  int inner = -1;
  if (!get_args(env, info, 1, args, NULL)) return napi_failed(env);
  for (int i = 0; i < 5; i++)
    if (!get_field(env, args[0], fields[i], &field) || !get_u32(env, field, &numbers[i])) return napi_failed(env);
  if (!get_field(env, args[0], "name", &field) || !get_text(env, field, name, sizeof(name))) return napi_failed(env);
  if (get_field(env, args[0], "inner", &field) && !fd_get(env, field, &inner)) return napi_failed(env);
  LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = numbers[4]);
  if (inner >= 0) opts.inner_map_fd = inner;
  int fd = bpf_map_create(numbers[0], name, numbers[1], numbers[2], numbers[3], &opts);
  return fd < 0 ? throw_errno(env, fd, "create a map", name) : fd_make(env, fd);
}

// mapById(id) -> Fd
static napi_value map_by_id(napi_env env, napi_callback_info info) {
  napi_value args[1];
  uint32_t id;
  if (!get_args(env, info, 1, args, NULL) || !get_u32(env, args[0], &id)) return napi_failed(env);
  int fd = bpf_map_get_fd_by_id(id);
  return fd < 0 ? throw_errno(env, fd, "open a map by its id", NULL) : fd_make(env, fd);
}

// mapLookup(map, key) -> value, or undefined when there is none
static napi_value map_lookup(napi_env env, napi_callback_info info) {
  napi_value args[2];
  struct map map;
  void *key, *value;
  if (!get_args(env, info, 2, args, NULL) || !map_get(env, args[0], &map)) return napi_failed(env);
  if (!sized(env, args[1], map.info.key_size, &key, BAD_KEY)) return NULL;
  napi_value result = make_bytes(env, value_size(&map), &value);
  if (!result) return NULL;
  int error = bpf_map_lookup_elem(map.fd, key, value);
  if (error == -ENOENT) return NULL;
  return error ? throw_errno(env, error, "look up a map entry", map.info.name) : result;
}

// mapUpdate(map, key, value, flags)
static napi_value map_update(napi_env env, napi_callback_info info) {
  napi_value args[4];
  struct map map;
  void *key, *value;
  uint32_t flags;
  if (!get_args(env, info, 4, args, NULL) || !map_get(env, args[0], &map)) return napi_failed(env);
  if (!sized(env, args[1], map.info.key_size, &key, BAD_KEY)) return NULL;
  if (!sized(env, args[2], value_size(&map), &value, BAD_VALUE)) return NULL;
  if (!get_u32(env, args[3], &flags)) return napi_failed(env);
  int error = bpf_map_update_elem(map.fd, key, value, flags);
  return error ? throw_errno(env, error, "update a map entry", map.info.name) : NULL;
}

// mapDelete(map, key) -> true when the key existed
static napi_value map_delete(napi_env env, napi_callback_info info) {
  napi_value args[2], result;
  struct map map;
  void *key;
  if (!get_args(env, info, 2, args, NULL) || !map_get(env, args[0], &map)) return napi_failed(env);
  if (!sized(env, args[1], map.info.key_size, &key, BAD_KEY)) return NULL;
  int error = bpf_map_delete_elem(map.fd, key);
  if (error && error != -ENOENT) return throw_errno(env, error, "delete a map entry", map.info.name);
  NAPI(napi_get_boolean(env, !error, &result));
  return result;
}

static bool counted(napi_env env, napi_value value, size_t size, size_t *count, void **data, const char *what) {
  size_t length = 0;
  if (!get_bytes(env, value, data, &length)) {
    napi_failed(env);
    return false;
  }
  if (length % size) throw_range(env, what);
  *count = length / size;
  return length % size == 0;
}

static napi_value make_errors(napi_env env, size_t count, int32_t **errors) {
  napi_value buffer, array;
  NAPI(napi_create_arraybuffer(env, count * sizeof(int32_t), (void **)errors, &buffer));
  NAPI(napi_create_typedarray(env, napi_int32_array, count, buffer, 0, &array));
  return array;
}

// mapUpdateEach(map, keys, values, flags) -> Int32Array: 0 or errno of each entry. It makes one system call per entry,
// so that BPF_NOEXIST works and an error of one entry does not stop the others.
static napi_value map_update_each(napi_env env, napi_callback_info info) {
  napi_value args[4];
  struct map map;
  void *keys, *values;
  size_t count, other;
  uint32_t flags;
  int32_t *errors;
  if (!get_args(env, info, 4, args, NULL) || !map_get(env, args[0], &map)) return napi_failed(env);
  if (!counted(env, args[1], map.info.key_size, &count, &keys, BAD_KEY)) return NULL;
  if (!counted(env, args[2], value_size(&map), &other, &values, BAD_VALUE)) return NULL;
  if (count != other) return throw_range(env, DIFFERENT_COUNTS);
  if (!get_u32(env, args[3], &flags)) return napi_failed(env);
  napi_value result = make_errors(env, count, &errors);
  if (!result) return NULL;
  for (size_t i = 0; i < count; i++)
    errors[i] = -bpf_map_update_elem(map.fd, (char *)keys + i * map.info.key_size,
                                     (char *)values + i * value_size(&map), flags);
  return result;
}

// mapDeleteEach(map, keys) -> Int32Array: 0 or errno of each entry.
static napi_value map_delete_each(napi_env env, napi_callback_info info) {
  napi_value args[2];
  struct map map;
  void *keys;
  size_t count;
  int32_t *errors;
  if (!get_args(env, info, 2, args, NULL) || !map_get(env, args[0], &map)) return napi_failed(env);
  if (!counted(env, args[1], map.info.key_size, &count, &keys, BAD_KEY)) return NULL;
  napi_value result = make_errors(env, count, &errors);
  if (!result) return NULL;
  for (size_t i = 0; i < count; i++) errors[i] = -bpf_map_delete_elem(map.fd, (char *)keys + i * map.info.key_size);
  return result;
}

// The kernel has no call that deletes an entry only if it has this value. So the entry is compared, then taken out, and put
// back if it is another one by then: -ESTALE, as when it was another one before.
static int delete_unchanged(const struct map *map, const void *key, const void *value, void *found) {
  size_t size = map->info.value_size;
  int error = bpf_map_lookup_elem(map->fd, key, found);
  if (error) return error;
  if (memcmp(found, value, size)) return -ESTALE;
  error = bpf_map_lookup_and_delete_elem(map->fd, key, found);
  if (error || !memcmp(found, value, size)) return error;
  error = bpf_map_update_elem(map->fd, key, found, BPF_NOEXIST);
  return error && error != -EEXIST ? error : -ESTALE;
}

// mapDeleteUnchanged(map, keys, values) -> Int32Array: 0 or errno of each entry: ESTALE when it has another value.
static napi_value map_delete_unchanged(napi_env env, napi_callback_info info) {
  napi_value args[3];
  struct map map;
  void *keys, *values;
  size_t count, other;
  int32_t *errors;
  if (!get_args(env, info, 3, args, NULL) || !map_get(env, args[0], &map)) return napi_failed(env);
  if (!counted(env, args[1], map.info.key_size, &count, &keys, BAD_KEY)) return NULL;
  if (!counted(env, args[2], value_size(&map), &other, &values, BAD_VALUE)) return NULL;
  if (count != other) return throw_range(env, DIFFERENT_COUNTS);
  if (map.info.type != BPF_MAP_TYPE_HASH) return throw_errno(env, EINVAL, "delete unchanged entries", map.info.name);
  void *found = malloc(map.info.value_size);
  if (!found) return throw_errno(env, ENOMEM, "delete unchanged entries", map.info.name);
  napi_value result = make_errors(env, count, &errors);
  for (size_t i = 0; result && i < count; i++)
    errors[i] = -delete_unchanged(&map, (char *)keys + i * map.info.key_size,
                                  (char *)values + i * map.info.value_size, found);
  free(found);
  return result;
}

// mapUpdateBatch(map, keys, values) -> number of entries written, by one system call.
static napi_value map_update_batch(napi_env env, napi_callback_info info) {
  napi_value args[3], result;
  struct map map;
  void *keys, *values;
  size_t count, other;
  if (!get_args(env, info, 3, args, NULL) || !map_get(env, args[0], &map)) return napi_failed(env);
  if (!counted(env, args[1], map.info.key_size, &count, &keys, BAD_KEY)) return NULL;
  if (!counted(env, args[2], value_size(&map), &other, &values, BAD_VALUE)) return NULL;
  if (count != other) return throw_range(env, DIFFERENT_COUNTS);
  uint32_t done = count;
  LIBBPF_OPTS(bpf_map_batch_opts, opts);
  int error = count ? bpf_map_update_batch(map.fd, keys, values, &done, &opts) : 0;
  if (error) return throw_errno(env, error, "update map entries", map.info.name);
  NAPI(napi_create_uint32(env, done, &result));
  return result;
}

// mapDump(map, cursor or undefined, most) -> {keys, values, count, cursor, end}: one batch of the entries.
// Pass `cursor` to the next call to continue; its 64 bytes are opaque.
static napi_value map_dump(napi_env env, napi_callback_info info) {
  napi_value args[3], result, keys_array, values_array, cursor_array, end;
  struct map map;
  void *keys, *values, *in = NULL, *out;
  uint32_t count;
  if (!get_args(env, info, 3, args, NULL) || !map_get(env, args[0], &map)) return napi_failed(env);
  if (!is_absent(env, args[1]) && !sized(env, args[1], 64, &in, "Cannot use a cursor that is not 64 bytes long"))
    return NULL;
  if (!get_u32(env, args[2], &count)) return napi_failed(env);
  if (!(keys_array = make_bytes(env, (size_t)count * map.info.key_size, &keys))) return NULL;
  if (!(values_array = make_bytes(env, count * value_size(&map), &values))) return NULL;
  if (!(cursor_array = make_bytes(env, 64, &out))) return NULL;
  if (map.info.key_size > 64) return throw_errno(env, EINVAL, "dump a map with keys of this size", map.info.name);
  LIBBPF_OPTS(bpf_map_batch_opts, opts);
  int error = bpf_map_lookup_batch(map.fd, in, out, keys, values, &count, &opts);
  if (error && error != -ENOENT) return throw_errno(env, error, "read map entries", map.info.name);
  NAPI(napi_create_object(env, &result));
  NAPI(napi_set_named_property(env, result, "keys", keys_array));
  NAPI(napi_set_named_property(env, result, "values", values_array));
  NAPI(napi_set_named_property(env, result, "cursor", cursor_array));
  NAPI(napi_get_boolean(env, error == -ENOENT, &end));
  NAPI(napi_set_named_property(env, result, "end", end));
  set_u32(env, result, "count", count);
  return result;
}

bool map_init(napi_env env, napi_value exports) {
  return set_function(env, exports, "mapInfo", map_info) && set_function(env, exports, "mapCreate", map_create) &&
         set_function(env, exports, "mapById", map_by_id) && set_function(env, exports, "mapLookup", map_lookup) &&
         set_function(env, exports, "mapUpdate", map_update) && set_function(env, exports, "mapDelete", map_delete) &&
         set_function(env, exports, "mapUpdateEach", map_update_each) &&
         set_function(env, exports, "mapDeleteEach", map_delete_each) &&
         set_function(env, exports, "mapDeleteUnchanged", map_delete_unchanged) &&
         set_function(env, exports, "mapUpdateBatch", map_update_batch) &&
         set_function(env, exports, "mapDump", map_dump);
}
