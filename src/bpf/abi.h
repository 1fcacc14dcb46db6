/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The maps that the eBPF programs and user space share: their names, keys and values.
 *
 * Maps are pinned and outlive programs and daemons, so a name stands for a layout for
 * ever: who changes the key or value of a map raises the number in its name
 * (CV_FP_MAP_…), and fastpath/migrate.c moves the old entries over. Values may only grow at
 * their end. Addresses and ports are in network byte order, everything else is in the host's.
 *
 * Two stamps say whether a cached answer is still right:
 * - genid: the namespace's rt_genid when it was asked for. The kernel bumps it with every
 *   change of a route, rule, address or link, and throws its own cached routes away
 *   by the very same number (net/ipv4/route.c, rt_is_expired), so no answer outlives
 *   the change that made it wrong, whether a daemon runs or not. Added to it is the count of
 *   changes of next hop objects, of which rt_genid does not tell all (kernel.h).
 *   The kernel bumps it when culvertd dies, too, as that closes queues of the tunnel's device.
 *   The engine's words, which nobody could give again then, are good for as long as the
 *   routing tables themselves do not change: known_genid and known_tables.
 * - generation: cv_fp_config.generation, bumped by user space with every change of what
 *   it has put into these maps, and by every start. The engine's words have their own,
 *   cv_fp_config.words, which a start leaves alone if it finds what they were given for (grounds):
 *   a daemon that is killed before it has given them again leaves them behind. Who changes what
 *   a word means raises the number of the maps that hold words.
 */
#ifndef CV_BPF_ABI_H
#define CV_BPF_ABI_H

#include "wire/types.h"
#include "wire/ipip.h"

/*
 * A layout to come, for tests/packet/lifecycle.t alone: four maps have grown by a field.
 */
#ifdef CV_FP_NEXT_LAYOUT
#define CV_FP_NEXT_NUMBER "2"
#define CV_FP_NEXT_FIELD  __u64 next[1];
#else
#define CV_FP_NEXT_NUMBER "1"
#define CV_FP_NEXT_FIELD
#endif

/* Names of maps: at most 15 characters; the number is the layout's. */
#define CV_FP_MAP_CONFIG    "cv_config_1"
#define CV_FP_MAP_TUNNELS   ("cv_tunnels_" CV_FP_NEXT_NUMBER)
#define CV_FP_MAP_PAIRS	    "cv_pairs_1"
#define CV_FP_MAP_ADDRESSES "cv_addresses_1"
#define CV_FP_MAP_DEVICES   "cv_devices_1"
#define CV_FP_MAP_ENDPOINTS "cv_endpoints_1"
#define CV_FP_MAP_REMOTES   "cv_remotes_2"
#define CV_FP_MAP_COUNTERS  ("cv_counters_" CV_FP_NEXT_NUMBER)
#define CV_FP_MAP_IDS	    "cv_ids_1"
#define CV_FP_MAP_WAYS	    "cv_ways_1"
#define CV_FP_MAP_PERMITS   "cv_permits_1"
#define CV_FP_MAP_WORDS	    "cv_words_1"
#define CV_FP_MAP_ARRIVALS  "cv_arrivals_1"
#define CV_FP_MAP_FLOWS	    ("cv_flows_" CV_FP_NEXT_NUMBER)
#define CV_FP_MAP_FRAGMENTS "cv_fragments_2"
#define CV_FP_MAP_PEERS	    "cv_peers_1"
#define CV_FP_MAP_TRAFFIC   ("cv_traffic_" CV_FP_NEXT_NUMBER)
#define CV_FP_MAP_ACTIVITY  "cv_activity_1"
#define CV_FP_MAP_ENGINE    "cv_engine"	 /* not pinned: it dies with the daemon */
#define CV_FP_MAP_CAPTURE   "cv_capture" /* not pinned */

/* What the running kernel has; the loader finds out before it loads (fastpath/programs.c). */
#define CV_FP_FEATURES_SECTION ".rodata.features"

