/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* This file contains what a program decides: a verdict and, for a drop, the reason, which is counted. */
#ifndef MESH_DECISION_H
#define MESH_DECISION_H

#include "metrics.h"

/*
 * Functions return a decision as one number (WORD, FIELDS), because the verifier walks a tenth more of sendmsg6 when it
 * is a struct. The reason is DROP_NONE unless the verdict is VERDICT_DROP.
 */
struct decision {
	__u64 verdict : 32; /* enum verdict */
	__u64 reason : 32;  /* enum drop_reason */
};

#define PASS WORD(decision, .verdict = VERDICT_PASS)
#define TRANSLATE WORD(decision, .verdict = VERDICT_TRANSLATE)
#define DROP(why) WORD(decision, .verdict = VERDICT_DROP, .reason = (why))

/* The counter of a reason has the same name and another number, because most counters are of no drop. */
static __always_inline void count_drop(enum drop_reason reason)
{
	switch (reason) {
	case DROP_NONE:
		break;
	case DROP_NO_BACKEND:
		count(METRIC_NO_BACKEND);
		break;
	case DROP_UNKNOWN_PORT:
		count(METRIC_UNKNOWN_PORT);
		break;
	case DROP_UNKNOWN_SERVICE:
		count(METRIC_UNKNOWN_SERVICE);
		break;
	case DROP_SPOOFED_SOURCE:
		count(METRIC_SPOOFED_SOURCE);
		break;
	case DROP_MALFORMED:
		count(METRIC_MALFORMED);
		break;
	case DROP_LATE_ANSWER:
		count(METRIC_LATE_ANSWER);
		break;
	case DROP_PORT_TAKEN:
		count(METRIC_PORT_TAKEN);
		break;
	case DROP_NO_ENDPOINT:
		count(METRIC_NO_ENDPOINT);
		break;
	case DROP_EGRESS_DENIED:
		count(METRIC_EGRESS_DENIED);
		break;
	case DROP_INGRESS_DENIED:
		count(METRIC_INGRESS_DENIED);
		break;
	case DROP_UNKNOWN_IDENTITY:
		count(METRIC_UNKNOWN_IDENTITY);
		break;
	}
}

#endif
