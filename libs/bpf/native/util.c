// SPDX-License-Identifier: Apache-2.0
// Reads arguments of functions; makes values and errors.
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "native.h"

napi_value napi_failed(napi_env env) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "Cannot use an argument of this type");
  return NULL;
}

// An Error "Cannot <what>: <reason>" with the properties code, errno and, if given, detail.
napi_value make_error(napi_env env, int error, const char *what, const char *detail) {
  char code[64], sentence[512];
  napi_value text, code_text, result, number;

  error = error < 0 ? -error : error;
  uv_err_name_r(-error, code, sizeof(code));
  snprintf(sentence, sizeof(sentence), "Cannot %s: %s", what, strerror(error));
  napi_create_string_utf8(env, sentence, NAPI_AUTO_LENGTH, &text);
  napi_create_string_utf8(env, code, NAPI_AUTO_LENGTH, &code_text);
  napi_create_error(env, code_text, text, &result);
  napi_create_int32(env, error, &number);
  napi_set_named_property(env, result, "errno", number);
  if (detail) set_text(env, result, "detail", detail);
  return result;
}

napi_value throw_errno(napi_env env, int error, const char *what, const char *detail) {
  napi_throw(env, make_error(env, error, what, detail));
  return NULL;
}

napi_value throw_range(napi_env env, const char *what) {
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", what);
  return NULL;
}

bool get_args(napi_env env, napi_callback_info info, size_t count, napi_value *args, napi_value *self) {
  size_t given = count;
  return napi_get_cb_info(env, info, &given, args, self, NULL) == napi_ok;
}

bool get_text(napi_env env, napi_value value, char *out, size_t size) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return false;
  if (length >= size) {
    throw_range(env, "Cannot use a text of this length");
    return false;
  }
  return napi_get_value_string_utf8(env, value, out, size, &length) == napi_ok;
}

bool get_u32(napi_env env, napi_value value, uint32_t *out) {
  return napi_get_value_uint32(env, value, out) == napi_ok;
}

// Accepts a Uint8Array or Buffer.
bool get_bytes(napi_env env, napi_value value, void **data, size_t *length) {
  napi_typedarray_type type;
  bool typed = false;
  if (napi_is_typedarray(env, value, &typed) != napi_ok || !typed) return false;
  if (napi_get_typedarray_info(env, value, &type, length, data, NULL, NULL) != napi_ok) return false;
  return type == napi_uint8_array;
}

bool is_absent(napi_env env, napi_value value) {
  napi_valuetype type;
  return napi_typeof(env, value, &type) != napi_ok || type == napi_undefined || type == napi_null;
}

// Returns false when the field is absent.
bool get_field(napi_env env, napi_value object, const char *name, napi_value *out) {
  return napi_get_named_property(env, object, name, out) == napi_ok && !is_absent(env, *out);
}

bool set_u32(napi_env env, napi_value object, const char *name, uint32_t value) {
  napi_value number;
  return napi_create_uint32(env, value, &number) == napi_ok &&
         napi_set_named_property(env, object, name, number) == napi_ok;
}

bool set_text(napi_env env, napi_value object, const char *name, const char *value) {
  napi_value text;
  return napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &text) == napi_ok &&
         napi_set_named_property(env, object, name, text) == napi_ok;
}

// A new Uint8Array of zeros.
napi_value make_bytes(napi_env env, size_t length, void **data) {
  napi_value buffer, array;
  NAPI(napi_create_arraybuffer(env, length, data, &buffer));
  NAPI(napi_create_typedarray(env, napi_uint8_array, length, buffer, 0, &array));
  if (length) memset(*data, 0, length);
  return array;
}

bool set_function(napi_env env, napi_value object, const char *name, napi_callback call) {
  napi_value function;
  return napi_create_function(env, name, NAPI_AUTO_LENGTH, call, NULL, &function) == napi_ok &&
         napi_set_named_property(env, object, name, function) == napi_ok;
}
