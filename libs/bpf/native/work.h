// SPDX-License-Identifier: Apache-2.0
// An operation on a worker thread, whose result settles a promise.
#pragma once
#include "native.h"

struct work {
  napi_async_work work;
  napi_deferred deferred;
  const char *what;
  int (*run)(struct work *);                       // on the worker thread; returns 0 or an errno
  napi_value (*answer)(napi_env, struct work *);   // on the main thread after success; NULL = undefined
  int error;
  int fd;           // a duplicate, because the caller may close its fd meanwhile; -1 = none
  int second_fd;    // the same
  char *in, *out;   // freed with the work
  size_t in_size, out_size, key_size, context_size, data_size;
  uint32_t repeat, retval, duration;
  uint32_t ifindex, attach_type;
};

// NULL, with an exception, when there is no memory. `what`: the action in the error, "Cannot <what>: …".
struct work *work_make(napi_env env, const char *what, int (*run)(struct work *));
// Each releases the work when it fails, and returns false with an exception.
bool work_duplicate_fd(napi_env env, struct work *work, int fd);
bool work_duplicate_second_fd(napi_env env, struct work *work, int fd);
bool work_allocate(napi_env env, struct work *work, size_t in, size_t out);
// An answer: the Fd that `run` put in place of work->fd.
napi_value work_fd_answer(napi_env env, struct work *work);
// Returns the promise. Takes ownership of the work, also when it cannot be started.
napi_value work_start(napi_env env, struct work *work);
