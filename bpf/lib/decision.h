/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* This file contains what a program decides: a verdict and, for a drop, the reason, which is counted. */
#ifndef MESH_DECISION_H
#define MESH_DECISION_H

#include "metrics.h"

/*
 * A decision: reason:24 | verdict:8. It is one number because the verifier walks a tenth more of sendmsg6 when it is a
 * struct. The reason is DROP_NONE unless the verdict is VERDICT_DROP.
 */
#define PASS VERDICT_PASS
#define TRANSLATE VERDICT_TRANSLATE
#define DROP(reason) (VERDICT_DROP | (reason) << 8)
#define VERDICT(decision) ((decision) & 0xff)
#define REASON(decision) ((decision) >> 8)

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
	}
}

#endif