struct cv_fp_features {
	__u32 skip_neigh; /* BPF_FIB_LOOKUP_SKIP_NEIGH (6.3; Debian's 6.1 has it) */
	__u32 source;	  /* BPF_FIB_LOOKUP_SRC (6.7) */
};

enum {
	CV_FP_ACTIVITY_BITS = 14,
	CV_FP_TUNNELS_MAX = 1024,
	CV_FP_ADDRESSES_MAX = 16384,
	CV_FP_DEVICES_MAX = 8192,
	CV_FP_ENDPOINTS_MAX = 16384,
	CV_FP_REMOTES_MAX = 16384,
	CV_FP_WAYS_MAX = 16384,
	CV_FP_PERMITS_MAX = 65536,
	CV_FP_WORDS_MAX = 16384,
	CV_FP_FLOWS_MAX = 131072,
	CV_FP_FRAGMENTS_MAX = 8192,
	CV_FP_PEERS_MAX = 8192, /* with number 0, which is nobody's */
	CV_FP_ID_SLOTS = 256,
	CV_FP_ACTIVITY_SLOTS = 1 << CV_FP_ACTIVITY_BITS,
	CV_FP_SLOTS = CV_FP_TUNNELS_MAX + 1, /* of counters */
	CV_FP_SLOT_NONE = CV_FP_TUNNELS_MAX, /* what belongs to no tunnel */
	CV_FP_DROPS = 64,		     /* room for enum cv_drop */
};

/* cv_config: one entry. */
struct cv_fp_config {
	__u64 namespace;      /* the kernel's address of its struct net; 0: nothing is remembered */
	__u32 generation;     /* never 0 */
	__u32 lookup_ifindex; /* a device by which routes of packets of our own are asked for */
	__u32 endpoints;      /* entries of cv_endpoints */
	__u32 capture;	      /* bytes of each packet to be captured; 0: nobody captures */
	__u32 known_genid;    /* while rt_genid was this one, … */
	__u32 known_tables;   /* … the routing tables were in this state (kernel.h) */
	__u32 words;	      /* the generation of the engine's words; never 0 */
	__u32 grounds; /* what user space has put into the maps that bears on words, as a hash */
};

/* cv_tunnels: by index of the tunnel's device. */
struct cv_fp_tunnel {
	__u64 device;  /* the kernel's address of its struct net_device; 0: not known */
	__be32 remote; /* 0: any */
	__be32 local;  /* 0: any */
	__u32 dev;     /* index of the underlay device, 0: any */
	__u32 slot;    /* of cv_counters */
	__u32 mtu;     /* of the tunnel's device, bytes; where `device` is not known */
	struct cv_ipip_params ipip;
	__u8 strict; /* nothing from strangers */
	__u8 up;     /* the device is; where `device` is not known */
	__u8 unused;
	__u16 mssclamp; /* as cv_tcp_mss_limit takes it; 0, as all wrote it once: AUTO */
	__u8 unused_too[2];
	CV_FP_NEXT_FIELD
};
_Static_assert(offsetof(struct cv_fp_tunnel, mssclamp) == 36 &&
		       offsetof(struct cv_fp_tunnel, unused_too) + 2 == 40,
	       "no padding");

/* cv_pairs: (remote, local) to the index of the tunnel's device. 0: any. */
struct cv_fp_pair {
	__be32 remote;
	__be32 local;
};

/* cv_addresses: what addresses of this host are. */
enum cv_fp_address {
	CV_FP_ADDRESS_OWN = 1,
	CV_FP_ADDRESS_BROADCAST = 2,
};

/* cv_devices: by index: where our programs are attached. */
struct cv_fp_device {
	__u32 kind; /* enum cv_fp_device_kind */
	__u8 rp_filter;
	__u8 made_clsact; /* the clsact qdisc is ours, to be removed with the last program */
	__u8 unused[2];
};

