// SPDX-License-Identifier: Apache-2.0
// Operations that may take milliseconds: they run on a worker thread and return a promise.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "work.h"

static void run(napi_env env, void *data) {
  struct work *work = data;
  (void)env;
  work->error = work->run(work);
}

static void release(struct work *work) {
  if (work->fd >= 0) close(work->fd);
  free(work->in);
  free(work->out);
  free(work);
}

static void finish(napi_env env, napi_status status, void *data) {
  struct work *work = data;
  (void)status;
  napi_value result = NULL;
  if (work->error)
    result = make_error(env, work->error, work->what, NULL);
  else if (work->answer)
    result = work->answer(env, work);
  else
    napi_get_undefined(env, &result);
  bool failed = work->error || !result;
  if (!result) napi_get_and_clear_last_exception(env, &result);
  if (failed)
    napi_reject_deferred(env, work->deferred, result);
  else
    napi_resolve_deferred(env, work->deferred, result);
  napi_delete_async_work(env, work->work);
  release(work);
}

struct work *work_make(napi_env env, const char *what, int (*call)(struct work *)) {
  struct work *work = calloc(1, sizeof(*work));
  if (!work) {
    throw_errno(env, ENOMEM, what, NULL);
    return NULL;
  }
  work->what = what;
  work->run = call;
  work->fd = -1;
  return work;
}

napi_value work_start(napi_env env, struct work *work) {
  napi_value promise, name;
  if (napi_create_string_utf8(env, work->what, NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_promise(env, &work->deferred, &promise) == napi_ok &&
      napi_create_async_work(env, NULL, name, run, finish, work, &work->work) == napi_ok) {
    if (napi_queue_async_work(env, work->work) == napi_ok) return promise;
    napi_delete_async_work(env, work->work);
  }
  release(work);
  return napi_failed(env);
}

bool work_duplicate_fd(napi_env env, struct work *work, int fd) {
  work->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (work->fd >= 0) return true;
  throw_errno(env, errno, work->what, NULL);
  release(work);
  return false;
}

bool work_allocate(napi_env env, struct work *work, size_t in, size_t out) {
  work->in = malloc(in + 1);
  work->out = malloc(out + 1);
  if (work->in && work->out) return true;
  throw_errno(env, ENOMEM, work->what, NULL);
  release(work);
  return false;
}

static int run_update(struct work *work) {
  return bpf_map_update_elem(work->fd, work->in, work->in + work->key_size, BPF_ANY);
}

// mapUpdateSlow(map, key, value) -> promise: for maps of maps, whose updates wait for an RCU grace period
static napi_value map_update_slow(napi_env env, napi_callback_info info) {
  napi_value args[3];
  void *key, *value;
  size_t key_size, value_size;
  struct bpf_map_info map = {};
  uint32_t size = sizeof(map);
  int fd;
  if (!get_args(env, info, 3, args, NULL) || !fd_get(env, args[0], &fd) ||
      !get_bytes(env, args[1], &key, &key_size) || !get_bytes(env, args[2], &value, &value_size))
    return napi_failed(env);
  int error = bpf_obj_get_info_by_fd(fd, &map, &size);
  if (error) return throw_errno(env, error, "read the map's information", NULL);
  if (key_size != map.key_size || value_size != map.value_size)
    return throw_range(env, "Cannot use a key or value that is not as long as the map's");
  struct work *work = work_make(env, "update a map entry", run_update);
  if (!work || !work_duplicate_fd(env, work, fd) || !work_allocate(env, work, key_size + value_size, 0)) return NULL;
  work->key_size = key_size;
  memcpy(work->in, key, key_size);
  memcpy(work->in + key_size, value, value_size);
  return work_start(env, work);
}

static int run_test(struct work *work) {
  LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = work->in, .data_size_in = work->in_size, .data_out = work->out,
              .data_size_out = work->out_size, .repeat = work->repeat);
  int error;
  do {
    error = bpf_prog_test_run_opts(work->fd, &opts);
  } while (error == -EINTR);
  work->retval = opts.retval;
  work->duration = opts.duration;
  work->out_size = opts.data_size_out < work->out_size ? opts.data_size_out : work->out_size;
  return error;
}

static napi_value test_answer(napi_env env, struct work *work) {
  void *data;
  napi_value result;
  napi_create_object(env, &result);
  set_u32(env, result, "retval", work->retval);
  set_u32(env, result, "durationNs", work->duration);
  napi_value bytes = make_bytes(env, work->out_size, &data);
  if (work->out_size) memcpy(data, work->out, work->out_size);
  napi_set_named_property(env, result, "data", bytes);
  return result;
}

// testRun(program, packet, repeat) -> promise of {retval, durationNs (mean of one run), data}
static napi_value test_run(napi_env env, napi_callback_info info) {
  napi_value args[3];
  void *data;
  size_t length;
  uint32_t repeat;
  int fd;
  if (!get_args(env, info, 3, args, NULL) || !fd_get(env, args[0], &fd) || !get_bytes(env, args[1], &data, &length) ||
      !get_u32(env, args[2], &repeat))
    return napi_failed(env);
  struct work *work = work_make(env, "run a program", run_test);
  if (!work || !work_duplicate_fd(env, work, fd) || !work_allocate(env, work, length, length + 256)) return NULL;
  work->answer = test_answer;
  work->repeat = repeat ? repeat : 1;
  work->in_size = length;
  work->out_size = length + 256;
  memcpy(work->in, data, length);
  return work_start(env, work);
}

bool work_init(napi_env env, napi_value exports) {
  return set_function(env, exports, "mapUpdateSlow", map_update_slow) &&
         set_function(env, exports, "testRun", test_run);
}
