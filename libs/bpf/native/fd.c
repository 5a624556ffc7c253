// SPDX-License-Identifier: Apache-2.0
// Fd: a file descriptor (map, program, link, cgroup, lock) as an object with `fd` and close().
#include <stdlib.h>
#include <unistd.h>

#include "native.h"

struct handle {
  int fd;  // -1 = closed
};

static const napi_type_tag FD_TAG = {0x6d6573682d627066, 0x66642d68616e646c};

static void fd_finalize(napi_env env, void *data, void *hint) {
  struct handle *handle = data;
  (void)env;
  (void)hint;
  if (handle->fd >= 0) close(handle->fd);
  free(handle);
}

static struct handle *unwrap(napi_env env, napi_value value) {
  struct handle *handle = NULL;
  bool is_tagged = false;
  if (napi_check_object_type_tag(env, value, &FD_TAG, &is_tagged) != napi_ok || !is_tagged) return NULL;
  return napi_unwrap(env, value, (void **)&handle) == napi_ok ? handle : NULL;
}

bool fd_get(napi_env env, napi_value value, int *fd) {
  struct handle *handle = unwrap(env, value);
  if (!handle) return false;
  if (handle->fd < 0) {
    throw_errno(env, EBADF, "use a closed handle", NULL);
    return false;
  }
  *fd = handle->fd;
  return true;
}

static napi_value fd_close(napi_env env, napi_callback_info info) {
  napi_value self;
  if (!get_args(env, info, 0, NULL, &self)) return napi_failed(env);
  struct handle *handle = unwrap(env, self);
  if (!handle) return napi_failed(env);
  if (handle->fd >= 0) close(handle->fd);
  handle->fd = -1;
  return NULL;
}

static napi_value fd_number(napi_env env, napi_callback_info info) {
  napi_value self, result;
  if (!get_args(env, info, 0, NULL, &self)) return napi_failed(env);
  struct handle *handle = unwrap(env, self);
  if (!handle) return napi_failed(env);
  NAPI(napi_create_int32(env, handle->fd, &result));
  return result;
}

// Takes ownership of the fd; closes it when the object cannot be created.
napi_value fd_make(napi_env env, int fd) {
  static const napi_property_descriptor properties[] = {
      {.utf8name = "close", .method = fd_close},
      {.utf8name = "fd", .getter = fd_number, .attributes = napi_enumerable},
  };
  struct handle *handle = malloc(sizeof(*handle));
  napi_value object;
  if (!handle) {
    close(fd);
    return throw_errno(env, ENOMEM, "allocate a handle", NULL);
  }
  handle->fd = fd;
  if (napi_create_object(env, &object) != napi_ok ||
      napi_wrap(env, object, handle, fd_finalize, NULL, NULL) != napi_ok) {
    close(fd);
    free(handle);
    return napi_failed(env);
  }
  NAPI(napi_type_tag_object(env, object, &FD_TAG));
  NAPI(napi_define_properties(env, object, 2, properties));
  return object;
}