enum cv_fp_device_kind {
	CV_FP_DEVICE_TUNNEL = 1,
	CV_FP_DEVICE_UNDERLAY = 2,
	CV_FP_DEVICE_ENDPOINT = 4, /* a set: an endpoint may be an underlay, too */
};

/* cv_endpoints: by address. */
struct cv_fp_endpoint {
	__u32 ifindex; /* of the host's end */
	__u8 bypass;   /* in force: past the host's stack */
	__u8 by_peer;  /* delivered by bpf_redirect_peer; else through the neighbour table */
	__u8 unused[2];
};

/* cv_remotes: the engine's soft state of a remote end (engine/remote.h), by address. */
struct cv_fp_remote {
	__u64 mtu_until_ns; /* CLOCK_MONOTONIC */
	__u32 mtu;	    /* outer path MTU, bytes; 0: nothing known */
	/*
	 * CLOCK_MONOTONIC; 0: no error waits. Until then the next packet is the engine's, to be
	 * answered; not for longer, as the engine may be dead, or have forgotten it.
	 */
	__u32 error_until_s;
	/* The largest inner packet by the routes through the tunnel to this remote, for packets
	 * that pass the stack by; bytes, 0: as the tunnel's device says. */
	__u32 inner_mtu;
	__u8 unused[4];
};
_Static_assert(sizeof(struct cv_fp_remote) == 24, "no padding");

/*
 * cv_activity: by cv_fp_activity_slot() of the remote's outer address: what has gone on since user
 * space, which maps it into its memory, last wrote zeroes there. Remotes may share a slot.
 */
struct cv_fp_activity {
	__u32 sent;  /* the largest outer packet sent to it, bytes */
	__u32 heard; /* something came from it through a tunnel */
};

CV_INLINE __u32 cv_fp_activity_slot(__be32 remote)
{
	return ((CV_FORCE __u32)remote * 0x9e3779b1U) >> (32 - CV_FP_ACTIVITY_BITS);
}

/* cv_counters: by slot, per CPU. Only ever added to. */
struct cv_fp_counters {
	__u64 rx_packets;	   /* decapsulated and delivered: to the device … */
	__u64 rx_bytes;		   /* inner bytes */
	__u64 tx_packets;	   /* encapsulated and sent: outer packets */
	__u64 tx_bytes;		   /* inner bytes */
	__u64 rx_endpoint_packets; /* … of those above: straight to an endpoint */
	__u64 tx_endpoint_packets; /* of those above: straight from an endpoint */
	__u64 in_handed_over;	   /* outer packets given to the engine */
	__u64 out_handed_over;	   /* inner packets given to the engine */
	__u64 ecn_unused;	   /* CV_EVENT_ECN_UNUSED */
	__u64 ecn_dangerous;	   /* CV_EVENT_ECN_DANGEROUS */
	__u64 local_packets;	   /* from endpoint to endpoint of this node (CV_FP_SLOT_NONE) */
	__u64 mss_clamped;	   /* CV_EVENT_MSS_CLAMPED */
	__u64 spare[4];
	__u64 drops[CV_FP_DROPS];
	CV_FP_NEXT_FIELD
};
_Static_assert((int)CV_DROP_MAX <= (int)CV_FP_DROPS, "room for every reason");

/* Whether a cached answer is still right. */
struct cv_fp_stamp {
	__u32 genid;
	__u32 generation; /* 0: never valid */
};

/* cv_ways: the outer route, by tunnel and outer destination. */
struct cv_fp_way_key {
	__u32 tunnel; /* index of its device */
	__be32 destination;
};

struct cv_fp_way {
	struct cv_fp_stamp stamp;
	__be32 source;	    /* outer */
	__be32 gateway;	    /* the neighbour that gets the outer packet */
	__u32 oif;	    /* through this device */
	__u32 mtu;	    /* largest outer packet, bytes */
	__u64 mtu_until_ns; /* until when this holds, CLOCK_MONOTONIC; 0: as long as the stamp */
	__u8 drop;	    /* enum cv_drop: why there is no way */
	__u8 to_engine;	    /* the engine must send it */
	__u8 unused[4];
	__u16 peer; /* number of cv_traffic; 0, as all wrote it once: the peer is not counted */
};

