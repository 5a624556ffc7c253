/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * This file contains every type that the programs share with TypeScript. No code.
 *
 * It is the only schema: tools/btfgen generates libs/bpf/src/gen from its BTF (layout, byte order from __be16/__be32)
 * and from its comments (documentation). Padding has a name, else schema.bpf.c does not compile. Addresses are 16
 * bytes, IPv4 as ::ffff:a.b.c.d. Numbers are little endian unless their type is __be16 or __be32.
 *
 * A word is what one store writes: a struct of bit fields, a struct named *_word, or an anonymous struct in a row. Its
 * fields are packed and taken apart by the compiler (FIELDS and WORD of common.h) and by generated functions (toWord
 * and fromWord), never by hand.
 *
 * Map names are mesh_<noun>_v<layout>. Within one layout meanings never change, because two versions of the agent
 * share the maps during an upgrade.
 */
#ifndef MESH_TYPES_H
#define MESH_TYPES_H

#include <linux/types.h>

/** Sizes that the programs are compiled with. */
enum limit {
	LIMIT_TIER_BITS = 2,			  /* bits of the index of a tier */
	LIMIT_TIERS = 1 << LIMIT_TIER_BITS,	  /* tier words of a service */
	LIMIT_SLOT_BITS = 17,			  /* bits of a number of slots, and of a slot fraction */
	LIMIT_SLOTS = (1 << LIMIT_SLOT_BITS) - 1, /* most slots of a table: 8,192 lines, which fit into a segment */
	LIMIT_PROBES = 8,		/* most slots probed in one choice: the sum of (1 + tries) over the tiers */
	LIMIT_LINE_SLOTS = 16,		/* backend ids in a line */
	LIMIT_SEGMENT_LINES = 65536,	/* lines in a table segment */
	LIMIT_SEGMENTS = 64,		/* table segments; added on a running node */
	LIMIT_CLUSTERS = 4096,		/* cluster ids, 0 included */
	LIMIT_METRICS = 64,		/* counters */
	LIMIT_SEARCH_SLOTS = 256,	/* slots in which a kept backend is searched; tables up to this size have no order */
	LIMIT_TCP_ORIG_DST = 65536,	/* TCP sockets whose VIP is known without socket storage */
	LIMIT_STICKY_CHECK_BITS = 13,	/* bits of the check of a udp_sticky_row */
	LIMIT_FLOOR_POSITIONS = 16,	/* numbers in a copy of a floor */
	LIMIT_SERVICE_RANGES = 16,	/* ranges of ClusterIPs; a connect that matches no Service compares all of them */
	LIMIT_FLOW_SET = 4,		/* rows in a set of mesh_conntrack */
	LIMIT_MOVES = 3,		/* how often a connect is moved to another backend */
	LIMIT_SILENT_MOVES = 2,		/* how often because nothing answered */
	LIMIT_MOVED_CONNECTS = 16384,	/* moved connects of an address of a pod: half of mesh_nat, which has two rows of each */
	LIMIT_SYNS = 16384,		/* SYNs of connects to Services that are kept */
	LIMIT_MOVE_REASONS = 8,		/* counts of a service_moves_row */
	LIMIT_IDENTITY_BITS = 20,	/* bits of the number of an identity in its cluster */
	LIMIT_NODE_CLUSTER = 4095,	/* cluster bits of identities that one node knows: ranges of addresses */
	LIMIT_FLOW_IDLE = 128,		/* units of flow_row.seen after which a flow without connections has ended: 137 s */
	LIMIT_FLOW_IDLE_TCP = 20480,	/* units of flow_row.seen after which a flow of TCP is forgotten: 6 hours */
	LIMIT_FRAGMENT_AGE = 28,	/* units of fragment_row.seen for which a row counts: 30 s, in which Linux joins fragments */
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
	FRONTEND_SCOPE_ALL = 0,	  /* all clients */
	FRONTEND_SCOPE_LOCAL = 1, /* reserved: the row of a Local traffic policy */
};

/** Bits of frontend_row.flags. */
enum frontend_flag {
	FRONTEND_REJECT = 1,	/* refuse: no service. Set in (VIP, port 0) rows, which apply to ports without a row */
	FRONTEND_PASS = 2,	/* do not translate: another proxy serves this VIP. Set in (VIP, port 0) rows */
	FRONTEND_UNKNOWN = 4,	/* never stored: the result for an address in a service range that has no row */
};

/**
 * Key of mesh_frontends: the address that clients connect to.
 * A row with port 0 and protocol 0 applies to the ports and protocols of a VIP that have no row.
 */
struct frontend_key {
	__u8 addr[16]; /* VIP, IPv4 as v4-mapped */
	__be16 port;   /* port, 0 = every port without a row */
	__u8 proto;    /* enum proto */
	__u8 scope;    /* enum frontend_scope */
};

/** Value of mesh_frontends: inserted and deleted, never rewritten. */
struct frontend_row {
	__u32 service; /* index into mesh_services; 0 = none */
	__u16 flags;   /* enum frontend_flag */
	__u16 check;   /* hash of the key (key_check()); another value is a miss */
};

