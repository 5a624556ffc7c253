// SPDX-License-Identifier: Apache-2.0
// One TCP client or server.
//
//   net serve ADDRESS             prints "ready"; echoes short messages, discards long ones
//   net requests ADDRESS SECONDS  a byte there and back, on one connection, one after another
//   net connects ADDRESS SECONDS  connects and resets, one after another
//   net both ADDRESS SECONDS      connects, a byte there and back, resets
//   net stream ADDRESS SECONDS    sends as fast as it can; prints Gbit/s, the others rounds per second
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT 9000
#define SHORT 64
#define CHUNK (64 * 1024)

static char buffer[CHUNK];

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static int make_socket(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  if (fd < 0) die("socket");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

static void serve(const struct sockaddr_in *address) {
  int on = 1, listening = make_socket(), set = epoll_create1(0);
  struct epoll_event events[64], event = {.events = EPOLLIN, .data.fd = listening};

  setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listening, (void *)address, sizeof *address) || listen(listening, 1024)) die("listen");
  epoll_ctl(set, EPOLL_CTL_ADD, listening, &event);
  puts("ready");
  fflush(stdout);
  for (;;) {
    int count = epoll_wait(set, events, 64, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listening) {
        event.data.fd = accept(listening, NULL, NULL);
        if (event.data.fd < 0) continue;
        setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_ctl(set, EPOLL_CTL_ADD, event.data.fd, &event);
        continue;
      }
      ssize_t got = read(fd, buffer, sizeof buffer);
      if (got <= 0 || (got <= SHORT && write(fd, buffer, got) != got)) close(fd);
    }
  }
}

static int dial(const struct sockaddr_in *address) {
  int fd = make_socket();
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
  if (connect(fd, (void *)address, sizeof *address)) die("connect");
  return fd;
}

static void request(int fd) {
  if (write(fd, buffer, 1) != 1 || read(fd, buffer, 1) != 1) die("request");
}

static void reset(int fd) {
  struct linger at_once = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
}

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  if (argc < 3 || inet_pton(AF_INET, argv[2], &address.sin_addr) != 1) return 2;
  if (!strcmp(argv[1], "serve")) serve(&address);
  if (argc < 4) return 2;
  const char *mode = argv[1];
  double seconds = atof(argv[3]), amount = 0;
  int keep = !strcmp(mode, "requests") || !strcmp(mode, "stream"), fd = keep ? dial(&address) : -1;
  double ends = now() + seconds;
  while (now() < ends) {
    if (!strcmp(mode, "stream")) {
      ssize_t sent = write(fd, buffer, sizeof buffer);
      if (sent < 0) die("write");
      amount += sent * 8 / 1e9;
      continue;
    }
    if (!keep) fd = dial(&address);
    if (strcmp(mode, "connects")) request(fd);
    if (!keep) reset(fd);
    amount++;
  }
  printf("%.3f\n", amount / seconds);
  return 0;
}