/*
 * cv_peers: by tunnel and outer address (struct cv_fp_way_key): a declared peer's number, __u32, by
 * which cv_traffic counts, per CPU, what the fast path carries from it and to it. What cv_counters
 * count of the tunnel, at the same place. Ways, permits and flows remember the number: it is given
 * to somebody else only under another generation.
 */
struct cv_fp_traffic {
	__u64 rx_packets;
	__u64 rx_bytes;
	__u64 tx_packets;
	__u64 tx_bytes;
	CV_FP_NEXT_FIELD
};

/* cv_permits: may this packet come in, and through which tunnel? */
struct cv_fp_permit_key {
	__be32 outer_source;
	__be32 outer_destination;
	__be32 inner_source;
	__be32 inner_destination;
	__u32 ifindex; /* it arrived on */
	__u32 tos;     /* inner, DSCP bits in place */
};

struct cv_fp_permit {
	struct cv_fp_stamp stamp;
	__u32 tunnel; /* index of its device */
	__u32 slot;
	__u32 unused;	  /* was the device's MTU */
	__u8 drop;	  /* enum cv_drop: why not */
	__u8 routed_back; /* it may go past the stack: routes lead back here, and on to there */
	__u16 peer;	  /* as in cv_fp_way */
};

/* cv_words: the engine's word where one look-up cannot tell (several next hops). */
struct cv_fp_word_key {
	__u32 tunnel;
	__be32 outer_source;
	__be32 inner_source;
	__be32 inner_destination;
	__u32 tos;
};

/* cv_arrivals: the engine's word on outer packets that rp_filter may refuse. */
struct cv_fp_arrival_key {
	__be32 source;
	__be32 destination;
	__u32 ifindex;
};

/* The value of both. */
struct cv_fp_word {
	struct cv_fp_stamp stamp;
	__u8 drop; /* enum cv_drop, CV_DROP_NONE: let it in */
	__u8 unused[7];
};

/* What an entry of cv_flows is about. */
enum cv_fp_flow_kind {
	CV_FP_FLOW = 0,
	/* All flows between two addresses, no ports: one is the stack's, if there is an entry. */
	CV_FP_FLOWS_OF_PAIR = 1,
	/* The same: the path of the flow that came in fragments last. */
	CV_FP_FRAGMENTS_OF_PAIR = 2,
};

/* cv_flows: flows of endpoints, seen from the endpoint, both directions in one entry. */
struct cv_fp_flow_key {
	__be32 local; /* the endpoint's address */
	__be32 remote;
	__be16 local_port; /* ICMP echo: the identifier, on the side of who asks */
	__be16 remote_port;
	__u8 protocol;
	__u8 kind; /* enum cv_fp_flow_kind */
	__u8 unused[2];
};

enum cv_fp_path {
	CV_FP_PATH_NONE = 0,
	CV_FP_PATH_BYPASS = 1,
	CV_FP_PATH_STACK = 2,
};

/* Who has opened a TCP flow. */
enum cv_fp_opener {
	CV_FP_OPENER_UNKNOWN = 0,
	CV_FP_OPENER_ENDPOINT = 1,
	CV_FP_OPENER_REMOTE = 2,
};

struct cv_fp_flow {
	__u8 path;   /* enum cv_fp_path: the same in both directions */
	__u8 opener; /* enum cv_fp_opener */
	__u8 unused[2];
	__u32 endpoint; /* index of the endpoint's device */

	/* From the endpoint. */
	struct cv_fp_stamp out_stamp;
	__u32 out_tunnel; /* 0: to the endpoint of device out_oif on this node */
	__u32 out_slot;
	__be32 out_destination; /* outer */
	__u32 out_tos;		/* inner, DSCP bits: what the answer was for */
	struct cv_ipip_params out_ipip;
	__u8 out_by_peer;
	__u8 out_unused[2];
	struct cv_fp_way out_way;