/**
 * Row of the list in mesh_service_ranges: a range in which every address is a ClusterIP. An address in it without a
 * frontend belongs to no Service, and a connect to it fails at once. A list is written before programs can read it and
 * never changes: a new list replaces it. Without a list, or with an empty one, programs ignore such an address.
 */
struct service_range_row {
	__u8 addr[16]; /* first address of the range, IPv4 as v4-mapped */
	__u8 mask[16]; /* the significant bits of addr; all zero = the list ends before this row */
};

/**
 * A tier of a service: where its table is and how it is probed. One u64, written by one store.
 * All zero = no such tier.
 */
struct tier_word {
	__u64 line : 28;	       /* first line of the table: segment * LIMIT_SEGMENT_LINES + line in it */
	__u64 slots : LIMIT_SLOT_BITS; /* slots of the table; 0 = no backends */
	__u64 tries : 3;	       /* slots probed after the first */
	__u64 maglev : 1;	       /* the table is a Maglev table */
	__u64 cluster : 12;	       /* the cluster of every backend in it; 0 = mixed */
	__u64 spare : 3;	       /* 0 */
};

/** Bits of service_row.flags. */
enum service_flag {
	SERVICE_AFFINITY = 1,  /* reserved: sessionAffinity ClientIP */
	SERVICE_NO_RESCUE = 2, /* no connect to it is moved to another backend */
};

/** Row of mesh_services (mapped array). Row 0 stays empty. */
struct service_row {
	__u64 tier[LIMIT_TIERS]; /* struct tier_word, in order of preference */
	__u32 flags;		 /* enum service_flag */
	__u32 affinity_s;	 /* reserved: seconds of session affinity */
	__u32 gen;		 /* counts the services that had this row */
	__u32 rescue_after_ms;	 /* how long a backend may leave a SYN unanswered before the connect is moved; 0 = by round-trip time */
	__u32 pad[4];		 /* 0 */
};

/** Id of a backend. One u32; 0 = none. */
struct backend_id {
	__u32 index : 24;     /* row of the backend in mesh_backends, not 0 */
	__u32 generation : 8; /* counts the backends that had this row: 1 to 255, then 1 again */
};

/** Line of a table segment: 16 slots, one cache line. */
struct table_line {
	__u32 id[LIMIT_LINE_SLOTS]; /* backend ids; 0 = unused slot */
};

/** How strongly a backend, a node or a cluster is avoided; the highest of the three applies. */
enum rank {
	RANK_UP = 0,	   /* preferred */
	RANK_DRAINING = 1, /* shuts down as planned */
	RANK_SUSPECT = 2,  /* may not answer */
	RANK_DOWN = 3,	   /* does not answer */
};

/** Bits of backend_row.flags. */
enum backend_flag {
	BACKEND_TERMINATING = 1, /* serving and terminating, as in an EndpointSlice */
};

/**
 * Row of mesh_backends (mapped array). Row 0 stays empty.
 * The body is written first, then id by one store; to free the row, id = 0 is stored first.
 */
struct backend_row {
	__u32 id; /* struct backend_id, with the index of this row; 0 = free */
	struct {
		__be16 port; /* port */
		__u8 proto;  /* enum proto */
		__u8 state;  /* enum rank of this backend alone */
	};
	__u32 node; /* index into mesh_nodes; 0 = not known */
	struct {
		__u16 cluster; /* cluster id */
		__u8 zone;     /* reserved: number of the zone; 0 = not known */
		__u8 flags;    /* enum backend_flag */
	};
	__u8 addr[16]; /* address, IPv4 as v4-mapped */
};

/**
 * Word of mesh_cluster_state (index = cluster id) and mesh_node_state (index = node index), one u32 store.
 * Byte r-1 has one bit for each reporter that reports rank r; the rank is that of the highest byte that is not 0.
 */
struct state_word {
	__u8 draining; /* reporters of draining */
	__u8 suspect;  /* reporters of suspect */
	__u8 down;     /* reporters of down */
	__u8 spare;    /* 0 */
};

/** Bits of node_row.flags. */
enum node_flag {
	NODE_LOCAL = 1, /* the node that has this map */
};

/** Row of mesh_nodes (mapped array). Row 0 stays empty. The body is written first, then id. */
struct node_row {
	__u32 id;	 /* index of this row; 0 = free */
	__u16 cluster;	 /* cluster id */
	__u8 zone;	 /* reserved: number of the zone; 0 = not known */
	__u8 key;	 /* reserved: id of the encryption key */
	__u8 tunnel[16]; /* tunnel address; identifies the node, together with the cluster */
	__u8 health[16]; /* health address, identifies the node too; 0 = it has none */
	__u32 flags;	 /* enum node_flag */
	__u32 rtt_us;	 /* round-trip time of its pods' handshakes, in microseconds, written by programs; 0 = not known */
	__u32 pad[4];	 /* 0 */
};

