/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live tunnels: what the workers look at for every packet.
 *
 * Changed only while all workers stand still (engine.c), read without locks.
 */
#ifndef CV_ENGINE_LIVE_H
#define CV_ENGINE_LIVE_H

#include "engine/engine.h"

/*
 * What a worker counts of one declared peer of a tunnel. It tells the tunnel, too, so that a packet
 * that is under way needs to know no more than this.
 */
struct cv_live_peer {
	struct cv_live_tunnel *tunnel;
	uint64_t rx_packets;
	uint64_t rx_bytes;
	uint64_t tx_packets;
	uint64_t tx_bytes;
};

/* One worker's share of a tunnel; on cache lines of its own. */
struct cv_live_lane {
	int queue;     /* descriptor of the TUN queue */
	int dev_index; /* of config.dev, 0 while there is none; kept by the worker */
	uint32_t mtu;  /* of the tunnel's device, 0: not known; kept by the worker */
	/* Who was asked for last (if recent is not NULL), and who that is. */
	__be32 recent_address;
	struct cv_live_peer *recent;
	struct cv_live_peer *peers; /* one for each of the owners' peers, in their order; NULL */
	struct cv_live_peer others; /* all who are not declared; nobody reads its counters */
	struct cv_counters counters;
} __attribute__((aligned(64)));

struct cv_live_tunnel {
	struct cv_engine_tunnel config;
	struct cv_owners owners; /* declared ones, or empty */
	unsigned int slot;	 /* index in cv_live.slots, never changes */
	struct cv_live_lane lanes[CV_ENGINE_WORKERS_MAX];
};

enum {
	CV_LIVE_HASH_SIZE = 4 * CV_ENGINE_TUNNELS_MAX
};

struct cv_live {
	struct cv_live_tunnel *slots[CV_ENGINE_TUNNELS_MAX]; /* NULL: free */
	unsigned int count;
	bool has_others; /* tunnels receive at their other addresses: no tunnel is (any, any) */
	/* open addressing: slot + 1, 0 empty */
	uint16_t by_addresses[CV_LIVE_HASH_SIZE]; /* (remote, local) */
	uint16_t by_device[CV_LIVE_HASH_SIZE];	  /* ifindex */
};

/* Add a tunnel (the table takes ownership on success): 0, -EEXIST, -ENOSPC. */
int cv_live_add(struct cv_live *live, struct cv_live_tunnel *tunnel);

/* Change a tunnel's configuration: 0, or -EEXIST when another one has its (remote, local). */
int cv_live_change(struct cv_live *live, struct cv_live_tunnel *tunnel,
		   const struct cv_engine_tunnel *config);

/* Declared owners, and what each worker counts of their peers: to be put into a tunnel. */
struct cv_live_owners {
	struct cv_owners owners;
	struct cv_live_peer *peers[CV_ENGINE_WORKERS_MAX];
};

/* For as many workers. A copy; NULL: nobody. 0 or -ENOMEM. The caller's: _fini. */
int cv_live_owners_init(struct cv_live_owners *ret_next, const struct cv_owners *owners,
			unsigned int workers);
void cv_live_owners_fini(struct cv_live_owners *next);

/* Put them into a tunnel; what was in it is in *next then. Peers that stay count on. */
void cv_live_owners_swap(struct cv_live_tunnel *tunnel, struct cv_live_owners *next);

/* What this worker counts of a peer, whoever that is; by an address that it had before, too. */
struct cv_live_peer *cv_live_peer(struct cv_live_tunnel *tunnel, unsigned int worker,
				  __be32 address);

/* Add what all workers have counted to those in the list (sorted: cv_peer_counters_find). */
void cv_live_add_peers(const struct cv_live_tunnel *tunnel, struct cv_peer_counters *list,
		       size_t count);

/* Take a tunnel out; the caller owns it again. */
void cv_live_remove(struct cv_live *live, struct cv_live_tunnel *tunnel);

/* The tunnel with this device, or NULL. */
struct cv_live_tunnel *cv_live_find(const struct cv_live *live, int ifindex);

/* True if ifindex is the device of one of our tunnels. */
bool cv_live_is_device(const struct cv_live *live, int ifindex);

/* The tunnel with exactly these addresses (0: any), or NULL. */
struct cv_live_tunnel *cv_live_exact(const struct cv_live *live, __be32 remote, __be32 local);

/*
 * The tunnel of an outer packet that came from source to destination, in the order of Linux
 * (ip_tunnel_lookup): (remote, local), (remote, any), (any, local), (any, any). ifindex: the device
 * it arrived on, 0 when unknown; a tunnel bound to another device is passed over. destination
 * is an address of this host. worker: whose share knows the devices. NULL: none.
 */
struct cv_live_tunnel *cv_live_lookup(const struct cv_live *live, unsigned int worker,
				      __be32 source, __be32 destination, int ifindex);

/*
 * Look at the tunnels' devices again, for one worker's share: their MTU, and what they are bound
 * to: by index as long as there is a device of this index, whatever its name is now; else by name.
 */
void cv_live_resolve_devices(struct cv_live *live, unsigned int worker);

#endif
