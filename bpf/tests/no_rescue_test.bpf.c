// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The programs of pod.bpf.c without the rescue of connects: what it costs those that need none is the difference (rig/bench).
 */
#include "lib/deliver.h"
#include "lib/packet_orig_dst.h"
#include "lib/refuse.h"
#include "lib/rescue.h"

#define keep_syn(skb, packet, hash) ((void)0)
#define may_refuse(packet, flow) false
#define may_be_moved(packet, flow) false
#define may_move(packet, flow) false

#include "pod.bpf.c"