/** One copy of a floor. */
struct floor_copy {
	__u8 store[16];			       /* store id; local cluster: epoch */
	__u64 position[LIMIT_FLOOR_POSITIONS]; /* remote source: [0] = etcd revision; local cluster: a resource version per type */
	__u64 checksum;			       /* of store and position (floorChecksum()) */
};

/**
 * Row of mesh_floors (mapped array), index = cluster id, 0 = local cluster: nothing older than this is applied.
 * An update writes the copy that is not valid, then stores valid.
 */
struct floor_row {
	__u32 valid;		   /* 0 = no floor, 1 = copy[0], 2 = copy[1] */
	__u32 pad[3];		   /* 0 */
	struct floor_copy copy[2]; /* the two copies */
};

/** floor_copy with 8 positions, in mesh_floors_v1. */
struct floor_copy_v1 {
	__u8 store[16];	    /* store id; local cluster: epoch */
	__u64 position[8];  /* remote source: [0] = etcd revision; local cluster: a resource version per type */
	__u64 checksum;	    /* of store and position, as in floor_copy */
};

/** Row of mesh_floors_v1, which the agent converts to a floor_row. */
struct floor_row_v1 {
	__u32 valid;		      /* 0 = no floor, 1 = copy[0], 2 = copy[1] */
	__u32 pad[3];		      /* 0 */
	struct floor_copy_v1 copy[2]; /* the two copies */
};

/**
 * Socket storage (mesh_sock): original destination and backend of a connected socket, until the socket is closed.
 * Written by programs only.
 */
struct sock_row {
	__u8 vip[16];	    /* address of the original destination */
	__u8 addr[16];	    /* the backend's address */
	__be16 vip_port;    /* port of the original destination */
	__be16 port;	    /* the backend's port */
	__u32 backend;	    /* backend id */
	__u32 service;	    /* index into mesh_services */
	__u32 pad;	    /* 0 */
};

/**
 * Row of mesh_tcp_recent (array, index = low bits of the cookie): original destinations of the latest TCP sockets.
 * Written by programs only.
 */
struct tcp_orig_dst_row {
	__u64 cookie;		 /* socket cookie */
	struct sock_row orig_dst; /* original destination and backend */
	__u64 check;		 /* hash of cookie and orig_dst (row_check()); another value is a miss */
};

/** Key of mesh_udp_sticky (LRU): an unconnected socket and the frontend it sends to. */
struct udp_sticky_key {
	__u64 cookie;  /* socket cookie */
	__u8 vip[16];  /* VIP */
	__be16 port;   /* its port */
	__u8 pad[6];   /* 0 */
};

/** Value of mesh_udp_sticky: the backend that this socket keeps, its tier and slot. One u64, read by one load. */
struct udp_sticky_row {
	__u64 backend : 32;		       /* backend id */
	__u64 fraction : LIMIT_SLOT_BITS;      /* its slot, as a fraction of the slots of its table, in 2^-17 */
	__u64 tier : LIMIT_TIER_BITS;	       /* index of the tier word of that table */
	__u64 check : LIMIT_STICKY_CHECK_BITS; /* hash of the key (row_check()); another value is a miss */
};

/** Key of mesh_udp_reverse (LRU): an unconnected socket and the backend that answers it. */
struct udp_reverse_key {
	__u64 cookie;  /* socket cookie */
	__u8 addr[16]; /* the backend's address */
	__be16 port;   /* the backend's port */
	__u8 pad[6];   /* 0 */
};

/** Value of mesh_udp_reverse: the source address that the application sees. */
struct udp_reverse_row {
	__u8 vip[16]; /* VIP */
	__be16 port;  /* its port */
	__u8 pad[6];  /* 0 */
	__u64 check;  /* hash of the key and of the fields above (row_check()); another value is a miss */
};

/** Key of mesh_endpoint_index: an address of a pod on this node. The value is the row of mesh_endpoints, a u32. */
struct endpoint_key {
	__u8 addr[16]; /* IPv4 as v4-mapped */
};

/**
 * Row of mesh_endpoints (mapped array): an address of a pod on this node. Row 0 stays empty.
 * The body is written first, then id by one store; to free the row, id = 0 is stored first.
 */
struct endpoint_row {
	__u32 id;	    /* index of this row; 0 = free */
	__u32 ifindex;	    /* the node's side of the pod's veth */
	__u8 mac[6];	    /* MAC of the pod's side */
	__u8 host_mac[6];   /* MAC of the node's side */
	__u32 netns_id;	    /* 1 + the number that the node's side has for the pod's network namespace; 0 = not known */
	__u32 identity;	    /* identity number; 0 = not known. No program reads it */
	__u32 flags;	    /* reserved, 0 */
	__u64 policy;	    /* struct pod_policy_word: its policy; 0 = everything is allowed */
	__u8 addr[16];	    /* the address, IPv4 as v4-mapped */
	__u32 moved;	    /* counts its connects that were moved; written by programs */
	__u32 moves_ended;  /* of these, those that have no rows in mesh_nat any more; stored by the agent every few seconds */
};

/**
 * What is enforced for a pod: endpoint_row.policy, one u64 store. A revision is never used twice on a node: flows that an
 * older one allowed are judged again.
 */
