/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a route that BIRD learned, and why. BIRD decides by the filters that
 * bird_config.c renders; this is the same policy in C: for the words about what was refused, and as
 * the oracle that tests hold the filters against.
 */
#ifndef CV_ROUTING_BGP_POLICY_H
#define CV_ROUTING_BGP_POLICY_H

#include "routing/bgp.h"

enum {
	CV_BGP_MARTIANS = 5
};
struct cv_bgp_martian {
	uint32_t first; /* host byte order */
	uint8_t length;
};
extern const struct cv_bgp_martian cv_bgp_martians[CV_BGP_MARTIANS];

enum cv_bgp_verdict {
	CV_BGP_TAKEN,
	CV_BGP_REFUSED_DEFAULT,	 /* 0.0.0.0/0, whatever a filter says */
	CV_BGP_REFUSED_HOST,	 /* covers the address of a node, an external node, a gateway */
	CV_BGP_REFUSED_UNDERLAY, /* is, is in, or covers a network of the underlay */
	CV_BGP_REFUSED_MARTIAN,	 /* 127/8, 169.254/16, 224/4, 240/4, 0/8 … (RFC 6890) */
	/* Overlaps what we declare, or what another node does, and is no single address within a
	 * larger block: that is borrowed. */
	CV_BGP_REFUSED_OUR_BLOCK,
	CV_BGP_REFUSED_OTHERS_BLOCK,
	CV_BGP_REFUSED_PART_OF_BLOCK, /* longer than blockSize, and no /32 */
	CV_BGP_REFUSED_FILTER,	      /* a BGPFilter's rule says Reject */
	CV_BGP_REFUSED_NO_POOL,	      /* in no pool, and no filter accepts it */
	CV_BGP_VERDICTS,
};

/*
 * May a route to prefix with this next hop, from this session, be taken? *ret_about: whose block,
 * host or filter it is about (a resource), or NULL. The order is that of the enum, but that filters
 * come before PART_OF_BLOCK and NO_POOL: they narrow all, and widen only what is in no pool.
 *
 * Of a block that another node declares, that node's own next hop may announce all, or parts. So
 * may a router that is no Node, where the pool is Never: the underlay carries these packets anyway,
 * and a top-of-rack router announces its neighbours' blocks as behind itself.
 */
enum cv_bgp_verdict cv_bgp_judge(const struct cv_bgp_intent *bgp,
				 const struct cv_bgp_session *session,
				 const struct cv_prefix *prefix, __be32 next_hop,
				 const struct cv_resource **ret_about);

/* "taken", "default", "host", "underlay", "martian", …: stable, for metrics and JSON. */
const char *cv_bgp_verdict_name(enum cv_bgp_verdict verdict);

enum {
	CV_BGP_EXPLAIN_MAX = 256
};
/* A sentence: "it overlaps 10.244.1.0/26, a block of node a1". */
const char *cv_bgp_explain(const struct cv_bgp_intent *bgp, enum cv_bgp_verdict verdict,
			   const struct cv_prefix *prefix, const struct cv_resource *about,
			   char text[CV_BGP_EXPLAIN_MAX]);

/*
 * Which way a route that was taken goes in the kernel: TUNNEL (via next_hop dev pool device
 * onlink), DIRECT (as BIRD resolves it, on a link of ours), UNDERLAY (Never, and the next hop is
 * on no link: no route, the underlay knows), NONE (the tunnel is forbidden, or the next hop is no
 * node's and cannot be resolved).
 */
enum cv_path cv_bgp_path(const struct cv_bgp_intent *bgp, const struct cv_prefix *prefix,
			 __be32 next_hop);

#endif
