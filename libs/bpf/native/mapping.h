// SPDX-License-Identifier: Apache-2.0
// The state of a Mapping object, shared by mapping.c (one store per call) and mapping_each.c (many stores).
#pragma once
#include "native.h"

struct mapping {
  char *base;  // NULL = closed
  size_t size;
  uint32_t stride;  // between entries
  uint32_t value_size;
  uint32_t max_entries;
};

// The open mapping of `self`; NULL with an exception pending when `self` is another object or is closed.
struct mapping *mapping_open(napi_env env, napi_value self);

// mapping_each.c
napi_value mapping_write_each(napi_env env, napi_callback_info info);
napi_value mapping_store32_each(napi_env env, napi_callback_info info);
napi_value mapping_store64_each(napi_env env, napi_callback_info info);