struct pod_policy_word {
	__u64 set : 31;	     /* index into mesh_policy_sets; 0 = everything is allowed */
	__u64 audit : 1;     /* audit mode: what the set denies passes, and is reported */
	__u64 revision : 32; /* counts what was enforced on this node and allowed less, or otherwise, than before */
};

/**
 * Numbers of identities that programs know. That of a label set is its cluster's id << LIMIT_IDENTITY_BITS | its number there;
 * libs/identity has all that are reserved.
 */
enum known_identity {
	IDENTITY_NONE = 0,	/* not known */
	IDENTITY_HOST = 1,	/* this node */
	IDENTITY_WORLD = 2,	/* an address of no cluster */
	IDENTITY_UNMANAGED = 3, /* with the id of a cluster: an address of its pod ranges of which nothing is known yet */
};

/** Key of mesh_ipcache (hash). */
struct ipcache_key {
	__u8 addr[16]; /* IPv4 as v4-mapped */
	__u16 space;   /* reserved, 0 */
	__u16 pad;     /* 0 */
};

/** Key of mesh_ipcache_prefixes (longest prefix). */
struct ipcache_prefix_key {
	__u32 length;  /* significant bits of what follows: 32 + those of addr */
	__u16 space;   /* reserved, 0 */
	__u16 pad;     /* 0 */
	__u8 addr[16]; /* first address of the range, IPv4 as v4-mapped */
};

/** Bits of ipcache_row.flags. */
enum ipcache_flag {
	IPCACHE_EXACT = 1, /* of a prefix: each address that is known has a row of its own */
};

/**
 * Value of mesh_ipcache and mesh_ipcache_prefixes: whose address it is. An address whose identity changes gets its row by one
 * update: a look-up sees the old row, the new one, or another key's, which the check tells.
 */
struct ipcache_row {
	__u32 identity; /* identity number */
	__u32 node;	/* index into mesh_nodes; 0 = not known */
	__u16 flags;	/* enum ipcache_flag */
	__u16 check;	/* of mesh_ipcache: hash of the key (key_check()); another value is a miss */
};

/** What a set says of one direction of an identity. One u32. */
struct peer_verdict {
	__u32 number : 30; /* the rule that decided for all ports, or the class whose rows decide by protocol and port */
	__u32 allow : 1;   /* all ports are allowed; else, if all_ports, denied */
	__u32 all_ports : 1;	   /* number is a rule; else a class */
};

/** Row of mesh_policy_sets (mapped array): of identities without a row in mesh_policy_peers. Row 0 is a policy_state_row. */
struct policy_set_row {
	__u32 in;  /* struct peer_verdict of what the identity sends to the pod */
	__u32 out; /* struct peer_verdict of what the pod sends to the identity */
};

/** Row 0 of mesh_policy_sets, which is no set: what the next agent must know. No program reads it. */
struct policy_state_row {
	__u32 revision; /* the last one that a pod may have: stored before it is used */
	__u32 pending;	/* 1: identities of addresses change, so each pod with a set must get another revision */
};

/** Key of mesh_policy_peers (hash). */
struct policy_peer_key {
	__u32 set;	/* index into mesh_policy_sets */
	__u32 identity; /* of the other end */
};

/** Value of mesh_policy_peers. Inserted before a pod has the set, deleted after; and with the identity. Never rewritten. */
struct policy_peer_row {
	__u32 set;	/* as in the key; another value is one that cannot be trusted, and denies */
	__u32 identity; /* as in the key, too */
	__u32 in;	/* struct peer_verdict of what the identity sends to the pod */
	__u32 out;	/* struct peer_verdict of what the pod sends to the identity */
};

/** Key of mesh_policy_ports (longest prefix). What no row of the class has is denied. */
struct policy_port_key {
	__u32 length; /* significant bits of what follows: 32 = all protocols, 48 = all ports of one, 48 to 64 = a range of ports */
	__u32 class;  /* number of the class */
	__u8 proto;   /* IP protocol */
	__u8 pad;     /* 0 */
	__be16 port;  /* port of the end at which the flow did not begin; of ICMP: type and code */
};

/** Value of mesh_policy_ports. Never rewritten. */
struct policy_port_row {
	__u32 class;  /* as in the key; another value denies */
	__u32 rule;   /* the rule that decided */
	__u8 allow;   /* 1 = allowed, 0 = denied */
	__u8 flags;   /* reserved, 0 */
	__be16 proxy; /* reserved: port of the proxy to which it goes */
};

/** Key of mesh_pod_ranges (longest prefix). */
struct pod_range_key {
	__u32 length;  /* significant bits of addr, of 128 */
	__u8 addr[16]; /* first address of the range, IPv4 as v4-mapped */
};

/** Value of mesh_pod_ranges: a range in which every address is a pod's, of a cluster of the mesh. */
struct pod_range_row {
	__u32 cluster; /* cluster id */
	__u32 flags;   /* reserved, 0 */
};

