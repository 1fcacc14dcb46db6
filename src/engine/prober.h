/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prober: a thread of the engine that knows every remote end that tunnels send to now, what the
 * underlay's route to it takes, and what probes have shown of the path: its MTU (path/plpmtud.h),
 * its round trip, its loss, whether it is up (path/liveness.h).
 */
#ifndef CV_ENGINE_PROBER_H
#define CV_ENGINE_PROBER_H

#include <stddef.h>
#include <linux/types.h>

#include "path/config.h"
#include "path/liveness.h"
#include "path/plpmtud.h"

/* By what a remote is probed. */
enum cv_prober_method {
	CV_PROBER_NONE,	    /* nothing was answered so far */
	CV_PROBER_INNER,    /* an echo within the tunnel */
	CV_PROBER_UNDERLAY, /* an echo outside: it does not tell whether protocol 4 passes */
	CV_PROBER_METHODS
};

/* What is known of one remote end of one tunnel. */
struct cv_prober_path {
	__be32 remote;
	__be32 source;	     /* outer; 0: no route */
	__be32 inner_source; /* of probes within the tunnel; 0: none was answered yet */
	int tunnel;	     /* index of its device */
	uint32_t link_mtu;   /* what the route to it takes, bytes of outer packets; 0: no route */
	uint32_t mtu;	     /* what the path takes, as far as it is known; 0: no route */
	enum cv_plpmtud_state state;
	enum cv_plpmtud_how how;
	enum cv_prober_method method;
	uint64_t age_ms; /* mtu is known since so long */
	/* It answers outside the tunnel, but not within, where it once did or should: protocol 4 is
	 * blocked, or the remote has no tunnel to us. */
	bool is_blocked;
	enum cv_liveness_state liveness;
	uint64_t liveness_age_ms;	 /* is so since so long */
	uint32_t rtt_p50_us, rtt_p99_us; /* 0: no answer */
	uint32_t loss_permille;
	uint64_t probes_sent, probes_answered, probe_bytes;
};

struct cv_prober;
struct cv_probe_words;

/*
 * Any thread: the answer to a probe within a tunnel came from remote; an ICMP error that quotes a
 * probe (mtu: of "fragmentation needed", bytes; 0: another one); an ICMP error has lowered the MTU
 * of a remote. Whether they are what they seem the prober finds out.
 */
void cv_prober_note_answer(struct cv_prober *prober, __be32 remote, int tunnel,
			   const struct cv_probe_words *words);
void cv_prober_note_error(struct cv_prober *prober, __be32 remote, int tunnel,
			  const struct cv_probe_words *words, uint32_t mtu);
void cv_prober_note_too_big(struct cv_prober *prober, __be32 remote, uint32_t mtu);

struct cv_lane_shared;
struct cv_counters;
struct cv_fp_activity;

/*
 * Create for an engine whose lanes share this; no thread yet. 0 or -errno. The caller owns
 * *ret_prober, which uses shared->live under cv_prober_lock alone: whoever changes that, locks.
 */
int cv_prober_create(struct cv_lane_shared *shared, struct cv_prober **ret_prober);

/* Start the thread. -errno. */
int cv_prober_start(struct cv_prober *prober);

/* Stop the thread if it runs, close, free. Nobody may write letters any more. NULL is fine. */
void cv_prober_destroy(struct cv_prober *prober);

void cv_prober_lock(struct cv_prober *prober);
void cv_prober_unlock(struct cv_prober *prober);

/* Tunnels have come, gone or changed: look again who the remotes are. */
void cv_prober_tunnels_changed(struct cv_prober *prober);

/* Probe like this from now on; is_off: not at all, whatever config says. */
void cv_prober_configure(struct cv_prober *prober, const struct cv_prober_config *config,
			 bool is_off);

/* Where the fast path notes what it sends (bpf/abi.h, cv_activity); NULL: nowhere any more. */
void cv_prober_watch(struct cv_prober *prober, struct cv_fp_activity *activity);

/* As cv_engine_paths_fd, cv_engine_paths, cv_engine_link_mtus. */
int cv_prober_fd(const struct cv_prober *prober);
int cv_prober_list(struct cv_prober *prober, struct cv_prober_path **ret_list, size_t *ret_count);
bool cv_prober_link_mtus(struct cv_prober *prober, int tunnel, uint32_t *ret_smallest,
			 uint32_t *ret_largest);

/* Add what it has counted. */
void cv_prober_counters(struct cv_prober *prober, struct cv_counters *sum);

/* CLOCK_MONOTONIC. */
uint64_t cv_prober_now_us(void);
uint64_t cv_prober_now_ms(void);

/* "none", "tunnel", "underlay". */
const char *cv_prober_method_name(enum cv_prober_method method);

#endif
