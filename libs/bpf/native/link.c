// SPDX-License-Identifier: Apache-2.0
// Pins, and links of programs to cgroups and to network devices (TCX). What changes a device waits for others that change
// the network, so that it runs on a worker thread.
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "netns.h"
#include "work.h"

// Of Linux 6.6; headers may be older.
#define TCX_INGRESS 46
#define LINK_TYPE_TCX 11

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

struct device_link {
  int program, ifindex, type, link;
};

static int create_device_link(void *data) {
  struct device_link *make = data;
  make->link = bpf_link_create(make->program, make->ifindex, make->type, NULL);
  return make->link < 0 ? -make->link : 0;
}

static int run_device_link_create(struct work *work) {
  struct device_link make = {.program = work->fd, .ifindex = work->ifindex, .type = work->attach_type};
  int error = in_netns(work->in, create_device_link, &make);
  if (error) return error;
  close(work->fd);
  work->fd = make.link;
  return 0;
}

// deviceLinkCreate(program, ifindex, attachType, netns) -> promise of Fd; `netns`: path of the network namespace of the
// device, undefined = that of the process
static napi_value device_link_create(napi_env env, napi_callback_info info) {
  napi_value args[4];
  char netns[4096] = "";
  uint32_t ifindex, type;
  int program;
  if (!get_args(env, info, 4, args, NULL) || !fd_get(env, args[0], &program) || !get_u32(env, args[1], &ifindex) ||
      !get_u32(env, args[2], &type) || (!is_absent(env, args[3]) && !get_text(env, args[3], netns, sizeof(netns))))
    return napi_failed(env);
  struct work *work = work_make(env, "attach a program to a device", run_device_link_create);
  if (!work || !work_duplicate_fd(env, work, program) || !work_allocate(env, work, strlen(netns), 0)) return NULL;
  strcpy(work->in, netns);
  work->ifindex = ifindex;
  work->attach_type = type;
  work->answer = work_fd_answer;
  return work_start(env, work);
}

static int run_device_link_update(struct work *work) {
  return -bpf_link_update(work->fd, work->second_fd, NULL);
}

// deviceLinkUpdate(link, program) -> promise: as linkUpdate
static napi_value device_link_update(napi_env env, napi_callback_info info) {
  napi_value args[2];
  int link, program;
  if (!get_args(env, info, 2, args, NULL) || !fd_get(env, args[0], &link) || !fd_get(env, args[1], &program))
    return napi_failed(env);
  struct work *work = work_make(env, "replace the program of a link", run_device_link_update);
  if (!work || !work_duplicate_fd(env, work, link) || !work_duplicate_second_fd(env, work, program)) return NULL;
  return work_start(env, work);
}

static int run_device_link_detach(struct work *work) { return -bpf_link_detach(work->fd); }

// deviceLinkDetach(link) -> promise: as linkDetach
static napi_value device_link_detach(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int link;
  if (!get_args(env, info, 1, args, NULL) || !fd_get(env, args[0], &link)) return napi_failed(env);
  struct work *work = work_make(env, "detach a link", run_device_link_detach);
  if (!work || !work_duplicate_fd(env, work, link)) return NULL;
  return work_start(env, work);
}

// probeTcx() -> true when this kernel has TCX links: a query of a kernel without them fails with EINVAL
static napi_value probe_tcx(napi_env env, napi_callback_info info) {
  const int loopback = 1;
  napi_value result;
  uint32_t count = 0;
  (void)info;
  int error = bpf_prog_query(loopback, TCX_INGRESS, 0, NULL, NULL, &count);
  if (error && error != -EINVAL) return throw_errno(env, error, "query the programs of a device", NULL);
  NAPI(napi_get_boolean(env, !error, &result));
  return result;
}

// linkInfo(link) -> {id, type, programId, attachType, cgroupId: bigint, ifindex}; cgroupId is 0 when the link is to no
// cgroup or the cgroup was removed, ifindex when it is to no device or the device was deleted
static napi_value link_info(napi_env env, napi_callback_info info) {
  napi_value args[1], result, cgroup;
  struct bpf_link_info link = {};
  struct {
    uint32_t ifindex, attach_type;
  } tcx = {};
  uint32_t size = sizeof(link);
  int fd;
  if (!get_args(env, info, 1, args, NULL) || !fd_get(env, args[0], &fd)) return napi_failed(env);
  int error = bpf_obj_get_info_by_fd(fd, &link, &size);
  if (error) return throw_errno(env, error, "read the link's information", NULL);
  bool is_cgroup = link.type == BPF_LINK_TYPE_CGROUP;
  if (link.type == LINK_TYPE_TCX) memcpy(&tcx, &link.cgroup, sizeof(tcx));  // another member of the same union
  NAPI(napi_create_object(env, &result));
  set_u32(env, result, "id", link.id);
  set_u32(env, result, "type", link.type);
  set_u32(env, result, "programId", link.prog_id);
  set_u32(env, result, "attachType", is_cgroup ? link.cgroup.attach_type : tcx.attach_type);
  set_u32(env, result, "ifindex", tcx.ifindex);
  NAPI(napi_create_bigint_uint64(env, is_cgroup ? link.cgroup.cgroup_id : 0, &cgroup));
  NAPI(napi_set_named_property(env, result, "cgroupId", cgroup));
  return result;
}

bool link_init(napi_env env, napi_value exports) {
  return set_function(env, exports, "pin", pin) && set_function(env, exports, "openPin", open_pin) &&
         set_function(env, exports, "linkCreate", link_create) &&
         set_function(env, exports, "linkUpdate", link_update) &&
         set_function(env, exports, "linkDetach", link_detach) && set_function(env, exports, "linkInfo", link_info) &&
         set_function(env, exports, "deviceLinkCreate", device_link_create) &&
         set_function(env, exports, "deviceLinkUpdate", device_link_update) &&
         set_function(env, exports, "deviceLinkDetach", device_link_detach) &&
         set_function(env, exports, "probeTcx", probe_tcx);
}
