/* SPDX-License-Identifier: Apache-2.0 */
/* This file contains the client's output: lines on stdout that never block it (format: load.c). */
#ifndef DEMO_OUTPUT_H
#define DEMO_OUTPUT_H

#include <stdint.h>

void out_open(void);
void out_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
void out_sample(uint64_t number, char result, int64_t latency_us, int responder, int64_t connect_us);

/*
 * Returns the number of a responder, a name (up to its first line end) and since when it has been ready; printed when new. -1 when
 * there are too many.
 */
int out_responder(const char *name, int64_t ready_us);

/* Closes the open line of samples and writes as much as stdout accepts now. */
void out_flush(void);

/* Writes everything, however long that takes. */
void out_close(void);

#endif
