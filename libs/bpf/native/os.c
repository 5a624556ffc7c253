// SPDX-License-Identifier: Apache-2.0
// Other system calls that Node lacks: locks, directories as handles, mounts, cookies of network namespaces.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netns.h"
#include "work.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

// lock(path) -> Fd that holds the lock of a file or directory until it is closed or the process ends; EAGAIN when
// another process or handle holds it
static napi_value lock_path(napi_env env, napi_callback_info info) {
  napi_value args[1];
  char path[4096];
  if (!get_args(env, info, 1, args, NULL) || !get_text(env, args[0], path, sizeof(path))) return napi_failed(env);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return throw_errno(env, errno, "open a file to lock", path);
  if (flock(fd, LOCK_EX | LOCK_NB)) {
    int error = errno;
    close(fd);
    return throw_errno(env, error, "lock", path);
  }
  return fd_make(env, fd);
}

// openDirectory(path) -> Fd
static napi_value open_directory(napi_env env, napi_callback_info info) {
  napi_value args[1];
  char path[4096];
  if (!get_args(env, info, 1, args, NULL) || !get_text(env, args[0], path, sizeof(path))) return napi_failed(env);
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd < 0 ? throw_errno(env, errno, "open a directory", path) : fd_make(env, fd);
}

// mountBpffs(path)
static napi_value mount_bpffs(napi_env env, napi_callback_info info) {
  napi_value args[1];
  char path[4096];
  if (!get_args(env, info, 1, args, NULL) || !get_text(env, args[0], path, sizeof(path))) return napi_failed(env);
  if (mount("bpf", path, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
    return throw_errno(env, errno, "mount bpffs", path);
  return NULL;
}

static int read_netns_cookie(void *data) {
  socklen_t size = sizeof(uint64_t);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  int error = getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, data, &size) ? errno : 0;
  close(fd);
  return error;
}

static int run_netns_cookie(struct work *work) { return in_netns(work->in, read_netns_cookie, work->out); }

static napi_value netns_cookie_answer(napi_env env, struct work *work) {
  napi_value result;
  uint64_t cookie;
  memcpy(&cookie, work->out, sizeof(cookie));
  NAPI(napi_create_bigint_uint64(env, cookie, &result));
  return result;
}

// netnsCookie(netns) -> promise of bigint; `netns`: path of a network namespace, undefined = that of the process
static napi_value netns_cookie(napi_env env, napi_callback_info info) {
  napi_value args[1];
  char path[4096] = "";
  if (!get_args(env, info, 1, args, NULL) || (!is_absent(env, args[0]) && !get_text(env, args[0], path, sizeof(path))))
    return napi_failed(env);
  struct work *work = work_make(env, "read the cookie of the network namespace", run_netns_cookie);
  if (!work || !work_allocate(env, work, strlen(path), sizeof(uint64_t))) return NULL;
  work->answer = netns_cookie_answer;
  strcpy(work->in, path);
  return work_start(env, work);
}

bool os_init(napi_env env, napi_value exports) {
  return set_function(env, exports, "lock", lock_path) &&
         set_function(env, exports, "openDirectory", open_directory) &&
         set_function(env, exports, "mountBpffs", mount_bpffs) &&
         set_function(env, exports, "netnsCookie", netns_cookie);
}
