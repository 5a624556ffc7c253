// SPDX-License-Identifier: Apache-2.0
// Ring: a consumer of a BPF ring buffer. A thread of its own copies records into a bounded queue, so that programs find
// room while the main thread is busy; records without room in the queue are dropped and counted. The main thread takes
// the queue in chunks. (libbpf's consumer calls back per record, and drops the record at which the callback stops.)
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "fd_poll.h"

// Room of a chunk; a longer record gets one that fits.
#define CHUNK 65536
#define REST_MS 2

struct chunk {
  struct chunk *next;
  size_t used, room;
  char bytes[];
};

struct ring {
  struct fd_poll poll;  // on `ready`
  uv_thread_t reader;
  bool open;

  uv_mutex_t lock;  // of the queue
  struct chunk *first, *last;
  size_t queued, most;  // bytes
  uint64_t lost;        // records dropped since the last take
  int ready;            // eventfd: readable while the queue is not empty

  bool closing;                 // atomic
  int stop;                     // eventfd: wakes the reader when `closing` is set
  int fd;                       // the map
  unsigned long *consumer_pos;  // written by the reader
  unsigned long *producer_pos;  // written by programs
  char *data;                   // the ring, mapped twice in a row
  size_t size, page;
};

static const napi_type_tag RING_TAG = {0x6d6573682d627066, 0x72696e672d627566};

static size_t padded(uint32_t length) { return (length + BPF_RINGBUF_HDR_SZ + 7) & ~7UL; }

static const char *at(const struct ring *ring, unsigned long position) {
  return ring->data + (position & (ring->size - 1));
}

// A chunk at the end of the queue with room for `size` bytes; NULL when there is no memory. Under the lock.
static struct chunk *last_chunk(struct ring *ring, size_t size) {
  if (ring->last && ring->last->room - ring->last->used >= size) return ring->last;
  size_t room = size > CHUNK ? size : CHUNK;
  struct chunk *chunk = malloc(sizeof(*chunk) + room);
  if (!chunk) return NULL;
  *chunk = (struct chunk){.room = room};
  if (ring->last)
    ring->last->next = chunk;
  else
    ring->first = chunk;
  ring->last = chunk;
  return chunk;
}

// Queues a record, or counts it as lost. An empty queue takes any record, so that losses are always followed by a take.
static void queue_record(struct ring *ring, unsigned long position, uint32_t length) {
  size_t size = padded(length);
  uv_mutex_lock(&ring->lock);
  bool was_empty = !ring->first;
  bool has_room = was_empty || ring->queued + size <= ring->most;
  struct chunk *chunk = has_room ? last_chunk(ring, size) : NULL;
  if (chunk) {
    char *to = chunk->bytes + chunk->used;
    memset(to, 0, BPF_RINGBUF_HDR_SZ);
    memcpy(to, &length, sizeof(length));
    memcpy(to + BPF_RINGBUF_HDR_SZ, at(ring, position) + BPF_RINGBUF_HDR_SZ, size - BPF_RINGBUF_HDR_SZ);
    chunk->used += size;
    ring->queued += size;
    if (was_empty) eventfd_write(ring->ready, 1);
  } else {
    ring->lost++;
  }
  uv_mutex_unlock(&ring->lock);
}

// Queues the records that are complete, up to the first that a program is still writing; returns their bytes.
static size_t drain(struct ring *ring) {
  unsigned long begin = *ring->consumer_pos, position = begin;
  unsigned long end = __atomic_load_n(ring->producer_pos, __ATOMIC_ACQUIRE);
  while (position < end && !__atomic_load_n(&ring->closing, __ATOMIC_RELAXED)) {
    uint32_t head = __atomic_load_n((const uint32_t *)at(ring, position), __ATOMIC_ACQUIRE);
    if (head & BPF_RINGBUF_BUSY_BIT) break;
    uint32_t length = head & ~BPF_RINGBUF_DISCARD_BIT;
    if (length == head) queue_record(ring, position, length);
    position += padded(length);
  }
  __atomic_store_n(ring->consumer_pos, position, __ATOMIC_RELEASE);
  return position - begin;
}

// After a look that found an eighth of the ring or less it rests, so that events that come singly are handed over
// together (10,000 of them a second cost the process 14 % of a core without the rest, 2 % with it).
static void read_ring(void *data) {
  struct ring *ring = data;
  struct pollfd fds[] = {{.fd = ring->stop, .events = POLLIN}, {.fd = ring->fd, .events = POLLIN}};
  while (!__atomic_load_n(&ring->closing, __ATOMIC_RELAXED))
    if (poll(fds, 2, -1) > 0 && drain(ring) <= ring->size / 8) poll(fds, 1, REST_MS);
}

static void close_fd(int fd) {
  if (fd >= 0) close(fd);
}

// Frees what the ring has, without its thread.
static void release(struct ring *ring) {
  for (struct chunk *chunk = ring->first, *next; chunk; chunk = next) {
    next = chunk->next;
    free(chunk);
  }
  if (ring->consumer_pos != MAP_FAILED) munmap(ring->consumer_pos, ring->page);
  if (ring->producer_pos != MAP_FAILED) munmap(ring->producer_pos, ring->page + 2 * ring->size);
  close_fd(ring->fd);
  close_fd(ring->ready);
  close_fd(ring->stop);
}

