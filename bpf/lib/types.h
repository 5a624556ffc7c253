/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains every shape that the programs share with TypeScript. No code.
 *
 * It is the only schema: tools/btfgen makes libs/bpf/src/gen from its BTF (layout, byte order from __be16/__be32)
 * and from its comments (documentation). Padding is named, schema.bpf.c refuses any other. Addresses are 16 bytes,
 * IPv4 as ::ffff:a.b.c.d. Numbers are little endian unless the type says __be.
 *
 * Map names are mesh_<noun>_v<layout>. Within one layout meanings never change, because two versions of the agent
 * share the maps during an upgrade.
 */
#ifndef MESH_TYPES_H
#define MESH_TYPES_H

#include <linux/types.h>

/** Sizes that the programs are compiled with. */
enum limit {
	LIMIT_TIERS = 4,		/* tier words of a service */
	LIMIT_PROBES = 8,		/* most slots probed in one choice: the sum of (1 + tries) over the tiers */
	LIMIT_LINE_SLOTS = 16,		/* backend ids in a line */
	LIMIT_SEGMENT_LINES = 65536,	/* lines in a table segment */
	LIMIT_SEGMENTS = 64,		/* table segments; added on a running node */
	LIMIT_CLUSTERS = 4096,		/* cluster ids, 0 included */
	LIMIT_BACKEND_INDEX = 16777215, /* mask of the index in a backend id; the generation is in the 8 bits above */
	LIMIT_METRICS = 64,		/* counters */
	LIMIT_SEARCH_SLOTS = 256,	/* slots in which a kept backend is searched: tables up to this size have no order */
	LIMIT_TCP_ORIG_DST = 65536,		/* TCP sockets whose VIP is known without socket storage */
	LIMIT_SERVICE_RANGES = 16,	/* ranges of ClusterIPs: each connect to no Service compares them one by one */
};

/** IP protocol numbers that Services can have. */
enum proto {
	PROTO_ANY = 0,	  /* only in (VIP, port 0) rows */
	PROTO_TCP = 6,	  /* TCP */
	PROTO_UDP = 17,	  /* UDP */
	PROTO_SCTP = 132, /* SCTP */
};

/** Which clients a frontend row is for. */
enum frontend_scope {
	FRONTEND_SCOPE_ALL = 0,	  /* everyone */
	FRONTEND_SCOPE_LOCAL = 1, /* reserved: the row of a Local traffic policy */
};

/** Bits of frontend_row.flags. */
enum frontend_flag {
	FRONTEND_REJECT = 1,	/* no service: refuse. Set in (VIP, port 0) rows, which answer for unknown ports */
	FRONTEND_PASS = 2,	/* another proxy serves this VIP: leave it alone. Set in (VIP, port 0) rows */
	FRONTEND_UNKNOWN = 4,	/* never stored: the answer for an address in a service range that no row knows */
};

/**
 * Key of mesh_frontends_v1: the address that clients dial.
 * A row with port 0 and protocol 0 says what happens to the ports and protocols of a VIP that have no row.
 */
struct frontend_key {
	__u8 addr[16]; /* VIP, IPv4 as v4-mapped */
	__be16 port;   /* port, 0 = every port without a row of its own */
	__u8 proto;    /* enum proto */
	__u8 scope;    /* enum frontend_scope */
};

/** Value of mesh_frontends_v1: inserted and deleted, never rewritten. */
struct frontend_row {
	__u32 service; /* index into mesh_services_v1; 0 = none */
	__u16 flags;   /* enum frontend_flag */
	__u16 check;   /* hash of the key (frontend_check()); another value is a miss */
};

/**
 * Row of the list that mesh_service_ranges_v2 holds: a range in which every address is a ClusterIP. An address in it that
 * has no frontend belongs to no Service, and connecting to it fails at once. A list is written before programs see it,
 * and never changed: another one takes its place. No list or an empty one = such an address is left alone.
 */
struct service_range_row {
	__u8 addr[16]; /* first address of the range, IPv4 as v4-mapped */
	__u8 mask[16]; /* the bits of addr that count; all zero = the list ends before this row */
};

