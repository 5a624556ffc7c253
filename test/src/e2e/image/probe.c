// SPDX-License-Identifier: Apache-2.0
// One static program for the pods of the end-to-end tests.
//
//   probe idle                      waits, so that other commands can be run by exec
//   probe udp-echo PORT             answers each datagram with "<host name> <datagram>"
//   probe echo PORT                 the same, and each piece of a TCP connection too, which ends after a GET
//   probe tcp IP:PORT [COUNT]       COUNT new connections, one after another: a line each, OUTCOME MICROSECONDS [ANSWER]
//   probe udp IP:PORT               one datagram from a connected socket, one from an unconnected one
//   probe mtu IP:PORT SIZE          datagrams that must not be split, until one is too big for the way: what the kernel learned of it
//   probe ping IP                   one echo request: OUTCOME
//   probe talk tcp|udp IP:PORT      sends each line of its input from one connected socket: a line each, OUTCOME ANSWER
//
// OUTCOME: open, refused, unreachable, reset, timeout (1 s), denied, other. A server that accepts but does not answer a GET within
// the second is still open.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

static struct sockaddr_in parse(const char *text) {
  char ip[64];
  int port;
  struct sockaddr_in address = {.sin_family = AF_INET};
  if (sscanf(text, "%63[0-9.]:%d", ip, &port) != 2 || inet_pton(AF_INET, ip, &address.sin_addr) != 1) {
    fprintf(stderr, "Not an address: %s\n", text);
    exit(2);
  }
  address.sin_port = htons(port);
  return address;
}

static const char *outcome(int error) {
  switch (error) {
  case 0: return "open";
  case ECONNREFUSED: return "refused";
  case EHOSTUNREACH: return "unreachable";
  case ECONNRESET: return "reset";
  case EPERM: return "denied";
  case EINPROGRESS: case EAGAIN: case ETIMEDOUT: return "timeout";
  default: return "other";
  }
}

static int open_socket(int type) {
  struct timeval second = {.tv_sec = 1};
  int fd = socket(AF_INET, type, 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
  return fd;
}

// Returns the last line of the answer; empty when there is none.
static const char *ask(int fd) {
  static char buffer[4096];
  size_t have = 0;
  ssize_t n;
  if (send(fd, "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL) != 18) return "";
  while (have < sizeof(buffer) - 1 && (n = recv(fd, buffer + have, sizeof(buffer) - 1 - have, 0)) > 0) have += n;
  while (have > 0 && buffer[have - 1] <= ' ') have--;
  buffer[have] = 0;
  char *last = strrchr(buffer, '\n');
  return last ? last + 1 : buffer;
}

static int tcp(const char *target, int count) {
  struct sockaddr_in address = parse(target);
  for (int i = 0; i < count; i++) {
    int fd = open_socket(SOCK_STREAM);
    int64_t begun = now_us();
    int error = connect(fd, (struct sockaddr *)&address, sizeof(address)) ? errno : 0;
    int64_t took = now_us() - begun;
    printf("%s %lld %s\n", outcome(error), (long long)took, error ? "" : ask(fd));
    close(fd);
  }
  return 0;
}

static void datagram(const char *name, struct sockaddr_in address, int connected) {
  char answer[256], from[INET_ADDRSTRLEN] = "";
  struct sockaddr_in sender = {0};
  socklen_t length = sizeof(sender);
  int fd = open_socket(SOCK_DGRAM);
  ssize_t n = -1;
  if (connected) {
    if (!connect(fd, (struct sockaddr *)&address, sizeof(address)) && send(fd, "hello", 5, 0) == 5)
      n = recv(fd, answer, sizeof(answer) - 1, 0);
    getpeername(fd, (struct sockaddr *)&sender, &length);
  } else if (sendto(fd, "hello", 5, 0, (struct sockaddr *)&address, sizeof(address)) == 5) {
    n = recvfrom(fd, answer, sizeof(answer) - 1, 0, (struct sockaddr *)&sender, &length);
  }
  int error = n < 0 ? errno : 0;
  answer[n < 0 ? 0 : n] = 0;
  inet_ntop(AF_INET, &sender.sin_addr, from, sizeof(from));
  printf("%s %s %s:%d %s\n", name, outcome(error), from, ntohs(sender.sin_port), answer);
  close(fd);
}

static uint16_t checksum(const uint16_t *words, size_t count) {
  uint32_t sum = 0;
  while (count--) sum += *words++;
  sum = (sum >> 16) + (sum & 0xffff);
  return (uint16_t)~(sum + (sum >> 16));
}

// A raw socket, since the one for pings needs a setting of the pod's. It hears all ICMP of the pod, so the answer is looked for.
static int ping(const char *target) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  struct icmphdr request = {.type = ICMP_ECHO, .un.echo = {.id = (uint16_t)getpid(), .sequence = 1}};
  struct timeval second = {.tv_sec = 1};
  int64_t until = now_us() + 1000000;
  int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  if (fd < 0 || inet_pton(AF_INET, target, &address.sin_addr) != 1) return 1;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
  request.checksum = checksum((uint16_t *)&request, sizeof(request) / 2);
  if (sendto(fd, &request, sizeof(request), 0, (struct sockaddr *)&address, sizeof(address)) < 0) return 1;
  while (now_us() < until) {
    unsigned char packet[2048];
    ssize_t n = recv(fd, packet, sizeof(packet), 0);
    struct icmphdr *answer = (struct icmphdr *)(packet + 4 * (packet[0] & 15));
    if (n < 0) break;
    if (n < (ssize_t)(4 * (packet[0] & 15) + sizeof(*answer))) continue;
    if (answer->type == ICMP_ECHOREPLY && answer->un.echo.id == request.un.echo.id) return puts("open") < 0;
    if (answer->type != ICMP_DEST_UNREACH || n < (ssize_t)(4 * (packet[0] & 15) + 36)) continue;
    if (((struct icmphdr *)((unsigned char *)(answer + 1) + 20))->un.echo.id == request.un.echo.id) return puts("unreachable") < 0;
  }
  return puts("timeout") < 0;
}

static int mtu(const char *target, size_t size) {
  struct sockaddr_in address = parse(target);
  int fd = open_socket(SOCK_DGRAM), must = IP_PMTUDISC_DO, learned = 0;
  socklen_t length = sizeof(learned);
  char *piece = calloc(1, size), answer[65536];
  setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &must, sizeof(must));
  if (!piece || connect(fd, (struct sockaddr *)&address, sizeof(address))) return 1;
  for (int i = 0; i < 5; i++) {
    if (send(fd, piece, size, 0) < 0 && errno == EMSGSIZE) {
      getsockopt(fd, IPPROTO_IP, IP_MTU, &learned, &length);
      break;
    }
    // An error about what was sent ends the wait; the next datagram meets what was learned.
    if (recv(fd, answer, sizeof(answer), 0) < 0 && errno == EMSGSIZE) continue;
  }
  printf("%d\n", learned);
  return 0;
}

static int udp_echo(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  char host[64] = "", in[256], out[512];
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (bind(fd, (struct sockaddr *)&address, sizeof(address))) return 1;
  gethostname(host, sizeof(host) - 1);
  for (;;) {
    struct sockaddr_in from;
    socklen_t length = sizeof(from);
    ssize_t n = recvfrom(fd, in, sizeof(in) - 1, 0, (struct sockaddr *)&from, &length);
    if (n < 0) continue;
    in[n] = 0;
    int size = snprintf(out, sizeof(out), "%s %s", host, in);
    sendto(fd, out, size, 0, (struct sockaddr *)&from, length);
  }
}

// Answers TCP from a process per connection, and UDP from this one.
static int echo(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  int listening = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listening, (struct sockaddr *)&address, sizeof(address)) || listen(listening, 128)) return 1;
  if (fork() == 0) return udp_echo(port);
  signal(SIGCHLD, SIG_IGN);
  for (;;) {
    int fd = accept(listening, NULL, NULL);
    if (fd >= 0 && fork() == 0) {
      char host[64] = "", in[256], out[512];
      ssize_t n;
      gethostname(host, sizeof(host) - 1);
      while ((n = recv(fd, in, sizeof(in) - 1, 0)) > 0) {
        in[n] = 0;
        int size = snprintf(out, sizeof(out), "%s %s", host, in);
        if (send(fd, out, size, MSG_NOSIGNAL) != size || !strncmp(in, "GET ", 4)) break;
      }
      _exit(0);
    }
    close(fd);
  }
}