static void stop(struct ring *ring) {
  if (!ring->open) return;
  ring->open = false;
  __atomic_store_n(&ring->closing, true, __ATOMIC_RELAXED);
  eventfd_write(ring->stop, 1);
  uv_thread_join(&ring->reader);
  uv_mutex_destroy(&ring->lock);
  fd_poll_stop(&ring->poll);
  release(ring);
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  stop(data);
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
  if (!ring->open) throw_errno(env, EBADF, "use a closed ring buffer", NULL);
  return ring->open ? ring : NULL;
}

// Removes the first chunk of the queue, NULL when it is empty; `lost` is what was dropped since the last call.
static struct chunk *take_chunk(struct ring *ring, uint64_t *lost) {
  eventfd_t value;
  uv_mutex_lock(&ring->lock);
  struct chunk *chunk = ring->first;
  if (chunk) {
    ring->first = chunk->next;
    ring->queued -= chunk->used;
    if (!ring->first) {
      ring->last = NULL;
      eventfd_read(ring->ready, &value);
    }
  }
  *lost = ring->lost;
  ring->lost = 0;
  uv_mutex_unlock(&ring->lock);
  return chunk;
}

// take() -> {records, lost}: a chunk of records, each as u32 length, u32 0 and the data padded to 8; empty when none is
// queued
static napi_value ring_take(napi_env env, napi_callback_info info) {
  napi_value self, result, records, number;
  uint64_t lost;
  void *out;
  struct ring *ring = unwrap(env, info, 0, NULL, &self);
  if (!ring) return NULL;
  struct chunk *chunk = take_chunk(ring, &lost);
  records = make_bytes(env, chunk ? chunk->used : 0, &out);
  if (records && chunk) memcpy(out, chunk->bytes, chunk->used);
  free(chunk);
  if (!records) return NULL;
  NAPI(napi_create_object(env, &result));
  NAPI(napi_create_double(env, lost, &number));
  NAPI(napi_set_named_property(env, result, "records", records));
  NAPI(napi_set_named_property(env, result, "lost", number));
  return result;
}

// listen(callback): calls back while records are queued. Keeps the process alive until close().
static napi_value ring_listen(napi_env env, napi_callback_info info) {
  napi_value args[1], self;
  struct ring *ring = unwrap(env, info, 1, args, &self);
  return ring ? fd_poll_start(&ring->poll, env, ring->ready, self, args[0], "listen to a ring buffer") : NULL;
}

static napi_value ring_close(napi_env env, napi_callback_info info) {
  napi_value self;
  struct ring *ring = unwrap(env, info, 0, NULL, &self);
  if (ring) stop(ring);
  return NULL;
}

static napi_value wrap(napi_env env, struct ring *ring) {
  static const napi_property_descriptor properties[] = {
      {.utf8name = "take", .method = ring_take},
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

// Maps the ring into memory and starts its thread; returns an errno.
static int start(struct ring *ring, int map) {
  ring->fd = fcntl(map, F_DUPFD_CLOEXEC, 0);
  ring->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  ring->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (ring->fd < 0 || ring->ready < 0 || ring->stop < 0) return errno;
  ring->consumer_pos = mmap(NULL, ring->page, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
  if (ring->consumer_pos == MAP_FAILED) return errno;
  ring->producer_pos = mmap(NULL, ring->page + 2 * ring->size, PROT_READ, MAP_SHARED, ring->fd, ring->page);
  if (ring->producer_pos == MAP_FAILED) return errno;
  ring->data = (char *)ring->producer_pos + ring->page;
  int error = uv_mutex_init(&ring->lock);
  if (error) return -error;
  error = uv_thread_create(&ring->reader, read_ring, ring);
  if (error) uv_mutex_destroy(&ring->lock);
  ring->open = !error;
  return -error;
}

// openRing(map, most) -> Ring {take, listen, close}; `most`: bytes of records in the queue
static napi_value open_ring(napi_env env, napi_callback_info info) {
  napi_value args[2];
  struct bpf_map_info map = {};
  uint32_t size = sizeof(map), most;
  int fd;
  if (!get_args(env, info, 2, args, NULL) || !fd_get(env, args[0], &fd) || !get_u32(env, args[1], &most))
    return napi_failed(env);
  int error = bpf_obj_get_info_by_fd(fd, &map, &size);
  if (error) return throw_errno(env, error, "read the map's information", NULL);
  if (map.type != BPF_MAP_TYPE_RINGBUF)
    return throw_errno(env, EINVAL, "open a map that is not a ring buffer", map.name);
  struct ring *ring = calloc(1, sizeof(*ring));
  if (!ring) return throw_errno(env, ENOMEM, "open a ring buffer", map.name);
  *ring = (struct ring){.most = most, .size = map.max_entries, .page = sysconf(_SC_PAGESIZE), .fd = -1, .ready = -1,
                        .stop = -1, .consumer_pos = MAP_FAILED, .producer_pos = MAP_FAILED};
  error = start(ring, fd);
  if (error) {
    release(ring);
    free(ring);
    return throw_errno(env, error, "read a ring buffer", map.name);
  }
  return wrap(env, ring);
}

bool ring_init(napi_env env, napi_value exports) { return set_function(env, exports, "openRing", open_ring); }
