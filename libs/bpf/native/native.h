// SPDX-License-Identifier: Apache-2.0
// Declarations that the files of the addon share. The addon exposes system calls: it takes and returns buffers, checks
// sizes against the kernel's information about a map, and turns -errno into errors with a code. It has no policy.
//
// Every function returns NULL with an exception pending when it fails. `libs/bpf/src/native.ts` has the types.
#pragma once
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <node_api.h>

// Checks one Node-API call; on failure returns with the pending exception, or with a new one.
#define NAPI(call)                                 \
  do {                                             \
    if ((call) != napi_ok) return napi_failed(env); \
  } while (0)

// util.c
napi_value napi_failed(napi_env env);
napi_value throw_errno(napi_env env, int error, const char *what, const char *detail);
napi_value make_error(napi_env env, int error, const char *what, const char *detail);
napi_value throw_range(napi_env env, const char *what);
bool get_args(napi_env env, napi_callback_info info, size_t count, napi_value *args, napi_value *self);
bool get_text(napi_env env, napi_value value, char *out, size_t size);
bool get_u32(napi_env env, napi_value value, uint32_t *out);
bool get_bytes(napi_env env, napi_value value, void **data, size_t *length);
bool is_absent(napi_env env, napi_value value);
bool get_field(napi_env env, napi_value object, const char *name, napi_value *out);
bool set_u32(napi_env env, napi_value object, const char *name, uint32_t value);
bool set_text(napi_env env, napi_value object, const char *name, const char *value);
napi_value make_bytes(napi_env env, size_t length, void **data);
bool set_function(napi_env env, napi_value object, const char *name, napi_callback call);

// fd.c: an fd as an object with `fd` and close(); closed by the garbage collector at the latest
napi_value fd_make(napi_env env, int fd);
bool fd_get(napi_env env, napi_value value, int *fd);

// Each file has one init function, which adds its functions to exports.
bool map_init(napi_env env, napi_value exports);
bool mapping_init(napi_env env, napi_value exports);
bool object_init(napi_env env, napi_value exports);
bool link_init(napi_env env, napi_value exports);
bool ring_init(napi_env env, napi_value exports);
bool netlink_init(napi_env env, napi_value exports);
bool netlink_request_init(napi_env env, napi_value exports);
bool work_init(napi_env env, napi_value exports);
bool os_init(napi_env env, napi_value exports);
