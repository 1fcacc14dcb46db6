/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel counts of TCP-MD5 signatures (RFC 2385), and whether it does so now. */
#ifndef CV_AGENT_BGP_MD5_H
#define CV_AGENT_BGP_MD5_H

#include <stdbool.h>
#include <stdint.h>

enum {
	CV_BGP_MD5_RECENT_US = 180000000 /* a router tries again within 120 s */
};

/* Segments that were thrown away for it, of all connections of this network namespace. */
struct cv_bgp_md5 {
	uint64_t not_found;  /* none, though one was expected */
	uint64_t unexpected; /* one, though none was expected */
	uint64_t failure;    /* a wrong one */
};

/* All there were, since the namespace is there. */
void cv_bgp_md5_read(struct cv_bgp_md5 *ret_md5);

/* … from the text of /proc/net/netstat; what is not there is 0. */
void cv_bgp_md5_parse(const char *text, struct cv_bgp_md5 *ret_md5);

struct cv_bgp_md5_counter {
	uint64_t base, last; /* before it began to grow; as it is */
	int64_t grown_us;    /* when it last did */
};

/* Begins as zeros. */
struct cv_bgp_md5_watch {
	bool is_begun;
	int64_t seen_us;
	struct cv_bgp_md5_counter not_found, unexpected, failure;
};

/* Every few seconds: what was read, and when, by a monotonic clock. */
void cv_bgp_md5_watch(struct cv_bgp_md5_watch *watch, const struct cv_bgp_md5 *now, int64_t now_us);

/* By how much each has grown since it stood still; 0: it has for CV_BGP_MD5_RECENT_US. */
void cv_bgp_md5_recent(const struct cv_bgp_md5_watch *watch, struct cv_bgp_md5 *ret_md5);

#endif
