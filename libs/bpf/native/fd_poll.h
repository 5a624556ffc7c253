// SPDX-License-Identifier: Apache-2.0
// Calls a JavaScript function while an fd is readable. A zeroed struct is a poll that was never started.
#pragma once
#include <uv.h>

#include "native.h"

struct fd_poll {
  napi_env env;
  napi_ref callback, self;  // held from start to stop
  napi_async_context context;
  uv_poll_t *handle;  // freed by its close callback
};

// Calls `callback` while `fd` is readable; `self` is the object that owns the fd. Keeps the process alive until
// fd_poll_stop. Returns NULL, with an exception pending when it failed.
napi_value fd_poll_start(struct fd_poll *poll, napi_env env, int fd, napi_value self, napi_value callback,
                         const char *what);
// Pauses or resumes callbacks. Readiness during a pause is reported after it.
void fd_poll_rest(struct fd_poll *poll, bool rests);
void fd_poll_stop(struct fd_poll *poll);
