// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "netns.h"

int in_netns(const char *path, int (*call)(void *), void *data) {
  if (!*path) return call(data);
  int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (here < 0) return errno;
  int result, there = open(path, O_RDONLY | O_CLOEXEC);
  if (there < 0 || setns(there, CLONE_NEWNET)) {
    result = errno;
  } else {
    result = call(data);
    if (setns(here, CLONE_NEWNET)) abort();  // later work on this thread would change a pod's network
  }
  if (there >= 0) close(there);
  close(here);
  return result;
}