/**
 * Key of mesh_conntrack: a flow between two pods of the mesh, as the pods see it, the same for both directions.
 * The end a is the one whose address and port come first (flow_key()).
 */
struct flow_key {
	__u8 a[16];   /* address of end a */
	__u8 b[16];   /* address of end b */
	__be16 pa;    /* port of end a; of an ICMP echo its id */
	__be16 pb;    /* port of end b */
	__u8 proto;   /* IP protocol */
	__u8 pad;     /* 0 */
	__u16 space;  /* reserved, 0 */
};

/** Bits of flow_word.flags. */
enum flow_flag {
	FLOW_INITIATOR = 1, /* the first packet that was seen had this direction */
	FLOW_VIA_STACK = 2, /* packets of this direction go through the node's network stack, as the other direction does */
	FLOW_PICKED_UP = 4, /* the flow is older than its entry */
	FLOW_SERVICE = 8,   /* the pod at which it began dialled a Service: mesh_flow_bodies says which */
	FLOW_NAT = 16,	    /* its packets are translated: mesh_nat says how */
	FLOW_PINNED = 32,   /* its connect is not moved: a filter refused it */
	FLOW_ALLOWED = 64,  /* policy of the pod at this end let the flow pass, at revision flow_word.rev: allowed, or in audit mode */
};

/** What is known of one direction of a flow. One u64, written by one store. */
struct flow_word {
	__u64 rev : 32;	  /* with FLOW_ALLOWED: the revision of its policy that the pod had then */
	__u64 check : 16; /* hash of the key and of the row's gen (flow_check()); another value is a miss */
	__u64 flags : 16; /* enum flow_flag */
};

/** Bits of flow_row.sent: what an end of a flow has sent. */
enum flow_sent {
	FLOW_SENT_SYN = 1,  /* TCP with SYN */
	FLOW_SENT_FIN = 2,  /* TCP with FIN */
	FLOW_SENT_RST = 4,  /* TCP with RST */
	FLOW_SENT_DATA = 8, /* UDP, ICMP echo, or TCP without SYN and RST */
};

/** Values of flow_row.gen that are of no flow. */
enum flow_gen {
	FLOW_GEN_UNUSED = 0, /* the row was never used */
	FLOW_GEN_BUSY = 1,   /* a program gives the row to a flow */
	FLOW_GEN_FIRST = 2,  /* the first one of a flow */
};

/**
 * Row of mesh_conntrack (mapped array of sets of rows): a flow. Written by programs only; any program may give a row to
 * another flow at any time: `gen` is FLOW_GEN_BUSY while it does, and another number than before from then on. What
 * changes meanwhile are the two words, which carry checks, and `sent` and `seen`, of which a wrong value does no harm.
 */
struct flow_row {
	__u64 word[2];	     /* struct flow_word of the packets from end a, and of those from end b */
	struct flow_key key; /* the flow */
	__u32 gen;	     /* enum flow_gen, or a number that the row's flow before did not have */
	__u16 seen;	     /* 2^30 ns (1.07 s) of the last packet, by the coarse clock; wraps around */
	__u8 sent[2];	     /* enum flow_sent bits of end a, and of end b */
};

/**
 * Row of mesh_flow_bodies (array of sets of rows): what is known, since a flow's first packet, of one that began at a pod
 * of this node which dialled a Service. Its place is that of the flow's row in mesh_conntrack. Written by programs only,
 * while they give that row to the flow.
 */
struct flow_body {
	__u8 vip[16];	     /* address that the pod dialled */
	__be16 vip_port;     /* its port */
	__be16 proxy_port;   /* reserved: port of the proxy to which the flow goes */
	__u32 service;	     /* index into mesh_services */
	__u32 backend;	     /* backend id */
	__be32 isn;	     /* sequence number of its SYN; 0 if it is not TCP */
	__u32 identity[2];   /* reserved: identities of end a, and of end b */
	__u64 spare[2];	     /* 0 */
	__u64 check;	     /* hash of the fields above, the flow's key and its row's gen (body_check()); another value is a miss */
};

/** Bits of nat_row.flags. */
enum nat_flag {
	NAT_FRONT = 1,	     /* the key is the flow as its pod sees it; else it is the flow on the wire */
	NAT_CLIENT_IS_B = 2, /* the pod that began the flow is end b of the key, else end a */
};

/**
 * Value of mesh_nat (hash, key = struct flow_key): the other tuple of a flow whose connect was moved to another backend. Each
 * such flow has two rows, one for either tuple. Rows are inserted and deleted, never rewritten.
 */
struct nat_row {
	__u8 peer[16];	     /* the other end in the other tuple: a backend's address */
	__be16 peer_port;    /* its port */
	__be16 client_port;  /* port of the pod that began the flow, in the other tuple */
	__u8 flags;	     /* enum nat_flag */
	__u8 moves;	     /* how often the connect was moved */
	__u8 tier;	     /* index of the tier of the backend */
	__u8 silent;	     /* how often it was moved because nothing answered */
	__be32 isn;	     /* sequence number of the flow's SYN */
	__u32 backend;	     /* the backend that it has now */
	__u32 before[2];     /* backends that it had before, the last one first; 0 = none */
	__u64 check;	     /* hash of the key and of the fields above (nat_check()); another value is a miss */
};

