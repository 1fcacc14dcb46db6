/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The eBPF programs and maps of an instance, loaded: what is pinned is used again, what has
 * another layout is moved over.
 */
#ifndef CV_FASTPATH_PROGRAMS_H
#define CV_FASTPATH_PROGRAMS_H

#include <stdbool.h>
#include <stdint.h>
#include <bpf/libbpf.h>

#include "bpf/abi.h"
#include "fastpath/pins.h"

enum cv_program {
	CV_PROGRAM_TUNNEL_OUT,
	CV_PROGRAM_UNDERLAY_IN,
	CV_PROGRAM_ENDPOINT_IN,
	CV_PROGRAM_ENDPOINT_OUT,
	CV_PROGRAM_TUNNEL_IN,
	CV_PROGRAM_HAND_OVER,
	CV_PROGRAM_LOOK,
	CV_PROGRAM_STAMP,
	CV_PROGRAM_MAX
};

enum cv_map {
	CV_MAP_CONFIG,
	CV_MAP_TUNNELS,
	CV_MAP_PAIRS,
	CV_MAP_ADDRESSES,
	CV_MAP_DEVICES,
	CV_MAP_ENDPOINTS,
	CV_MAP_REMOTES,
	CV_MAP_COUNTERS,
	CV_MAP_IDS,
	CV_MAP_WAYS,
	CV_MAP_PERMITS,
	CV_MAP_WORDS,
	CV_MAP_ARRIVALS,
	CV_MAP_FLOWS,
	CV_MAP_FRAGMENTS,
	CV_MAP_PEERS,
	CV_MAP_TRAFFIC,
	CV_MAP_ACTIVITY,
	CV_MAP_ENGINE,
	CV_MAP_CAPTURE,
	CV_MAP_MAX
};

struct cv_programs {
	struct bpf_object *object;
	int program[CV_PROGRAM_MAX]; /* descriptors, the object's */
	int map[CV_MAP_MAX];
	bool asks_conntrack; /* bpf/conntrack.h; else flows are judged by their packets alone */
};

/* Keep libbpf from writing to standard error: before anything else of it is called. */
void cv_programs_listen(void);

/*
 * Load, take up what is pinned, and pin. 0, or -errno with one line in why (size bytes). What
 * cannot be pinned is no error: then nothing is, pins are closed, and why says it; else it is "".
 * End with cv_programs_fini.
 */
int cv_programs_init(struct cv_programs *programs, struct cv_pins *pins, char *why, size_t size);
void cv_programs_fini(struct cv_programs *programs);

/*
 * Once the programs are attached wherever earlier ones were: move over what these have written into
 * maps of another layout meanwhile, and unpin those.
 */
void cv_programs_settle(const struct cv_programs *programs, struct cv_pins *pins);

/* Kernel addresses: of the namespace's rt_genid, and of the device's struct net_device (ifindex 0:
 * of none in particular). 0 or -errno. */
int cv_programs_look(const struct cv_programs *programs, int ifindex, uint64_t *ret_namespace,
		     uint64_t *ret_device);

/* The stamp of now. Any thread. 0 or -errno. */
int cv_programs_stamp(const struct cv_programs *programs, struct cv_fp_stamp *ret_stamp);

/* The state of the routing tables, with the genid of just after. 0 or -errno. */
int cv_programs_tables(const struct cv_programs *programs, uint32_t *ret_tables,
		       uint32_t *ret_genid);

/* An engine runs: packets may be handed over from now on, until this process ends. 0 or -errno. */
int cv_programs_engine_runs(const struct cv_programs *programs);

#endif