/**
 * A tier of a service: where its table is and how it is probed. One u64, written by one store.
 * All zero = no such tier.
 */
struct tier_word {
	__u64 line : 28;    /* first line of the table: segment = line >> 16, line in it = line & 65535 */
	__u64 slots : 17;   /* slots of the table; 0 = no backends */
	__u64 tries : 3;    /* slots probed after the first */
	__u64 maglev : 1;   /* the table is a Maglev table */
	__u64 cluster : 12; /* the cluster of every backend in it; 0 = mixed */
	__u64 spare : 3;    /* 0 */
};

/** Bits of service_row.flags. */
enum service_flag {
	SERVICE_AFFINITY = 1, /* reserved: sessionAffinity ClientIP */
};

/** Row of mesh_services_v1 (mapped array). Row 0 stays empty. */
struct service_row {
	__u64 tier[4];	  /* struct tier_word, in order of preference */
	__u32 flags;	  /* enum service_flag */
	__u32 affinity_s; /* reserved: seconds of session affinity */
	__u32 gen;	  /* counts the services that had this row */
	__u32 pad[5];	  /* 0 */
};

/** Line of a table segment: 16 slots, one cache line. */
struct table_line {
	__u32 id[16]; /* backend ids; 0 = unused slot */
};

/** How much a backend, a node or a cluster is to be avoided; the higher of the three counts. */
enum rank {
	RANK_UP = 0,	   /* first choice */
	RANK_DRAINING = 1, /* leaving on purpose */
	RANK_SUSPECT = 2,  /* there is doubt */
	RANK_DOWN = 3,	   /* known not to answer */
};

/** Bits of backend_row.flags. */
enum backend_flag {
	BACKEND_TERMINATING = 1, /* serving, but on its way out */
};

/**
 * Row of mesh_backends_v1 (mapped array). Row 0 stays empty.
 * Body first, then id by one store; freed by id = 0 first.
 */
struct backend_row {
	__u32 id;      /* generation << 24 | own index, generation >= 1; 0 = free */
	__be16 port;   /* port */
	__u8 proto;    /* enum proto */
	__u8 state;    /* enum rank of this backend alone; stored together with port and proto, as one word */
	__u32 node;    /* index into mesh_nodes_v1; 0 = not known */
	__u16 cluster; /* cluster id */
	__u8 zone;     /* reserved: number of the zone; 0 = not known */
	__u8 flags;    /* enum backend_flag */
	__u8 addr[16]; /* address, IPv4 as v4-mapped */
};

/**
 * Word of mesh_cluster_state_v1 (index = cluster id) and mesh_node_state_v1 (index = node index), one u32 store.
 * Byte r-1 holds, one bit per source of news, who gives rank r; the rank is the highest byte that is not empty.
 */
struct state_word {
	__u8 draining; /* who says draining */
	__u8 suspect;  /* who says suspect */
	__u8 down;     /* who says down */
	__u8 spare;    /* 0 */
};

/** Bits of node_row.flags. */
enum node_flag {
	NODE_LOCAL = 1, /* the node that this map is on */
};

/** Row of mesh_nodes_v1 (mapped array). Row 0 stays empty. Body first, then id. */
struct node_row {
	__u32 id;	 /* own index; 0 = free */
	__u16 cluster;	 /* cluster id */
	__u8 zone;	 /* reserved: number of the zone; 0 = not known */
	__u8 key;	 /* reserved: id of the encryption key */
	__u8 tunnel[16]; /* tunnel address; with the cluster it names the node */
	__u8 health[16]; /* health address */
	__u32 flags;	 /* enum node_flag */
	__u32 pad[5];	 /* 0 */
};

/** One copy of a floor. */
struct floor_copy {
	__u8 store[16];	    /* store id; local cluster: epoch */
	__u64 position[8];  /* remote source: [0] = etcd revision; local cluster: a resource version per type */
	__u64 checksum;	    /* over store and position (floorChecksum()) */
};

/**
 * Row of mesh_floors_v1 (mapped array), index = cluster id, 0 = local cluster: nothing older than this is applied.
 * The copy that is not valid is written, then valid is stored.
 */
