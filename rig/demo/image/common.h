/* SPDX-License-Identifier: Apache-2.0 */
/* This file contains what client and server share: the clock, flags, numeric addresses. */
#ifndef DEMO_COMMON_H
#define DEMO_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* All times are microseconds of CLOCK_MONOTONIC: one clock for every process of a machine. */
int64_t now_us(void);
int64_t wall_us(void);

/* Arms a timerfd for an absolute time; a time in the past fires at once. */
void arm(int timer, int64_t at_us);

/* Returns the value after `--name`, or `otherwise`. */
const char *flag(int argc, char **argv, const char *name, const char *otherwise);
int64_t flag_number(int argc, char **argv, const char *name, int64_t otherwise);
/* Ends the program with status 2 on a flag that is not in `known`. */
void only_flags(int argc, char **argv, const char *const *known);

/* Parses "10.0.0.1:80" or "[fd00::1]:80"; numeric only, since the program has no resolver. False: not an address. */
bool parse_target(const char *text, struct sockaddr_storage *out, socklen_t *length);

/* Prints the error and ends the program with status 1. */
_Noreturn void die(const char *what);

int httpd_main(int argc, char **argv);
int load_main(int argc, char **argv);

#endif
