// SPDX-License-Identifier: Apache-2.0
// Calls back when an fd can be read. A zeroed struct is a poll that was never started.
#pragma once
#include <uv.h>

#include "native.h"

struct fd_poll {
  napi_env env;
  napi_ref callback, self;  // held from start to stop
  napi_async_context context;
  uv_poll_t *handle;  // freed by its close callback
};

// Calls back while `fd` can be read; `self` is the object that owns the fd. Keeps the process alive until it is
// stopped. Returns NULL, with an exception pending when it failed.
napi_value fd_poll_start(struct fd_poll *poll, napi_env env, int fd, napi_value self, napi_value callback,
                         const char *what);
// While it rests there are no callbacks; readiness from that time is reported afterwards.
void fd_poll_rest(struct fd_poll *poll, bool rests);
void fd_poll_stop(struct fd_poll *poll);
