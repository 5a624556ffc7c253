// SPDX-License-Identifier: Apache-2.0
// Objects: open, set up, load; programs and maps as handles. What libbpf and the verifier say goes into the error.
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "native.h"

// The last 256 KiB of what libbpf said. Loading happens on the main thread only.
static struct {
  char text[256 << 10];
  size_t length;
} saying;

static int say(enum libbpf_print_level level, const char *format, va_list args) {
  if (level == LIBBPF_DEBUG) return 0;
  size_t room = sizeof(saying.text) - saying.length;
  int written = vsnprintf(saying.text + saying.length, room, format, args);
  if (written > 0) saying.length += (size_t)written < room ? (size_t)written : room - 1;
  return 0;
}

// The verifier gives up with EAGAIN when a signal is pending. libbpf tries a program five times, which a profiler or a
// child that ends too often outlasts: signals wait for the few milliseconds of a load. Other threads still take them.
static sigset_t hold_signals(void) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  return before;
}

static void release_signals(sigset_t before) { pthread_sigmask(SIG_SETMASK, &before, NULL); }

// Sets the read-only variable `name` (all of it) before the object is loaded.
static int set_rodata(struct bpf_object *object, const char *name, const void *data, size_t length) {
  struct btf *btf = bpf_object__btf(object);
  struct bpf_map *map = bpf_object__find_map_by_name(object, ".rodata");
  int section = btf ? btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC) : -ENOENT;
  size_t size = 0;
  char *bytes = map ? (char *)bpf_map__initial_value(map, &size) : NULL;
  if (section < 0 || !bytes) return -ENOENT;
  const struct btf_type *type = btf__type_by_id(btf, section);
  struct btf_var_secinfo *var = btf_var_secinfos(type);
  for (int i = 0; i < btf_vlen(type); i++, var++) {
    const struct btf_type *item = btf__type_by_id(btf, var->type);
    if (strcmp(btf__name_by_offset(btf, item->name_off), name)) continue;
    if (var->size != length || var->offset + length > size) return -EMSGSIZE;
    memcpy(bytes + var->offset, data, length);
    return 0;
  }
  return -ENOENT;
}

typedef int (*apply)(napi_env env, struct bpf_object *object, const char *name, napi_value value);

static int apply_rodata(napi_env env, struct bpf_object *object, const char *name, napi_value value) {
  void *data;
  size_t length;
  return get_bytes(env, value, &data, &length) ? set_rodata(object, name, data, length) : -EINVAL;
}

static int apply_max_entries(napi_env env, struct bpf_object *object, const char *name, napi_value value) {
  struct bpf_map *map = bpf_object__find_map_by_name(object, name);
  uint32_t number;
  if (!map) return -ENOENT;
  return get_u32(env, value, &number) ? bpf_map__set_max_entries(map, number) : -EINVAL;
}

static int apply_reuse(napi_env env, struct bpf_object *object, const char *name, napi_value value) {
  struct bpf_map *map = bpf_object__find_map_by_name(object, name);
  int fd;
  if (!map) return -ENOENT;
  return fd_get(env, value, &fd) ? bpf_map__reuse_fd(map, fd) : -EINVAL;
}

// Calls `call` for every property of options[field]. On failure `bad` holds the property's name.
static int for_each(napi_env env, struct bpf_object *object, napi_value options, const char *field, apply call, char *bad) {
  napi_value table, names, name, value;
  uint32_t count = 0;
  if (!get_field(env, options, field, &table)) return 0;
  if (napi_get_property_names(env, table, &names) != napi_ok) return -EINVAL;
  napi_get_array_length(env, names, &count);
  for (uint32_t i = 0; i < count; i++) {
    napi_get_element(env, names, i, &name);
    if (!get_text(env, name, bad, 128) || napi_get_property(env, table, name, &value) != napi_ok) return -EINVAL;
    int error = call(env, object, bad, value);
    if (error) return error;
  }
  return 0;
}

static napi_value fd_copy(napi_env env, int fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return copy < 0 ? throw_errno(env, errno, "copy a file descriptor", NULL) : fd_make(env, copy);
}

