/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How paths are probed: what RFC 8899, 5.1, leaves to the implementation, and our own timers. All
 * sizes are bytes of outer IPv4 packets, all times milliseconds.
 */
#ifndef CV_PATH_CONFIG_H
#define CV_PATH_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

struct cv_prober_config {
	bool probing;		 /* false: no probe is ever sent; all paths are DISABLED */
	uint32_t min_mtu;	 /* MIN_PLPMTU; neither probes nor ICMP lower below it, nor ICMP
				  * below CV_REMOTE_MTU_MIN */
	uint32_t base_mtu;	 /* BASE_PLPMTU */
	uint32_t max_probes;	 /* MAX_PROBES: as many losses of a size in a row decide */
	uint32_t probe_timer_ms; /* PROBE_TIMER: an unanswered probe is lost; without traffic */
	uint32_t raise_timer_ms; /* PMTU_RAISE_TIMER: the search for more begins again */
	/* While packets of some size flow to the remote, this size is confirmed so often; the quick
	 * confirmation that RFC 8899 does not have (doc/rfc.md). 0: never. */
	uint32_t confirm_timer_ms;
	uint32_t liveness_timer_ms; /* small echoes, while nothing else is sent */
	uint32_t liveness_losses;   /* so many unanswered ones in a row: the remote is down */
	uint32_t rate;		    /* probes of all kinds to all remotes, a second, at most */
};

/* RFC 8899's values; 576 and the outer header as the least. */
static inline struct cv_prober_config cv_prober_config_default(void)
{
	return (struct cv_prober_config){
		.probing = true,
		.min_mtu = 596,
		.base_mtu = 1200,
		.max_probes = 3,
		.probe_timer_ms = 15000,
		.raise_timer_ms = 600000,
		.confirm_timer_ms = 300,
		.liveness_timer_ms = 30000,
		.liveness_losses = 3,
		.rate = 2000,
	};
}

#endif