/** Row of mesh_nat_state (mapped array): the only one. */
struct nat_state_row {
	__u32 used; /* 1: mesh_nat may have rows. Set by programs, cleared by the agent */
	__u32 pad;  /* 0 */
};

/**
 * Key of mesh_service_moves (LRU): a Service. Another one that has the row later has another `gen`, so it has none of its
 * counts.
 */
struct service_moves_key {
	__u32 service; /* index into mesh_services */
	__u32 gen;     /* service_row.gen */
};

/** Value of mesh_service_moves (LRU): what became of connects to a Service whose backend refused them or did not answer. */
struct service_moves_row {
	__u64 count[LIMIT_MOVE_REASONS]; /* by enum move_reason */
};

/** Key of mesh_fragments (LRU): what the fragments of a datagram have in common. */
struct fragment_key {
	__u8 source[16]; /* IPv4 as v4-mapped */
	__u8 target[16]; /* target address */
	__be16 id;	 /* of the IP header */
	__u8 proto;	 /* IP protocol */
	__u8 pad;	 /* 0 */
	__u16 space;	 /* reserved, 0 */
	__u16 pad2;	 /* 0 */
};

/** Bits of fragment_row.flags. One of them is always set. */
enum fragment_flag {
	FRAGMENT_VIA_STACK = 1,	 /* the fragments go through the node's network stack */
	FRAGMENT_FIRST_SEEN = 2, /* the first fragment decided; without it a later one did, which came before */
};

/** Value of mesh_fragments (LRU): the way of the fragments of a datagram. One u64, read by one load. */
struct fragment_row {
	__u64 check : 32; /* hash of the key (row_check()); another value is a miss */
	__u64 seen : 16;  /* when the row was written, as flow_row.seen */
	__u64 flags : 16; /* enum fragment_flag */
};

/** Kinds of events. */
enum event_kind {
	EVENT_NONE = 0,		  /* no event */
	EVENT_FLOW_NEW = 1,	  /* first packet of a flow */
	EVENT_FLOW_PICKED_UP = 2, /* first packet that was seen of a flow that is older than its entry */
	EVENT_FLOW_CLOSED = 3,	  /* a TCP flow begins to close: one end has sent RST, or both FIN */
	EVENT_DROP = 4,		  /* a packet was dropped */
	EVENT_MOVED = 5,	  /* a connect was refused by its backend, or not answered, and goes to another one of the Service */
	EVENT_AUDITED = 6,	  /* a packet passed that policy denies, because the pod is in audit mode */
};

/** Why a connect was moved to another backend, or why it was not although its backend refused it or did not answer. */
enum move_reason {
	MOVE_REASON_NONE = 0,	     /* it was not moved */
	MOVE_REASON_REFUSED = 1,     /* its backend answered with RST */
	MOVE_REASON_UNREACHABLE = 2, /* an ICMP error said that its backend is not there */
	MOVE_REASON_NO_ROUTE = 3,    /* the node has no route to its backend: the pod is gone */
	MOVE_REASON_SILENT = 4,	     /* its backend did not answer */
	MOVE_REASON_EXHAUSTED = 5,   /* it was not moved: no backend is left, or it was moved as often as may be */
	MOVE_REASON_FAILED = 6,	     /* it was not moved: no port, no room, or its pod has as many moved connects as it may have */
	MOVE_REASON_DENIED = 7,	     /* it was not moved: an ICMP error said that a filter refused it */
};

/** Where a packet was when its event was written. */
enum event_point {
	EVENT_POINT_NONE = 0,	      /* not known */
	EVENT_POINT_FROM_POD = 1,     /* received from a pod of this node */
	EVENT_POINT_TO_POD = 2,	      /* sent by the node's network stack to a pod of this node */
	EVENT_POINT_FROM_NETWORK = 3, /* received from another node */
	EVENT_POINT_TO_NETWORK = 4,   /* sent by the node's network stack to another node */
};

/** Bits of packet_event.flags. */
enum event_flag {
	EVENT_REPLY = 1, /* the packet is an answer: the flow began in the other direction */
};

/** Sizes of events, and how many of them there may be. */
enum event_limit {
	EVENT_VERSION = 1,		  /* packet_event.version of this layout */
	EVENT_DROPS_PER_S = 10,		  /* events of drops a second, for each reason and endpoint; and as many of EVENT_AUDITED */
	EVENT_DROPS_BURST = 20,		  /* of them at once */
	EVENT_FLOWS_PER_S = 20000,	  /* events of flows a second, for each kind and endpoint */
	EVENT_FLOWS_BURST = 20000,	  /* of them at once */
	EVENT_REFUSALS_PER_S = 100,	  /* ICMP errors a second that programs write, for each endpoint and reason */
	EVENT_REFUSALS_BURST = 100,	  /* of them at once */
};