// One socket for all lines, so that the caller decides how long it is silent between two.
static int talk(const char *kind, const char *target) {
  struct sockaddr_in address = parse(target);
  char line[128], answer[512];
  int fd = open_socket(strcmp(kind, "udp") ? SOCK_STREAM : SOCK_DGRAM);
  if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
    printf("%s \n", outcome(errno));
    return 0;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  while (fgets(line, sizeof(line), stdin)) {
    line[strcspn(line, "\n")] = 0;
    ssize_t n = send(fd, line, strlen(line), MSG_NOSIGNAL);
    if (n >= 0) n = recv(fd, answer, sizeof(answer) - 1, 0);
    int error = n < 0 ? errno : n == 0 ? ECONNRESET : 0;
    answer[n < 0 ? 0 : n] = 0;
    printf("%s %s\n", outcome(error), answer);
  }
  return 0;
}

static void leave(int signal) {
  (void)signal;
  _exit(0);
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  signal(SIGTERM, leave);
  if (!strcmp(what, "idle")) for (;;) pause();
  if (!strcmp(what, "udp-echo") && argc == 3) return udp_echo(atoi(argv[2]));
  if (!strcmp(what, "echo") && argc == 3) return echo(atoi(argv[2]));
  if (!strcmp(what, "mtu") && argc == 4) return mtu(argv[2], strtoul(argv[3], NULL, 10));
  if (!strcmp(what, "talk") && argc == 4) return talk(argv[2], argv[3]);
  if (!strcmp(what, "tcp") && argc >= 3) return tcp(argv[2], argc > 3 ? atoi(argv[3]) : 1);
  if (!strcmp(what, "ping") && argc == 3) return ping(argv[2]);
  if (!strcmp(what, "udp") && argc == 3) {
    datagram("connected", parse(argv[2]), 1);
    datagram("unconnected", parse(argv[2]), 0);
    return 0;
  }
  fputs("probe idle | udp-echo PORT | echo PORT | tcp IP:PORT [COUNT] | udp IP:PORT | mtu IP:PORT SIZE | ping IP | talk tcp|udp IP:PORT\n", stderr);
  return 2;
}