static napi_value handles(napi_env env, struct bpf_object *object) {
  napi_value result, maps, programs, handle, entry;
  struct bpf_map *map;
  struct bpf_program *program;
  NAPI(napi_create_object(env, &result));
  NAPI(napi_create_object(env, &maps));
  NAPI(napi_create_object(env, &programs));
  bpf_object__for_each_map(map, object) {
    if (bpf_map__is_internal(map)) continue;
    if (!(handle = fd_copy(env, bpf_map__fd(map)))) return NULL;
    NAPI(napi_set_named_property(env, maps, bpf_map__name(map), handle));
  }
  bpf_object__for_each_program(program, object) {
    if (!(handle = fd_copy(env, bpf_program__fd(program)))) return NULL;
    NAPI(napi_create_object(env, &entry));
    NAPI(napi_set_named_property(env, entry, "fd", handle));
    set_u32(env, entry, "attachType", bpf_program__expected_attach_type(program));
    NAPI(napi_set_named_property(env, programs, bpf_program__name(program), entry));
  }
  NAPI(napi_set_named_property(env, result, "maps", maps));
  NAPI(napi_set_named_property(env, result, "programs", programs));
  return result;
}

// loadObject(path, {rodata?: {variable: bytes}, maxEntries?: {map: number}, reuse?: {map: Fd}})
//   -> {maps: {name: Fd}, programs: {name: {fd, attachType}}}. The error's `detail` has the verifier's log.
static napi_value load_object(napi_env env, napi_callback_info info) {
  napi_value args[2], result = NULL;
  char path[4096], bad[128] = "";
  if (!get_args(env, info, 2, args, NULL) || !get_text(env, args[0], path, sizeof(path))) return napi_failed(env);
  saying.length = 0;
  saying.text[0] = 0;
  libbpf_set_print(say);
  struct bpf_object *object = bpf_object__open_file(path, NULL);
  if (!object) return throw_errno(env, errno, "open a BPF object", *saying.text ? saying.text : path);
  int error = for_each(env, object, args[1], "rodata", apply_rodata, bad);
  if (!error) error = for_each(env, object, args[1], "maxEntries", apply_max_entries, bad);
  if (!error) error = for_each(env, object, args[1], "reuse", apply_reuse, bad);
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) goto out;
  if (error) {
    throw_errno(env, error, "set up a BPF object", bad);
    goto out;
  }
  sigset_t signals = hold_signals();
  error = bpf_object__load(object);
  release_signals(signals);
  if (error)
    throw_errno(env, error, "load a BPF object", saying.text);
  else
    result = handles(env, object);
out:
  bpf_object__close(object);
  return result;
}

// programInfo(program) -> {id, name, type, instructions, jitedBytes, verifiedInstructions}
static napi_value program_info(napi_env env, napi_callback_info info) {
  napi_value args[1], result;
  struct bpf_prog_info program = {};
  uint32_t size = sizeof(program);
  int fd;
  if (!get_args(env, info, 1, args, NULL) || !fd_get(env, args[0], &fd)) return napi_failed(env);
  int error = bpf_obj_get_info_by_fd(fd, &program, &size);
  if (error) return throw_errno(env, error, "read the program's information", NULL);
  NAPI(napi_create_object(env, &result));
  set_u32(env, result, "id", program.id);
  set_text(env, result, "name", program.name);
  set_u32(env, result, "type", program.type);
  set_u32(env, result, "instructions", program.xlated_prog_len / 8);
  set_u32(env, result, "jitedBytes", program.jited_prog_len);
  set_u32(env, result, "verifiedInstructions", program.verified_insns);
  return result;
}

// probeHelper(programType, helper) -> does this kernel allow it
static napi_value probe_helper(napi_env env, napi_callback_info info) {
  napi_value args[2], result;
  uint32_t type, helper;
  if (!get_args(env, info, 2, args, NULL) || !get_u32(env, args[0], &type) || !get_u32(env, args[1], &helper))
    return napi_failed(env);
  saying.length = 0;
  libbpf_set_print(say);
  sigset_t signals = hold_signals();
  int known = libbpf_probe_bpf_helper(type, helper, NULL);
  release_signals(signals);
  if (known < 0) return throw_errno(env, known, "probe a BPF helper", NULL);
  NAPI(napi_get_boolean(env, known == 1, &result));
  return result;
}

bool object_init(napi_env env, napi_value exports) {
  return set_function(env, exports, "loadObject", load_object) &&
         set_function(env, exports, "programInfo", program_info) &&
         set_function(env, exports, "probeHelper", probe_helper);
}
