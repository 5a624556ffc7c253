// SPDX-License-Identifier: Apache-2.0
// Operations that may take milliseconds: they run on a worker thread and return a promise.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "netns.h"
#include "work.h"

static void run(napi_env env, void *data) {
  struct work *work = data;
  (void)env;
  work->error = work->run(work);
}

static void release(struct work *work) {
  if (work->fd >= 0) close(work->fd);
  if (work->second_fd >= 0) close(work->second_fd);
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
  work->second_fd = -1;
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

static bool duplicate(napi_env env, struct work *work, int fd, int *copy) {
  *copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (*copy >= 0) return true;
  throw_errno(env, errno, work->what, NULL);
  release(work);
  return false;
}

bool work_duplicate_fd(napi_env env, struct work *work, int fd) { return duplicate(env, work, fd, &work->fd); }

bool work_duplicate_second_fd(napi_env env, struct work *work, int fd) {
  return duplicate(env, work, fd, &work->second_fd);
}

napi_value work_fd_answer(napi_env env, struct work *work) {
  int fd = work->fd;
  work->fd = -1;
  return fd_make(env, fd);
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

struct test {
  struct bpf_test_run_opts *opts;
  int program;
};

static int run_in_place(void *data) {
  struct test *test = data;
  int error;
  do {
    error = bpf_prog_test_run_opts(test->program, test->opts);
  } while (error == -EINTR);
  return -error;
}

// `in` is the netns, then the packet, then the context; `out` is the packet, then the context.
static int run_test(struct work *work) {
  char *packet = work->in + strlen(work->in) + 1, *out_context = work->out + work->out_size;
  LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = work->in_size, .data_out = work->out,
              .data_size_out = work->out_size, .repeat = work->repeat);
  if (work->context_size) {
    opts.ctx_in = packet + work->in_size;
    opts.ctx_out = out_context;
    opts.ctx_size_in = opts.ctx_size_out = work->context_size;
  }
  struct test test = {.opts = &opts, .program = work->fd};
  int error = in_netns(work->in, run_in_place, &test);
  work->retval = opts.retval;
  work->duration = opts.duration;
  work->data_size = opts.data_size_out < work->out_size ? opts.data_size_out : work->out_size;
  return error;
}

static bool set_bytes(napi_env env, napi_value object, const char *name, const void *from, size_t length) {
  void *data;
  napi_value bytes = make_bytes(env, length, &data);
  if (!bytes) return false;
  if (length) memcpy(data, from, length);
  return napi_set_named_property(env, object, name, bytes) == napi_ok;
}

static napi_value test_answer(napi_env env, struct work *work) {
  napi_value result;
  NAPI(napi_create_object(env, &result));
  if (!set_u32(env, result, "retval", work->retval) || !set_u32(env, result, "durationNs", work->duration) ||
      !set_bytes(env, result, "data", work->out, work->data_size) ||
      !set_bytes(env, result, "context", work->out + work->out_size, work->context_size))
    return napi_failed(env);
  return result;
}

// testRun(program, packet, repeat, context?, netns?) -> promise of {retval, durationNs (mean of one run), data, context}.
// `context`: bytes of the context struct, of which the kernel reads and writes the fields that a test run has; `netns`:
// path of the network namespace with the devices that it names.
static napi_value test_run(napi_env env, napi_callback_info info) {
  napi_value args[5];
  void *data, *context = NULL;
  size_t length, context_size = 0;
  char netns[4096] = "";
  uint32_t repeat;
  int fd;
  if (!get_args(env, info, 5, args, NULL) || !fd_get(env, args[0], &fd) || !get_bytes(env, args[1], &data, &length) ||
      !get_u32(env, args[2], &repeat) ||
      (!is_absent(env, args[3]) && !get_bytes(env, args[3], &context, &context_size)) ||
      (!is_absent(env, args[4]) && !get_text(env, args[4], netns, sizeof(netns))))
    return napi_failed(env);
  struct work *work = work_make(env, "run a program", run_test);
  size_t netns_size = strlen(netns) + 1, out_size = length + 256;
  if (!work || !work_duplicate_fd(env, work, fd) ||
      !work_allocate(env, work, netns_size + length + context_size, out_size + context_size))
    return NULL;
  work->answer = test_answer;
  work->repeat = repeat ? repeat : 1;
  work->in_size = length;
  work->out_size = out_size;
  work->context_size = context_size;
  memcpy(work->in, netns, netns_size);
  memcpy(work->in + netns_size, data, length);
  if (context_size) memcpy(work->in + netns_size + length, context, context_size);
  return work_start(env, work);
}

bool work_init(napi_env env, napi_value exports) {
  return set_function(env, exports, "mapUpdateSlow", map_update_slow) &&
         set_function(env, exports, "testRun", test_run);
}
