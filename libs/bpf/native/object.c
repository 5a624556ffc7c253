// SPDX-License-Identifier: Apache-2.0
// Opens, configures and loads BPF objects; returns programs and maps as handles, or what an object declares of its maps.
// Errors include the output of libbpf and the verifier.
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

// The last 256 KiB of libbpf's output: the verifier's log ends with its error. Objects are loaded on the main thread only.
static struct {
  char text[256 << 10];
  size_t length;
} libbpf_output;

static void append_output(const char *text, size_t length) {
  size_t most = sizeof(libbpf_output.text) - 1;
  if (length > most) text += length - most, length = most;
  size_t kept = libbpf_output.length + length > most ? most - length : libbpf_output.length;
  memmove(libbpf_output.text, libbpf_output.text + libbpf_output.length - kept, kept);
  memcpy(libbpf_output.text + kept, text, length);
  libbpf_output.length = kept + length;
  libbpf_output.text[libbpf_output.length] = 0;
}

static int print_output(enum libbpf_print_level level, const char *format, va_list args) {
  if (level == LIBBPF_DEBUG) return 0;
  char *text = NULL;
  int length = vasprintf(&text, format, args);
  if (length < 0) return 0;
  append_output(text, (size_t)length);
  free(text);
  return 0;
}

// The verifier fails with EAGAIN when a signal is pending. libbpf tries five times, which is not enough if signals keep
// coming (a profiler, children that exit). So signals are blocked for the few milliseconds of a load; other threads
// still receive them.
static sigset_t block_signals(void) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  return before;
}

static void restore_signals(sigset_t before) { pthread_sigmask(SIG_SETMASK, &before, NULL); }

// Sets the read-only variable `name`, as a whole, before the object is loaded.
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
    if (!bpf_program__autoload(program)) continue;
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

// Opens an object without loading it; throws with libbpf's output, or the path.
static struct bpf_object *open_object(napi_env env, const char *path) {
  libbpf_output.length = 0;
  libbpf_output.text[0] = 0;
  libbpf_set_print(print_output);
  struct bpf_object *object = bpf_object__open_file(path, NULL);
  if (!object) throw_errno(env, errno, "open a BPF object", *libbpf_output.text ? libbpf_output.text : path);
  return object;
}

// Only the programs of `options.programs` are loaded, when it is there. On failure `bad` holds the name of one that is not.
static int choose_programs(napi_env env, struct bpf_object *object, napi_value options, char *bad) {
  napi_value names, name;
  uint32_t count = 0;
  struct bpf_program *program;
  if (!get_field(env, options, "programs", &names)) return 0;
  if (napi_get_array_length(env, names, &count) != napi_ok) return -EINVAL;
  bpf_object__for_each_program(program, object) bpf_program__set_autoload(program, false);
  for (uint32_t i = 0; i < count; i++) {
    if (napi_get_element(env, names, i, &name) != napi_ok || !get_text(env, name, bad, 128)) return -EINVAL;
    if (!(program = bpf_object__find_program_by_name(object, bad))) return -ENOENT;
    bpf_program__set_autoload(program, true);
  }
  return 0;
}

// loadObject(path, {rodata?: {variable: bytes}, maxEntries?: {map: number}, reuse?: {map: Fd}, programs?: names})
//   -> {maps: {name: Fd}, programs: {name: {fd, attachType}}}. The error's `detail` has the verifier's log.
static napi_value load_object(napi_env env, napi_callback_info info) {
  napi_value args[2], result = NULL;
  char path[4096], bad[128] = "";
  if (!get_args(env, info, 2, args, NULL) || !get_text(env, args[0], path, sizeof(path))) return napi_failed(env);
  struct bpf_object *object = open_object(env, path);
  if (!object) return NULL;
  int error = choose_programs(env, object, args[1], bad);
  if (!error) error = for_each(env, object, args[1], "rodata", apply_rodata, bad);
  if (!error) error = for_each(env, object, args[1], "maxEntries", apply_max_entries, bad);
  if (!error) error = for_each(env, object, args[1], "reuse", apply_reuse, bad);
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) goto out;
  if (error) {
    throw_errno(env, error, "configure a BPF object", bad);
    goto out;
  }
  sigset_t signals = block_signals();
  error = bpf_object__load(object);
  restore_signals(signals);
  if (error)
    throw_errno(env, error, "load a BPF object", libbpf_output.text);
  else
    result = handles(env, object);
out:
  bpf_object__close(object);
  return result;
}

static napi_value map_spec(napi_env env, struct bpf_map *map) {
  napi_value spec, inner;
  NAPI(napi_create_object(env, &spec));
  set_u32(env, spec, "type", bpf_map__type(map));
  set_u32(env, spec, "keySize", bpf_map__key_size(map));
  set_u32(env, spec, "valueSize", bpf_map__value_size(map));
  set_u32(env, spec, "maxEntries", bpf_map__max_entries(map));
  set_u32(env, spec, "flags", bpf_map__map_flags(map));
  struct bpf_map *inner_map = bpf_map__inner_map(map);
  if (!inner_map) return spec;
  if (!(inner = map_spec(env, inner_map))) return NULL;
  NAPI(napi_set_named_property(env, spec, "inner", inner));
  return spec;
}

// objectMaps(path) -> {name: {type, keySize, valueSize, maxEntries, flags, inner?}}: what the object declares, nothing
// is loaded. `inner` is the declaration of the maps in a map of maps.
static napi_value object_maps(napi_env env, napi_callback_info info) {
  napi_value args[1], result, spec;
  char path[4096];
  struct bpf_map *map;
  if (!get_args(env, info, 1, args, NULL) || !get_text(env, args[0], path, sizeof(path))) return napi_failed(env);
  struct bpf_object *object = open_object(env, path);
  if (!object) return NULL;
  napi_status status = napi_create_object(env, &result);
  bpf_object__for_each_map(map, object) {
    if (bpf_map__is_internal(map)) continue;
    if (status != napi_ok || !(spec = map_spec(env, map))) break;
    status = napi_set_named_property(env, result, bpf_map__name(map), spec);
  }
  bpf_object__close(object);
  return map || status != napi_ok ? napi_failed(env) : result;
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

// probeHelper(programType, helper) -> true when this kernel supports the helper for this program type
static napi_value probe_helper(napi_env env, napi_callback_info info) {
  napi_value args[2], result;
  uint32_t type, helper;
  if (!get_args(env, info, 2, args, NULL) || !get_u32(env, args[0], &type) || !get_u32(env, args[1], &helper))
    return napi_failed(env);
  libbpf_output.length = 0;
  libbpf_set_print(print_output);
  sigset_t signals = block_signals();
  int known = libbpf_probe_bpf_helper(type, helper, NULL);
  restore_signals(signals);
  if (known < 0) return throw_errno(env, known, "probe a BPF helper", NULL);
  NAPI(napi_get_boolean(env, known == 1, &result));
  return result;
}

bool object_init(napi_env env, napi_value exports) {
  return set_function(env, exports, "loadObject", load_object) &&
         set_function(env, exports, "objectMaps", object_maps) &&
         set_function(env, exports, "programInfo", program_info) &&
         set_function(env, exports, "probeHelper", probe_helper);
}
