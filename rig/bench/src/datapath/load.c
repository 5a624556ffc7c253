// SPDX-License-Identifier: Apache-2.0
// Connects and measures, one connection at a time, alternating between several sides, so that other load of the machine affects
// all sides equally.
//
//   load serve PORT COUNT              accepts and closes on COUNT ports
//   load hooks CGROUP POD VIP COUNT    ns of repeated connect(), of getpeername() and of recvfrom() on UDP sockets, port 80, outside of and
//                                      in the cgroup
//   load run SPEC ROUNDS PER_ROUND     a SPEC is sides joined by ",": NAME;NETNS or -;CGROUP or -;FIRST_ADDRESS;ADDRESSES;FIRST_PORT;PORTS
//   load refused SPEC ROUNDS PER_ROUND the same, with connects that are refused
//
// Each side is a process (in its network namespace and cgroup); the sides pass a token round, for BLOCK connections at a time. Prints
// a line per round and side: NAME p50_ns mean_ns per_second worst_ns.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 50

static void die(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int listen_on(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 4096)) die("listen");
  return fd;
}

static _Noreturn void serve(int port, int count) {
  int poll = epoll_create1(0);
  for (int i = 0; i < count; i++) {
    int fd = listen_on(port + i);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
  }
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct epoll_event events[16];
    int n = epoll_wait(poll, events, 16, -1);
    for (int i = 0; i < n; i++)
      for (int fd; (fd = accept4(events[i].data.fd, NULL, NULL, 0)) >= 0;) close(fd);
  }
}

struct side {
  char name[32], netns[64], cgroup[4096], address[64];
  uint32_t first, addresses, port, ports;
};

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static int refused;  // every connect has to be

// Makes one connection and resets it, so that no port is left in TIME_WAIT. Adds to *total, stores the time of connect() in *connected.
static void connect_once(const struct side *side, uint32_t n, uint64_t *connected, uint64_t *total) {
  struct linger reset = {.l_onoff = 1};
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_addr.s_addr = htonl(side->first + n % side->addresses),
                           .sin_port = htons(side->port + n % side->ports)};
  uint64_t start = now();
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  uint64_t before = now();
  int failed = connect(fd, (struct sockaddr *)&to, sizeof(to));
  if (refused ? !failed || errno != ECONNREFUSED : failed) die(side->name);
  *connected = now() - before;
  close(fd);
  *total += now() - start;
}

static void report(const struct side *side, uint64_t *times, int count, uint64_t total) {
  uint64_t sum = 0;
  for (int i = 0; i < count; i++) sum += times[i];
  qsort(times, count, sizeof(*times), compare);
  printf("%s %lu %lu %.0f %lu\n", side->name, times[count / 2], sum / count, count * 1e9 / total, times[count - 1]);
  fflush(stdout);
}

static void enter_netns(const char *name) {
  char path[128];
  if (!strcmp(name, "-")) return;
  snprintf(path, sizeof(path), "/run/netns/%s", name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET)) die(path);
  close(fd);
}

static void enter(const char *cgroup) {
  char path[4200];
  if (!strcmp(cgroup, "-")) return;
  snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
  FILE *file = fopen(path, "w");
  if (!file || fprintf(file, "%d", getpid()) < 0 || fclose(file)) die(path);
}

static int run_side(const struct side *side, int rounds, int per_round, int in, int out) {
  uint64_t *times = calloc(per_round, sizeof(*times)), ignored;
  uint32_t n = getpid();
  char token;
  enter_netns(side->netns);
  enter(side->cgroup);
  for (int round = -1; round < rounds; round++) {
    uint64_t total = 0;
    for (int done = 0; done < per_round; done += BLOCK) {
      if (read(in, &token, 1) != 1) return 1;
      for (int i = 0; i < 5; i++, n = n * 1664525 + 1013904223) connect_once(side, n >> 8, &ignored, &ignored);
      for (int i = done; i < done + BLOCK; i++, n = n * 1664525 + 1013904223) connect_once(side, n >> 8, &times[i], &total);
      if (done + BLOCK >= per_round && round >= 0) report(side, times, per_round, total);
      if (write(out, &token, 1) != 1) return 1;
    }
  }
  return 0;
}

