// SPDX-License-Identifier: Apache-2.0
// RouteSocket: receives the kernel's notifications of links, addresses, routes and
// neighbours in the network namespace that the process was in when it was opened. It returns bytes;
// libs/bpf/src/route-events.ts reads them.
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/netlink.h>

#include "fd_poll.h"

// No notification is longer (the kernel's largest is a page of links).
#define DATAGRAM 65536

struct route_socket {
  struct fd_poll poll;
  int fd;  // -1 = closed
};

static const napi_type_tag ROUTE_SOCKET_TAG = {0x6d6573682d627066, 0x726f7574652d736b};

static void release(struct route_socket *sock) {
  if (sock->fd < 0) return;
  fd_poll_stop(&sock->poll);
  close(sock->fd);
  sock->fd = -1;
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  release(data);
  free(data);
}

static struct route_socket *unwrap(napi_env env, napi_callback_info info, size_t count, napi_value *args,
                                   napi_value *self) {
  struct route_socket *sock = NULL;
  bool is_tagged = false;
  if (!get_args(env, info, count, args, self) ||
      napi_check_object_type_tag(env, *self, &ROUTE_SOCKET_TAG, &is_tagged) != napi_ok || !is_tagged ||
      napi_unwrap(env, *self, (void **)&sock) != napi_ok) {
    napi_failed(env);
    return NULL;
  }
  if (sock->fd < 0) throw_errno(env, EBADF, "use a closed route socket", NULL);
  return sock->fd < 0 ? NULL : sock;
}

// receive() -> the messages of one datagram; empty when there is none. Throws ENOBUFS, once, when messages were lost.
static napi_value socket_receive(napi_env env, napi_callback_info info) {
  char buffer[DATAGRAM];
  napi_value self, result;
  struct route_socket *sock = unwrap(env, info, 0, NULL, &self);
  if (!sock) return NULL;
  struct sockaddr_nl from = {};
  struct iovec part = {.iov_base = buffer, .iov_len = sizeof(buffer)};
  struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &part, .msg_iovlen = 1};
  ssize_t length;
  do {
    length = recvmsg(sock->fd, &message, MSG_DONTWAIT);
  } while ((length < 0 && errno == EINTR) || (length >= 0 && from.nl_pid != 0));  // not from the kernel
  if (length < 0 && errno != EAGAIN) return throw_errno(env, errno, "receive from a route socket", NULL);
  if (message.msg_flags & MSG_TRUNC) return throw_errno(env, ENOBUFS, "receive from a route socket", NULL);
  void *out;
  if (!(result = make_bytes(env, length < 0 ? 0 : length, &out))) return NULL;
  if (length > 0) memcpy(out, buffer, length);
  return result;
}

static napi_value socket_listen(napi_env env, napi_callback_info info) {
  napi_value args[1], self;
  struct route_socket *sock = unwrap(env, info, 1, args, &self);
  return sock ? fd_poll_start(&sock->poll, env, sock->fd, self, args[0], "listen to a route socket") : NULL;
}

static napi_value socket_rest(napi_env env, napi_callback_info info) {
  napi_value args[1], self;
  bool rests;
  struct route_socket *sock = unwrap(env, info, 1, args, &self);
  if (!sock) return NULL;
  NAPI(napi_get_value_bool(env, args[0], &rests));
  fd_poll_rest(&sock->poll, rests);
  return NULL;
}

static napi_value socket_close(napi_env env, napi_callback_info info) {
  napi_value self;
  struct route_socket *sock = unwrap(env, info, 0, NULL, &self);
  if (sock) release(sock);
  return NULL;
}

static napi_value wrap(napi_env env, struct route_socket *sock) {
  static const napi_property_descriptor properties[] = {
      {.utf8name = "receive", .method = socket_receive},
      {.utf8name = "listen", .method = socket_listen},
      {.utf8name = "rest", .method = socket_rest},
      {.utf8name = "close", .method = socket_close},
  };
  napi_value object;
  if (napi_create_object(env, &object) != napi_ok || napi_wrap(env, object, sock, finalize, NULL, NULL) != napi_ok) {
    release(sock);
    free(sock);
    return napi_failed(env);
  }
  NAPI(napi_type_tag_object(env, object, &ROUTE_SOCKET_TAG));
  NAPI(napi_define_properties(env, object, sizeof(properties) / sizeof(properties[0]), properties));
  return object;
}

// openRouteSocket(groups) -> RouteSocket {receive, listen, rest, close}; `groups`: a mask, bit n is group n + 1
static napi_value open_route_socket(napi_env env, napi_callback_info info) {
  napi_value args[1];
  uint32_t groups;
  if (!get_args(env, info, 1, args, NULL) || !get_u32(env, args[0], &groups)) return napi_failed(env);
  struct route_socket *sock = calloc(1, sizeof(*sock));
  if (!sock) return throw_errno(env, ENOMEM, "open a route socket", NULL);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
  sock->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (sock->fd < 0 || bind(sock->fd, (struct sockaddr *)&address, sizeof(address))) {
    int error = errno;
    if (sock->fd >= 0) close(sock->fd);
    free(sock);
    return throw_errno(env, error, "open a route socket", NULL);
  }
  return wrap(env, sock);
}

bool netlink_init(napi_env env, napi_value exports) {
  return set_function(env, exports, "openRouteSocket", open_route_socket);
}