struct floor_row {
	__u32 valid;		   /* 0 = no floor, 1 = copy[0], 2 = copy[1] */
	__u32 pad[3];		   /* 0 */
	struct floor_copy copy[2]; /* the two copies */
};

/** Socket storage (mesh_sock_v1): what a connected socket dialled, for as long as it lives. Written by programs only. */
struct sock_row {
	__u8 vip[16];	    /* what the application dialled */
	__u8 addr[16];	    /* the backend's address */
	__be16 vip_port;    /* port that the application dialled */
	__be16 port;	    /* the backend's port */
	__u32 backend;	    /* backend id */
	__u32 service;	    /* index into mesh_services_v1 */
	__u32 pad;	    /* 0 */
};

/**
 * Row of mesh_tcp_recent_v2 (array, index = low bits of the cookie): what the latest TCP sockets dialled.
 * Written by programs only.
 */
struct tcp_orig_dst_row {
	__u64 cookie;		 /* socket cookie */
	struct sock_row orig_dst; /* what it dialled */
	__u64 check;		 /* of cookie and orig_dst (row_check()); another value is a miss */
};

/** Key of mesh_udp_sticky_v2 (LRU): an unconnected socket and the frontend it sends to. */
struct udp_sticky_key {
	__u64 cookie;  /* socket cookie */
	__u8 vip[16];  /* VIP */
	__be16 port;   /* its port */
	__u8 pad[6];   /* 0 */
};

/** Value of mesh_udp_sticky_v2: the backend that this socket keeps, and where it was found. One u64, read by one load. */
struct udp_sticky_row {
	__u64 backend : 32; /* backend id */
	__u64 fraction : 17; /* its slot, as a fraction of the slots of its table, in 2^-17 */
	__u64 tier : 2;	    /* which tier word of the service has that table */
	__u64 check : 13;   /* hash of the key (row_check()); another value is a miss */
};

/** Key of mesh_udp_reverse_v2 (LRU): an unconnected socket and the backend that answers it. */
struct udp_reverse_key {
	__u64 cookie;  /* socket cookie */
	__u8 addr[16]; /* the backend's address */
	__be16 port;   /* the backend's port */
	__u8 pad[6];   /* 0 */
};

/** Value of mesh_udp_reverse_v2: what the application shall see as the source. */
struct udp_reverse_row {
	__u8 vip[16]; /* VIP */
	__be16 port;  /* its port */
	__u8 pad[6];  /* 0 */
	__u64 check;  /* of the key and of the fields above (row_check()); another value is a miss */
};

/** Settings, read-only data of every program, set when it is loaded. */
struct datapath_config {
	__u32 cluster_id;   /* id of the local cluster: always up */
	__u32 flags;	    /* reserved, 0 */
	__u64 netns_cookie; /* reserved: cookie of the node's network namespace */
};

/** Counters of mesh_metrics_v1 (per CPU, u64): index and meaning. */
enum metric {
	METRIC_NONE = 0,		/* not counted */
	METRIC_CONNECT = 1,		/* connect() sent to a backend */
	METRIC_SENDMSG = 2,		/* datagram of an unconnected socket sent to a backend */
	METRIC_REPLY = 3,		/* source of a received datagram shown as its VIP */
	METRIC_NO_BACKEND = 4,		/* refused: the service has no backend */
	METRIC_UNKNOWN_PORT = 5,	/* refused: the VIP has no such port */
	METRIC_SPILLED = 6,		/* chosen from a tier that is not the first */
	METRIC_DEGRADED = 7,		/* chosen although it is not up: nothing better was seen */
	METRIC_SKIPPED_TIER = 8,	/* a tier was not probed because its cluster is down */
	METRIC_STALE_ID = 9,		/* a slot named a backend that is gone */
	METRIC_STATE_FULL = 10,		/* state of a socket could not be kept: no memory or map full */
	METRIC_CHECK_MISMATCH = 11,	/* a map answered with the value of another key; treated as a miss */
	METRIC_UNKNOWN_SERVICE = 12,	/* refused: a ClusterIP that belongs to no Service */
};

#endif
