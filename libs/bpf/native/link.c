// SPDX-License-Identifier: Apache-2.0
// Pins, and links of programs to cgroups.
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "native.h"

// pin(fd, path)
static napi_value pin(napi_env env, napi_callback_info info) {
  napi_value args[2];
  char path[4096];
  int fd;
  if (!get_args(env, info, 2, args, NULL) || !fd_get(env, args[0], &fd) || !get_text(env, args[1], path, sizeof(path)))
    return napi_failed(env);
  int error = bpf_obj_pin(fd, path);
  return error ? throw_errno(env, error, "pin into bpffs", path) : NULL;
}

// openPin(path) -> Fd
static napi_value open_pin(napi_env env, napi_callback_info info) {
  napi_value args[1];
  char path[4096];
  if (!get_args(env, info, 1, args, NULL) || !get_text(env, args[0], path, sizeof(path))) return napi_failed(env);
  int fd = bpf_obj_get(path);
  return fd < 0 ? throw_errno(env, fd, "open a pin", path) : fd_make(env, fd);
}

// linkCreate(program, target, attachType) -> Fd; target is a cgroup directory
static napi_value link_create(napi_env env, napi_callback_info info) {
  napi_value args[3];
  int program, target;
  uint32_t type;
  if (!get_args(env, info, 3, args, NULL) || !fd_get(env, args[0], &program) || !fd_get(env, args[1], &target) ||
      !get_u32(env, args[2], &type))
    return napi_failed(env);
  int fd = bpf_link_create(program, target, type, NULL);
  return fd < 0 ? throw_errno(env, fd, "attach a program", NULL) : fd_make(env, fd);
}

// linkUpdate(link, program): replaces the program atomically: every later run is of the new one
static napi_value link_update(napi_env env, napi_callback_info info) {
  napi_value args[2];
  int link, program;
  if (!get_args(env, info, 2, args, NULL) || !fd_get(env, args[0], &link) || !fd_get(env, args[1], &program))
    return napi_failed(env);
  int error = bpf_link_update(link, program, NULL);
  return error ? throw_errno(env, error, "replace the program of a link", NULL) : NULL;
}

// linkDetach(link)
static napi_value link_detach(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int link;
  if (!get_args(env, info, 1, args, NULL) || !fd_get(env, args[0], &link)) return napi_failed(env);
  int error = bpf_link_detach(link);
  return error ? throw_errno(env, error, "detach a link", NULL) : NULL;
}

// linkInfo(link) -> {id, type, programId, cgroupId: bigint, attachType}; cgroupId is 0 when the cgroup was removed
static napi_value link_info(napi_env env, napi_callback_info info) {
  napi_value args[1], result, cgroup;
  struct bpf_link_info link = {};
  uint32_t size = sizeof(link);
  int fd;
  if (!get_args(env, info, 1, args, NULL) || !fd_get(env, args[0], &fd)) return napi_failed(env);
  int error = bpf_obj_get_info_by_fd(fd, &link, &size);
  if (error) return throw_errno(env, error, "read the link's information", NULL);
  NAPI(napi_create_object(env, &result));
  set_u32(env, result, "id", link.id);
  set_u32(env, result, "type", link.type);
  set_u32(env, result, "programId", link.prog_id);
  bool is_cgroup = link.type == BPF_LINK_TYPE_CGROUP;
  set_u32(env, result, "attachType", is_cgroup ? link.cgroup.attach_type : 0);
  NAPI(napi_create_bigint_uint64(env, is_cgroup ? link.cgroup.cgroup_id : 0, &cgroup));
  NAPI(napi_set_named_property(env, result, "cgroupId", cgroup));
  return result;
}

bool link_init(napi_env env, napi_value exports) {
  return set_function(env, exports, "pin", pin) && set_function(env, exports, "openPin", open_pin) &&
         set_function(env, exports, "linkCreate", link_create) &&
         set_function(env, exports, "linkUpdate", link_update) &&
         set_function(env, exports, "linkDetach", link_detach) && set_function(env, exports, "linkInfo", link_info);
}
