// SPDX-License-Identifier: Apache-2.0
// Requests to rtnetlink, in this or another network namespace, on a worker thread: the kernel handles a request while it is
// sent, and may wait for others that change the network. Bytes in, bytes out; libs/bpf/src/netlink has the protocol.
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <linux/netlink.h>

#include "netns.h"
#include "work.h"

// No datagram of the kernel is longer: parts of a dump have at most 32 KiB, a link with many functions somewhat more.
#define DATAGRAM 65536
// The answer to a request is queued before send() returns; this is only so that a mistake does not block a thread forever.
#define WAIT_S 10

// A socket belongs to the namespace that the thread is in when it is opened.
static int open_socket(void *data) {
  const int on = 1;
  const struct timeval wait = {.tv_sec = WAIT_S};
  int *fd = data;
  *fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (*fd < 0) return errno;
  // Errors come with a text and without a copy of the request; the kernel refuses a dump whose filter it does not know.
  if (setsockopt(*fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)) ||
      setsockopt(*fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)) ||
      setsockopt(*fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) ||
      setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)))
    return errno;
  return 0;
}

static int run_open(struct work *work) { return in_netns(work->in, open_socket, &work->fd); }

// openNetlink(netns) -> promise of Fd; `netns`: path of a network namespace, undefined = that of the process
static napi_value open_netlink(napi_env env, napi_callback_info info) {
  napi_value args[1];
  char path[4096] = "";
  if (!get_args(env, info, 1, args, NULL) || (!is_absent(env, args[0]) && !get_text(env, args[0], path, sizeof(path))))
    return napi_failed(env);
  struct work *work = work_make(env, "open a netlink socket", run_open);
  if (!work || !work_allocate(env, work, strlen(path), 0)) return NULL;
  work->answer = work_fd_answer;
  strcpy(work->in, path);
  return work_start(env, work);
}

static ssize_t receive_one(int fd, char *out, int flags) {
  struct sockaddr_nl from;
  struct iovec part = {.iov_base = out, .iov_len = DATAGRAM};
  struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &part, .msg_iovlen = 1};
  for (;;) {
    ssize_t length = recvmsg(fd, &message, flags);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return -errno;
    if (message.msg_flags & MSG_TRUNC) return -EMSGSIZE;
    if (from.nl_pid == 0) return length;  // others than the kernel may send to this socket
  }
}

static int run_exchange(struct work *work) {
  const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  size_t most = work->out_size, taken = 0;
  ssize_t length;
  if (work->in_size) {
    do {
      length = sendto(work->fd, work->in, work->in_size, 0, (const struct sockaddr *)&kernel, sizeof(kernel));
    } while (length < 0 && errno == EINTR);
    if (length < 0) return errno;
  }
  work->out_size = 0;
  while (taken < most) {
    length = receive_one(work->fd, work->out + taken, taken ? MSG_DONTWAIT : 0);
    if (length == -EAGAIN && taken) break;
    if (length == -EAGAIN) return ETIMEDOUT;
    if (length < 0) return -length;
    memset(work->out + taken + length, 0, NLMSG_ALIGN(length) - length);
    taken += NLMSG_ALIGN(length);
  }
  work->out_size = taken;
  return 0;
}

static napi_value exchange_answer(napi_env env, struct work *work) {
  void *data;
  napi_value bytes = make_bytes(env, work->out_size, &data);
  if (bytes && work->out_size) memcpy(data, work->out, work->out_size);
  return bytes;
}

// netlinkExchange(socket, request, most) -> promise of bytes: sends `request` unless it is empty, and receives the datagrams
// that are queued: at least one, until there are `most` bytes. Each begins at a multiple of 4.
static napi_value netlink_exchange(napi_env env, napi_callback_info info) {
  napi_value args[3];
  void *data;
  size_t length;
  uint32_t most;
  int fd;
  if (!get_args(env, info, 3, args, NULL) || !fd_get(env, args[0], &fd) || !get_bytes(env, args[1], &data, &length) ||
      !get_u32(env, args[2], &most))
    return napi_failed(env);
  struct work *work = work_make(env, "exchange netlink messages", run_exchange);
  if (!work || !work_duplicate_fd(env, work, fd) || !work_allocate(env, work, length, (size_t)most + DATAGRAM)) return NULL;
  work->answer = exchange_answer;
  work->in_size = length;
  work->out_size = most;
  if (length) memcpy(work->in, data, length);
  return work_start(env, work);
}

bool netlink_request_init(napi_env env, napi_value exports) {
  return set_function(env, exports, "openNetlink", open_netlink) &&
         set_function(env, exports, "netlinkExchange", netlink_exchange);
}