/** Setting of mesh_event_settings: what programs write. One word. */
struct event_settings_row {
	__u32 kinds; /* bit 1 << enum event_kind: events of this kind are written */
	__u32 pad;   /* 0 */
};

/** Key of mesh_event_limits (LRU). */
struct event_limit_key {
	__u32 ifindex; /* the node's side of the pod's veth; an uplink where the pod is not known */
	__u8 kind;     /* enum event_kind; EVENT_NONE: ICMP errors that programs write */
	__u8 reason;   /* enum drop_reason */
	__u16 pad;     /* 0 */
};

/**
 * Value of mesh_event_limits (LRU): how many events of a kind and a reason there may be of an endpoint. Written by
 * programs only; any program may reuse its memory at any time, and a wrong value lets some events more or fewer pass.
 */
struct event_limit_row {
	__u64 due;     /* when the rate is used up, in ns of the monotonic clock: each event adds its share of a second */
	__u32 limited; /* events that were not written since the last one that was */
	__u32 pad;     /* 0 */
};

/**
 * An event in mesh_events (ring buffer). Fields without a value are 0. Of a layout with another version only `time`,
 * `version` and `kind` are as here.
 */
struct packet_event {
	__u64 time;		/* ns of the monotonic clock */
	__u8 version;		/* EVENT_VERSION */
	__u8 kind;		/* enum event_kind */
	__u8 point;		/* enum event_point */
	__u8 verdict;		/* enum verdict */
	__u8 reason;		/* enum drop_reason; with VERDICT_AUDIT why it would be dropped */
	__u8 proto;		/* IP protocol; 0 = the packet has no ports that can be read */
	__u8 tcp;		/* TCP flags of the packet, as in its header */
	__u8 flags;		/* enum event_flag */
	__u8 source[16];	/* source address of the packet, IPv4 as v4-mapped; as the pod claims it, if it is spoofed */
	__u8 target[16];	/* target address of the packet */
	__be16 source_port;	/* source port; of an ICMP echo its id */
	__be16 target_port;	/* target port */
	__u8 icmp_type;		/* type of ICMP */
	__u8 icmp_code;		/* code of ICMP */
	__be16 length;		/* of the IP packet */
	__u32 ifindex;		/* device of the pod of this node; an uplink where the pod is not known */
	__u32 limited;		/* events of this kind, reason and device that were not written since the last one that was */
	__u32 source_identity;	/* identity of the source, if policy of the target was asked; 0 = not known */
	__u32 target_identity;	/* identity of the target, if policy of the source was asked */
	__u8 vip[16];		/* address of the Service that the flow's pod dialled, if that is of this node */
	__be16 vip_port;	/* its port */
	__be16 wire_port;	/* source port on the wire of a connect that was moved */
	__u32 service;		/* index into mesh_services; 0 = the pod dialled no Service */
	__u32 backend;		/* backend id */
	__u32 rule;		/* rule of policy that decided; 0 = none */
	__be32 isn;		/* sequence number of a SYN */
	__u32 move_reason;	/* enum move_reason of EVENT_MOVED, of which backend is the one that it goes to */
	__u32 spare[2];		/* 0 */
};

/** Settings, read-only data of every program, set when it is loaded. */
struct datapath_config {
	__u32 cluster_id;   /* id of the local cluster, whose rank is always up */
	__u32 flags;	    /* reserved, 0 */
	__u64 netns_cookie; /* of the node's network namespace */
	__u64 flow_seed;    /* random number of the node, so that no pod can tell which flows share a set of mesh_conntrack */
	__u64 flow_sets;    /* entries of mesh_conntrack, a power of two */
};

/** What a program decides about a connect, a datagram or a packet. */
enum verdict {
	VERDICT_PASS = 0,      /* left as it is: not of the mesh, or translated already; a packet goes to the node's stack */
	VERDICT_TRANSLATE = 1, /* its destination becomes a backend */
	VERDICT_DROP = 2,      /* refused: the system call fails, or the packet is dropped */
	VERDICT_DELIVER = 3,   /* a packet goes to a pod of this node */
	VERDICT_FORWARD = 4,   /* a packet goes to another node */
	VERDICT_MOVE = 5,      /* the SYN of a connect begins again, for another backend */
	VERDICT_REFUSE = 6,    /* dropped, and answered with a refusal */
	VERDICT_AUDIT = 7,     /* passes although policy denies it: the pod is in audit mode */
};

/** Why a program drops or refuses. */
enum drop_reason {
	DROP_NONE = 0,		  /* not dropped */
	DROP_NO_BACKEND = 1,	  /* the Service has no backend */
	DROP_UNKNOWN_PORT = 2,	  /* the VIP has no such port or protocol */
	DROP_UNKNOWN_SERVICE = 3, /* the address is a ClusterIP that belongs to no Service */
	DROP_SPOOFED_SOURCE = 4,  /* a pod sent a packet whose source address or MAC is not the pod's */
	DROP_MALFORMED = 5,	  /* a packet has two tags of VLANs or no whole IPv4 header, or is a fragment that splits the transport header */
	DROP_LATE_ANSWER = 6,	  /* a backend answered a connect that was moved to another one */
	DROP_PORT_TAKEN = 7,	  /* a pod sends from a port that a moved connect of it has on the wire, to the same backend */
	DROP_NO_ENDPOINT = 8,	  /* a connect from another node to an address of this node's range that no pod has: answered with RST */
	DROP_EGRESS_DENIED = 9,	  /* policy of the pod that sends it does not allow the flow */
	DROP_INGRESS_DENIED = 10, /* policy of the pod that it is for does not allow the flow */
	DROP_UNKNOWN_IDENTITY = 11, /* policy is asked about an address of a pod range of which nothing is known yet */
};

