// SPDX-License-Identifier: Apache-2.0
// Ring: a consumer of a BPF ring buffer that returns many records in one buffer,
// bounds the bytes per call and is woken by libuv. (libbpf's consumer calls back per record, and drops the record at
// which the callback stops.)
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "fd_poll.h"

struct ring {
  struct fd_poll poll;
  unsigned long *consumer_pos;  // written by this process
  unsigned long *producer_pos;  // written by programs
  char *data;                   // the ring, mapped twice in a row
  size_t size, page;
  int fd;                       // -1 = closed
};

static const napi_type_tag RING_TAG = {0x6d6573682d627066, 0x72696e672d627566};

static void release(struct ring *ring) {
  if (ring->fd < 0) return;
  fd_poll_stop(&ring->poll);
  munmap(ring->consumer_pos, ring->page);
  munmap(ring->producer_pos, ring->page + 2 * ring->size);
  close(ring->fd);
  ring->fd = -1;
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  release(data);
  free(data);
}

static struct ring *unwrap(napi_env env, napi_callback_info info, size_t count, napi_value *args, napi_value *self) {
  struct ring *ring = NULL;
  bool is_tagged = false;
  if (!get_args(env, info, count, args, self) ||
      napi_check_object_type_tag(env, *self, &RING_TAG, &is_tagged) != napi_ok || !is_tagged ||
      napi_unwrap(env, *self, (void **)&ring) != napi_ok) {
    napi_failed(env);
    return NULL;
  }
  if (ring->fd < 0) throw_errno(env, EBADF, "use a closed ring buffer", NULL);
  return ring->fd < 0 ? NULL : ring;
}

static size_t padded(uint32_t length) { return (length + BPF_RINGBUF_HDR_SZ + 7) & ~7UL; }

// Length of the record at `position`, or -1 while a program is still writing it.
static int64_t record(const struct ring *ring, unsigned long position, bool *discard) {
  uint32_t head = __atomic_load_n((uint32_t *)(ring->data + (position & (ring->size - 1))), __ATOMIC_ACQUIRE);
  *discard = head & BPF_RINGBUF_DISCARD_BIT;
  return head & BPF_RINGBUF_BUSY_BIT ? -1 : (int64_t)(head & ~BPF_RINGBUF_DISCARD_BIT);
}

// drain(most) -> at most that many bytes of records, each as u32 length, u32 0 and the data padded to 8. If there is
// any record, at least one is returned, even if it is longer.
static napi_value ring_drain(napi_env env, napi_callback_info info) {
  napi_value args[1], self, result;
  uint32_t most;
  bool discard;
  int64_t length;
  void *out;
  struct ring *ring = unwrap(env, info, 1, args, &self);
  if (!ring) return NULL;
  if (!get_u32(env, args[0], &most)) return napi_failed(env);
  unsigned long start = *ring->consumer_pos, end = start;
  unsigned long limit = __atomic_load_n(ring->producer_pos, __ATOMIC_ACQUIRE);
  size_t bytes = 0;
  while (end < limit && (length = record(ring, end, &discard)) >= 0) {
    if (!discard && bytes && bytes + padded(length) > most) break;
    if (!discard) bytes += padded(length);
    end += padded(length);
  }
  if (!(result = make_bytes(env, bytes, &out))) return NULL;
  char *to = out;
  for (unsigned long at = start; at < end; at += padded(length)) {
    length = record(ring, at, &discard);
    if (discard) continue;
    *(uint32_t *)to = length;
    memcpy(to + BPF_RINGBUF_HDR_SZ, ring->data + (at & (ring->size - 1)) + BPF_RINGBUF_HDR_SZ, length);
    to += padded(length);
  }
  __atomic_store_n(ring->consumer_pos, end, __ATOMIC_RELEASE);
  return result;
}

// listen(callback): calls back while there are records to drain. Keeps the process alive until close().
static napi_value ring_listen(napi_env env, napi_callback_info info) {
  napi_value args[1], self;
  struct ring *ring = unwrap(env, info, 1, args, &self);
  return ring ? fd_poll_start(&ring->poll, env, ring->fd, self, args[0], "listen to a ring buffer") : NULL;
}

static napi_value ring_close(napi_env env, napi_callback_info info) {
  napi_value self;
  struct ring *ring = unwrap(env, info, 0, NULL, &self);
  if (ring) release(ring);
  return NULL;
}

static napi_value wrap(napi_env env, struct ring *ring) {
  static const napi_property_descriptor properties[] = {
      {.utf8name = "drain", .method = ring_drain},
      {.utf8name = "listen", .method = ring_listen},
      {.utf8name = "close", .method = ring_close},
  };
  napi_value object;
  if (napi_create_object(env, &object) != napi_ok ||
      napi_wrap(env, object, ring, finalize, NULL, NULL) != napi_ok) {
    finalize(env, ring, NULL);
    return napi_failed(env);
  }
  NAPI(napi_type_tag_object(env, object, &RING_TAG));
  NAPI(napi_define_properties(env, object, 3, properties));
  return object;
}

// openRing(map) -> Ring {drain, listen, close}
static napi_value open_ring(napi_env env, napi_callback_info info) {
  napi_value args[1];
  struct bpf_map_info map = {};
  uint32_t size = sizeof(map);
  int fd;
  if (!get_args(env, info, 1, args, NULL) || !fd_get(env, args[0], &fd)) return napi_failed(env);
  int error = bpf_obj_get_info_by_fd(fd, &map, &size);
  if (error) return throw_errno(env, error, "read the map's information", NULL);
  if (map.type != BPF_MAP_TYPE_RINGBUF)
    return throw_errno(env, EINVAL, "open a map that is not a ring buffer", map.name);
  struct ring *ring = calloc(1, sizeof(*ring));
  if (!ring) return throw_errno(env, ENOMEM, "open a ring buffer", map.name);
  *ring = (struct ring){.size = map.max_entries, .page = sysconf(_SC_PAGESIZE)};
  ring->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  ring->consumer_pos = mmap(NULL, ring->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  void *rest = mmap(NULL, ring->page + 2 * ring->size, PROT_READ, MAP_SHARED, fd, ring->page);
  if (ring->fd < 0 || ring->consumer_pos == MAP_FAILED || rest == MAP_FAILED) {
    error = errno;
    if (ring->consumer_pos != MAP_FAILED) munmap(ring->consumer_pos, ring->page);
    if (rest != MAP_FAILED) munmap(rest, ring->page + 2 * ring->size);
    if (ring->fd >= 0) close(ring->fd);
    free(ring);
    return throw_errno(env, error, "map a ring buffer into memory", map.name);
  }
  ring->producer_pos = rest;
  ring->data = (char *)rest + ring->page;
  return wrap(env, ring);
}

bool ring_init(napi_env env, napi_value exports) { return set_function(env, exports, "openRing", open_ring); }