	/* To the endpoint. */
	struct cv_fp_stamp in_stamp;
	__be32 in_source;      /* outer */
	__be32 in_destination; /* outer */
	__u32 in_ifindex;      /* arrives on */
	__u32 in_slot;
	__u32 in_tunnel;
	__u32 in_tos;
	__u32 in_by_peer;
	__u32 in_peer; /* as in cv_fp_way */
	CV_FP_NEXT_FIELD
};

/* cv_fragments: what the fragments of a datagram have in common. */
struct cv_fp_fragment_key {
	__be32 source;
	__be32 destination;
	__be16 id;
	__u8 protocol;
	__u8 unused;
};

struct cv_fp_fragment {
	__be16 source_port;
	__be16 destination_port;
	__u8 path;	/* enum cv_fp_path */
	__u8 has_ports; /* the first fragment has been seen */
	__u8 unused[2];
	__u64 time_ns; /* CLOCK_MONOTONIC: when it was written */
};

/* ---- programs that user space runs itself ------------------------------------------- */

/* Words of the control block that cv_stamp fills. */
enum {
	CV_STAMP_TABLES = 0,
	CV_STAMP_HAS_TABLES,
	CV_STAMP_GENID,
};

/* Words of the control block that cv_look fills, low half first. */
enum {
	CV_LOOK_NAMESPACE = 0,
	CV_LOOK_DEVICE = 2,
};

/* ---- capture ---------------------------------------------------------------------- */

/* Where a packet was seen. */
enum cv_fp_hook {
	CV_FP_HOOK_TUNNEL_OUT = 1, /* egress of the tunnel's device */
	CV_FP_HOOK_UNDERLAY_IN,	   /* ingress of a network card */
	CV_FP_HOOK_ENDPOINT_IN,	   /* ingress of an endpoint's device: from the endpoint */
	CV_FP_HOOK_TUNNEL_IN,	   /* ingress of the tunnel's device: the engine's packets */
	CV_FP_HOOK_ENGINE_OUT,	   /* the engine, on the way out */
	CV_FP_HOOK_ENGINE_IN,	   /* the engine, on the way in */
	CV_FP_HOOK_MAX
};

/* What became of it. */
enum cv_fp_verdict {
	CV_FP_VERDICT_ENCAPSULATED = 1, /* the packet is the outer one */
	CV_FP_VERDICT_TO_DEVICE,	/* decapsulated, to the tunnel's device; the outer packet */
	CV_FP_VERDICT_TO_ENDPOINT,	/* decapsulated, to the endpoint; the outer packet */
	CV_FP_VERDICT_LOCAL,		/* from endpoint to endpoint; the packet as it is */
	CV_FP_VERDICT_TO_ENGINE,	/* handed over; the packet as it is */
	CV_FP_VERDICT_TO_STACK,		/* left to the host's stack; the packet as it is */
	CV_FP_VERDICT_DROPPED,		/* the packet as it is */
	CV_FP_VERDICT_MAX
};

/* A record of cv_capture; `captured` bytes of the packet follow it. */
struct cv_fp_capture {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u32 ifindex; /* of the hook's device; 0: the engine */
	__u32 tunnel;  /* index of its device; 0: none known */
	__u32 length;  /* of the whole packet from `offset` on, bytes */
	__u32 captured;
	__u16 gso_size; /* payload of each segment of a super-packet, else 0 */
	__u8 hook;	/* enum cv_fp_hook */
	__u8 verdict;	/* enum cv_fp_verdict */
	__u8 drop;	/* enum cv_drop */
	__u8 offset;	/* bytes in front of the IPv4 header among those that follow */
	__u8 unused[2];
};
_Static_assert(sizeof(struct cv_fp_capture) == 32, "no padding");

#endif
