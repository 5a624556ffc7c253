// SPDX-License-Identifier: Apache-2.0
// Calls a CNI plugin for many pods at once, as a container runtime does.
//
//   calls COMMAND PLUGIN CONFIG ROUND [NETNS UID]...
//
// CONFIG is a file with the network configuration, NETNS a name of ip-netns(8), UID that of the pod. Each pod and its container
// have the name NETNS-ROUND.
// Prints the milliseconds of each call, from its fork to its exit. Ends with 1 when one failed, after what the first of them said.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST 1024

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static _Noreturn void call(char **argv, const char *netns, const char *uid, int out) {
  const char *command = argv[1], *plugin = argv[2], *config = argv[3], *round = argv[4];
  char path[256], name[256], args[1024];
  snprintf(path, sizeof(path), "/var/run/netns/%s", netns);
  snprintf(name, sizeof(name), "%s-%s", netns, round);
  snprintf(args, sizeof(args), "K8S_POD_NAMESPACE=bench;K8S_POD_NAME=%s;K8S_POD_UID=%s", name, uid);
  setenv("CNI_COMMAND", command, 1);
  setenv("CNI_CONTAINERID", name, 1);
  setenv("CNI_NETNS", path, 1);
  setenv("CNI_IFNAME", "eth0", 1);
  setenv("CNI_ARGS", args, 1);
  if (dup2(open(config, O_RDONLY), STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
    execl(plugin, plugin, (char *)NULL);
  perror(plugin);
  _exit(127);
}

static void show(int out) {
  char said[4096];
  ssize_t n = pread(out, said, sizeof(said), 0);
  if (n > 0) fwrite(said, 1, (size_t)n, stderr);
}

int main(int argc, char **argv) {
  static pid_t children[MOST];
  static double began[MOST];
  static int outs[MOST];
  int count = (argc - 5) / 2, failed = 0, status;
  if (count < 1 || count > MOST) return 2;
  for (int i = 0; i < count; i++) {
    outs[i] = memfd_create("out", MFD_CLOEXEC);
    began[i] = now_ms();
    children[i] = fork();
    if (children[i] == 0) call(argv, argv[5 + 2 * i], argv[6 + 2 * i], outs[i]);
  }
  for (pid_t child; (child = wait(&status)) > 0;)
    for (int i = 0; i < count; i++) {
      if (children[i] != child) continue;
      printf("%.3f\n", now_ms() - began[i]);
      if (status != 0 && failed++ == 0) show(outs[i]);
    }
  if (failed > 0) fprintf(stderr, "Cannot %s %d of %d pods\n", argv[1], failed, count);
  return failed > 0;
}
