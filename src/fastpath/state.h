/* SPDX-License-Identifier: Apache-2.0 */
/* What an instance of the fast path knows: for the files of fastpath/ alone. */
#ifndef CV_FASTPATH_STATE_H
#define CV_FASTPATH_STATE_H

#include <pthread.h>
#include <time.h>

#include "fastpath/fastpath.h"
#include "fastpath/pins.h"
#include "fastpath/programs.h"
#include "net/qdisc.h"

enum {
	CV_FASTPATH_PROBLEM_MAX = 128
};

/* A declared peer of a tunnel. */
struct cv_fastpath_peer {
	__be32 address;
	uint32_t number; /* of cv_traffic; 0: it is not counted */
};

/* A tunnel that the fast path was told of. */
struct cv_fastpath_tunnel {
	struct cv_engine_tunnel config;
	uint32_t slot;
	int dev;	 /* index of config.dev, 0: none */
	uint64_t owners; /* a hash of the declared ones, 0: none; the engine's words rest on them */
	struct cv_fp_tunnel entry;
	bool in_map;
	unsigned int other_count; /* of its other addresses, those that have a pair of ours */
	__be32 others[CV_ENGINE_OTHERS_MAX];
	struct cv_fastpath_peer *peers;
	size_t peer_count;
	__be32 *formers; /* addresses that they had before, as far as these are in the map */
	size_t former_count;
	char problem[CV_FASTPATH_PROBLEM_MAX]; /* "": carried */
};

/* An endpoint that it was told of. */
struct cv_fastpath_known_endpoint {
	struct cv_fastpath_endpoint wanted;
	struct cv_fp_endpoint entry;
	bool is_new;			       /* of the batch: not judged yet */
	char problem[CV_FASTPATH_PROBLEM_MAX]; /* "": as wanted */
};

/* A device on which programs of ours stand. */
struct cv_fastpath_device {
	int ifindex;
	char name[IFNAMSIZ];
	uint32_t kind;	   /* set of enum cv_fp_device_kind: what it is for us */
	uint32_t attached; /* set of programs, 1 << enum cv_program */
	uint8_t rp_filter;
	bool made_clsact;
	uint32_t mtu;
	bool up;
	uint32_t wanted;		/* while refreshing: what is to be attached */
	bool seen;			/* while refreshing: it exists */
	bool has_clsact;		/* while refreshing */
	char shaper[CV_QDISC_KIND_MAX]; /* kind of a foreign root qdisc, "": none */
	uint32_t refused;		/* kinds whose programs could not be attached, … */
	time_t refused_s;		/* … and when, CLOCK_MONOTONIC */
	bool filtered; /* an endpoint's: by foreign filters that would be bypassed */
	char problem[CV_FASTPATH_PROBLEM_MAX];
};

/* An address of this host, as cv_addresses has it. */
struct cv_fastpath_address {
	__be32 address;
	uint32_t kind; /* enum cv_fp_address */
};

struct cv_fastpath {
	struct cv_nl *nl;
	void (*log)(int priority, const char *text);
	unsigned int handle;
	bool ready;
	bool settled;	 /* ready, and what an earlier daemon has left is swept */
	time_t verified; /* when all programs were last found in their places, CLOCK_MONOTONIC */
	bool in_doubt;	 /* filters have come or gone since then, perhaps our own */
	struct cv_pins pins;
	struct cv_programs programs;
	pthread_mutex_t lock; /* of config: the engine's workers bump its generation, too */
	struct cv_fp_config config;
	char no_lookup[CV_FASTPATH_PROBLEM_MAX]; /* why routes cannot be asked for; "": they can */
	uint64_t bumped_ns;			 /* for a remote, last */
	uint64_t slots[CV_FP_SLOTS / 64 + 1];	 /* taken ones */
	uint64_t numbers[CV_FP_PEERS_MAX / 64];	 /* of peers: taken ones */
	uint64_t own_numbers[CV_FP_PEERS_MAX / 64]; /* of these: given by this daemon */
	uint32_t last_number;			    /* given */

	struct cv_fastpath_tunnel *tunnels;
	size_t tunnel_count;
	struct cv_fastpath_known_endpoint *endpoints;
	size_t endpoint_count;
	bool is_batch;	 /* between cv_fastpath_endpoints_begin and _end … */
	bool batch_news; /* … where endpoints were set */
	struct cv_fastpath_device *devices;
	size_t device_count;
	struct cv_fastpath_address *addresses;
	size_t address_count;

	struct cv_fp_activity *activity; /* NULL: not mapped */

	struct perf_buffer *capture;
	void (*take)(void *context, const struct cv_fp_capture *record, const uint8_t *packet);
	void (*lost)(void *context, uint64_t count);
	void *capture_context;
};

/* Say something in the log. */
void cv_fastpath_say(const struct cv_fastpath *fastpath, int priority, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Write the configuration as it is. */
void cv_fastpath_write_config(struct cv_fastpath *fastpath);

/*
 * Main thread: write the configuration, with a new generation: everything remembered is asked for
 * again. Of the engine, too, but not before cv_fastpath_ready has looked whether that is needed.
 */
void cv_fastpath_bump(struct cv_fastpath *fastpath);

/* Any thread: the same, but the engine's words stay. */
void cv_fastpath_bump_ways(struct cv_fastpath *fastpath);

struct cv_fastpath_tunnel *cv_fastpath_find_tunnel(struct cv_fastpath *fastpath, int ifindex);

#endif
