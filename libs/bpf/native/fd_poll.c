// SPDX-License-Identifier: Apache-2.0
// Calls a JavaScript function, on libuv's loop, while an fd is readable.
#include <stdlib.h>
#include <uv.h>

#include "fd_poll.h"

static void handle_closed(uv_handle_t *handle) { free(handle); }

static void on_readable(uv_poll_t *handle, int status, int events) {
  struct fd_poll *poll = handle->data;
  napi_handle_scope scope;
  napi_value callback, global;
  (void)status;
  (void)events;
  if (!poll) return;
  napi_env env = poll->env;
  napi_open_handle_scope(env, &scope);
  napi_get_global(env, &global);
  napi_get_reference_value(env, poll->callback, &callback);
  if (napi_make_callback(env, poll->context, global, callback, 0, NULL, NULL) == napi_pending_exception) {
    napi_value thrown;
    napi_get_and_clear_last_exception(env, &thrown);
    napi_fatal_exception(env, thrown);  // like any uncaught exception
  }
  napi_close_handle_scope(env, scope);
}

napi_value fd_poll_start(struct fd_poll *poll, napi_env env, int fd, napi_value self, napi_value callback,
                         const char *what) {
  napi_value name;
  uv_loop_t *loop;
  if (poll->handle) return throw_errno(env, EALREADY, what, NULL);
  poll->env = env;
  if (napi_create_reference(env, callback, 1, &poll->callback) != napi_ok ||
      napi_create_reference(env, self, 1, &poll->self) != napi_ok ||
      napi_create_string_utf8(env, what, NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, NULL, name, &poll->context) != napi_ok || napi_get_uv_event_loop(env, &loop) != napi_ok) {
    fd_poll_stop(poll);
    return napi_failed(env);
  }
  poll->handle = calloc(1, sizeof(*poll->handle));
  int error = poll->handle ? uv_poll_init(loop, poll->handle, fd) : -ENOMEM;
  if (error) {
    free(poll->handle);
    poll->handle = NULL;
    fd_poll_stop(poll);
    return throw_errno(env, error, what, NULL);
  }
  poll->handle->data = poll;
  uv_poll_start(poll->handle, UV_READABLE, on_readable);
  return NULL;
}

void fd_poll_rest(struct fd_poll *poll, bool rests) {
  if (!poll->handle) return;
  if (rests)
    uv_poll_stop(poll->handle);
  else
    uv_poll_start(poll->handle, UV_READABLE, on_readable);
}

void fd_poll_stop(struct fd_poll *poll) {
  if (poll->handle) {
    poll->handle->data = NULL;
    uv_poll_stop(poll->handle);
    uv_close((uv_handle_t *)poll->handle, handle_closed);
    poll->handle = NULL;
  }
  if (poll->callback) napi_delete_reference(poll->env, poll->callback);
  if (poll->self) napi_delete_reference(poll->env, poll->self);
  if (poll->context) napi_async_destroy(poll->env, poll->context);
  *poll = (struct fd_poll){};
}
