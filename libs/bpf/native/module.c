// SPDX-License-Identifier: Apache-2.0
// The module: exports the functions that libs/bpf/src/native.ts declares.
#include "native.h"

NAPI_MODULE_INIT() {
  if (map_init(env, exports) && mapping_init(env, exports) && object_init(env, exports) && link_init(env, exports) &&
      ring_init(env, exports) && netlink_init(env, exports) && netlink_request_init(env, exports) &&
      work_init(env, exports) && os_init(env, exports))
    return exports;
  return napi_failed(env);
}