/** Counters of mesh_metrics (per CPU, u64): index and meaning. */
enum metric {
	METRIC_NONE = 0,		/* not counted */
	METRIC_CONNECT = 1,		/* connect() translated to a backend */
	METRIC_SENDMSG = 2,		/* sendmsg() to a Service translated to a backend */
	METRIC_REPLY = 3,		/* source of a received datagram translated to the VIP */
	METRIC_NO_BACKEND = 4,		/* refused: the service has no backend */
	METRIC_UNKNOWN_PORT = 5,	/* refused: the VIP has no such port */
	METRIC_SPILLED = 6,		/* chosen from a tier that is not the first */
	METRIC_DEGRADED = 7,		/* chosen although it is not up: no probed backend was up */
	METRIC_SKIPPED_TIER = 8,	/* a tier was not probed because its cluster is down */
	METRIC_STALE_ID = 9,		/* a probed slot contained the id of a backend that is gone */
	METRIC_STATE_FULL = 10,		/* state of a socket could not be stored: no memory or map full */
	METRIC_CHECK_MISMATCH = 11,	/* a lookup returned the value of another key; treated as a miss */
	METRIC_UNKNOWN_SERVICE = 12,	/* refused: a ClusterIP that belongs to no Service */
	METRIC_SPOOFED_SOURCE = 13,	/* dropped: a pod sent a packet whose source address or MAC is not the pod's */
	METRIC_MALFORMED = 14,		/* dropped: a packet has two tags of VLANs or no whole IPv4 header, or is a fragment that splits the transport header */
	METRIC_DELIVER = 15,		/* packet delivered to a pod of this node */
	METRIC_FORWARD = 16,		/* packet forwarded to another node */
	METRIC_TO_STACK = 17,		/* packet of a flow that is tracked left to the node's network stack */
	METRIC_FLOW_NEW = 18,		/* flow between pods of the mesh seen for the first time */
	METRIC_FLOW_PICKED_UP = 19,	/* flow that is older than its entry: evicted, or older than the programs */
	METRIC_FLOW_FULL = 20,		/* flow whose entry could not be inserted: its packets go through the stack */
	METRIC_FLOW_EVICTED = 21,	/* entry of a flow in use that another flow took, because its set was full */
	METRIC_EVENT_LIMITED = 22,	/* event not written: its endpoint had as many of its kind and reason as it may have */
	METRIC_EVENT_LOST = 23,		/* event not written: the ring buffer was full, so the agent is late or does not run */
	METRIC_LATE_ANSWER = 24,	/* dropped: a backend answered a connect that was moved to another one */
	METRIC_PORT_TAKEN = 25,		/* dropped: a pod sends from a port that a moved connect of it has on the wire, to the same backend */
	METRIC_MOVED = 26,		/* connect that its backend refused or did not answer, moved to another backend */
	METRIC_MOVE_EXHAUSTED = 27,	/* such a connect that was not moved: no backend is left, or it was moved as often as may be */
	METRIC_MOVE_FAILED = 28,	/* such a connect that was not moved: no port, no room, or its pod has as many as it may have */
	METRIC_NO_ENDPOINT = 29,	/* refused: a connect from another node to an address of this node's range that no pod has */
	METRIC_FRAGMENT_UNKNOWN = 30,	/* fragment that came before the first of its datagram, all of which goes through the stack */
	METRIC_MOVE_DENIED = 31,	/* connect to a Service that is not moved from now on: an ICMP error said that a filter refused it */
	METRIC_EGRESS_DENIED = 32,	/* dropped: policy of the pod that sends it does not allow the flow */
	METRIC_INGRESS_DENIED = 33,	/* dropped: policy of the pod that it is for does not allow the flow */
	METRIC_UNKNOWN_IDENTITY = 34,	/* dropped: policy is asked about an address of a pod range of which nothing is known yet */
	METRIC_JUDGED = 35,		/* policy of a pod asked about a flow */
	METRIC_PROHIBITED = 36,		/* ICMP error written to the sender of what policy does not allow */
	METRIC_EGRESS_AUDITED = 37,	/* flow that passed in audit mode: policy of the pod that sends it does not allow it */
	METRIC_INGRESS_AUDITED = 38,	/* flow that passed in audit mode: policy of the pod that it is for does not allow it */
	METRIC_UNKNOWN_AUDITED = 39,	/* flow that passed in audit mode: policy is asked about an address of a pod range of which nothing is known yet */
};

#endif