static int run(char *spec, int rounds, int per_round) {
  struct side sides[8];
  int pipes[9][2], count = 0;
  for (char *part = strtok(spec, ","); part && count < 8; part = strtok(NULL, ",")) {
    struct side *side = &sides[count++];
    if (sscanf(part, "%31[^;];%63[^;];%4095[^;];%63[^;];%u;%u;%u", side->name, side->netns, side->cgroup, side->address,
               &side->addresses, &side->port, &side->ports) != 7)
      return 2;
    side->first = ntohl(inet_addr(side->address));
  }
  for (int i = 0; i < count; i++)
    if (pipe(pipes[i])) die("pipe");
  pid_t children[8];
  for (int i = 0; i < count; i++)
    if (!(children[i] = fork()))
      _exit(run_side(&sides[i], rounds, per_round, pipes[i][0], pipes[(i + 1) % count][1]));
  if (write(pipes[0][1], "t", 1) != 1) die("write");
  int failed = 0;
  for (int i = 0, status; i < count; i++) {
    if (wait(&status) >= 0 && !status) continue;
    failed = 1;
    for (int other = 0; other < count; other++) kill(children[other], SIGTERM);  // they wait for its token
  }
  return failed;
}

// Mean nanoseconds of recvfrom() on an unconnected UDP socket, which has sent to `address` before if `sender`.
static double receive_time(const struct sockaddr_in *address, int sender, int count) {
  struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, from;
  socklen_t size = sizeof(self);
  int server = socket(AF_INET, SOCK_DGRAM, 0), client = socket(AF_INET, SOCK_DGRAM, 0);
  uint64_t total = 0;
  char byte = 0;
  if (sender && sendto(server, &byte, 1, 0, (const struct sockaddr *)address, sizeof(*address)) != 1) die("sendto");
  if (!sender && bind(server, (struct sockaddr *)&self, sizeof(self))) die("bind");
  getsockname(server, (struct sockaddr *)&self, &size);
  self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(client, (struct sockaddr *)&self, sizeof(self))) die("connect");
  for (int done = 0; done < count; done += BLOCK) {
    for (int i = 0; i < BLOCK; i++)
      if (send(client, &byte, 1, 0) != 1) die("send");
    uint64_t start = now();
    for (int i = 0; i < BLOCK; i++, size = sizeof(from))
      if (recvfrom(server, &byte, 1, 0, (struct sockaddr *)&from, &size) != 1) die("recvfrom");
    total += now() - start;
  }
  close(server);
  close(client);
  return (double)total / count;
}

// Mean nanoseconds of repeated connect() and of getpeername() on one UDP socket, and of recvfrom() on another.
static void hook_times(const char *name, const char *address, int sender, int count) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(address), .sin_port = htons(80)}, from;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  uint64_t start = now();
  for (int i = 0; i < count; i++)
    if (connect(fd, (struct sockaddr *)&to, sizeof(to))) die(name);
  uint64_t middle = now();
  for (int i = 0; i < count; i++) {
    socklen_t size = sizeof(from);
    if (getpeername(fd, (struct sockaddr *)&from, &size)) die(name);
  }
  uint64_t end = now();
  printf("%s %.1f %.1f %.1f\n", name, (double)(middle - start) / count, (double)(end - middle) / count,
         receive_time(&to, sender, count));
  fflush(stdout);
  close(fd);
}

static int hooks(const char *cgroup, const char *pod, const char *vip, int count) {
  for (int round = 0; round < 15; round++)
    for (int inside = 0; inside < 2; inside++) {
      int status;
      if (!fork()) {
        if (inside) enter(cgroup);
        hook_times(inside ? "pass" : "none", pod, 0, count);
        if (inside) hook_times("service", vip, 1, count);
        _exit(0);
      }
      if (wait(&status) < 0 || status) return 1;
    }
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 4 && !strcmp(argv[1], "serve")) serve(atoi(argv[2]), atoi(argv[3]));
  if (argc == 6 && !strcmp(argv[1], "hooks")) return hooks(argv[2], argv[3], argv[4], atoi(argv[5]));
  refused = argc == 5 && !strcmp(argv[1], "refused");
  if (argc == 5 && (refused || !strcmp(argv[1], "run"))) return run(argv[2], atoi(argv[3]), atoi(argv[4]));
  fprintf(stderr, "Usage: load serve PORT COUNT | load run|refused SPEC ROUNDS PER_ROUND\n");
  return 2;
}
