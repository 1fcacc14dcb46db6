/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pair of devices between host and pod, and what is set on both ends:
 *
 *   routed   pod: ADDRESS/32, 169.254.1.1 permanently the host end's MAC, routes by it
 *            host: ADDRESS permanently the pod's MAC, strict rp_filter, proxy ARP
 *   bridge   pod: ADDRESS/LENGTH, routes by the bridge's address; host: a port of the bridge
 */
#ifndef CV_CNI_PAIR_H
#define CV_CNI_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "cni/failure.h"
#include "cni/result.h"
#include "model/attachment.h"
#include "net/link.h"
#include "net/namespace.h"
#include "net/netlink.h"

/* Both sides, opened. */
struct cv_cni_sides {
	struct cv_nl *host, *pod;	 /* pod: NULL if it was not asked for */
	int netns;			 /* the pod's namespace; -1: not open */
	struct cv_namespace_inode inode; /* of it */
};

/*
 * netns: a path, or NULL: the host's alone. 0 or a code: CV_CNI_UNKNOWN_CONTAINER: there is no such
 * namespace; CV_CNI_NAMESPACE: it is the host's, and override is not set. cv_cni_sides_close also
 * after a failure.
 */
int cv_cni_sides_open(const char *netns, bool override, struct cv_cni_sides *ret_sides,
		      struct cv_cni_failure *failure);
void cv_cni_sides_close(struct cv_cni_sides *sides);

/* What is to be made. */
struct cv_cni_pair {
	const struct cv_attachment *names;
	const char *ifname; /* in the pod */
	const uint8_t *mac; /* of its end */
	uint32_t mtu;	    /* bytes */
	const char *bridge; /* NULL: routed */
	bool hairpin;
	bool clsact;	       /* routed: the host's end has that qdisc from the beginning */
	__be32 bridge_gateway; /* address that the bridge is to have, in the addresses' network; 0:
				  it is seen to by somebody else */
	const struct cv_cni_result *result; /* ips, with their gateways, and routes */
};

/* Nothing stands in the way: our own half-made pair is removed. 0 or a code. */
int cv_cni_pair_prepare(const struct cv_cni_sides *sides, const struct cv_attachment *names,
			const char *ifname, struct cv_cni_failure *failure);

/* 0 or a code, after which some of it may be there. */
int cv_cni_pair_make(const struct cv_cni_sides *sides, const struct cv_cni_pair *pair,
		     struct cv_cni_failure *failure);

/* The alias, which says that it is whole. 0 or a code. */
int cv_cni_pair_finish(const struct cv_cni_sides *sides, const struct cv_attachment *names,
		       struct cv_cni_failure *failure);

/* Set the host's end down, if it is there and ours: nothing goes to the pod from then on. 0 or a
 * code. */
int cv_cni_pair_silence(struct cv_nl *host, const struct cv_attachment *names,
			struct cv_cni_failure *failure);

/* Remove it, if it is there and ours. 0 or a code. */
int cv_cni_pair_remove(struct cv_nl *host, const struct cv_attachment *names,
		       struct cv_cni_failure *failure);

/* The gateway of all routed pods, 169.254.1.1: an address that nobody has, of a MAC that is known.
 */
__be32 cv_cni_pair_gateway(void);

/*
 * CHECK: the first thing that is not as cv_cni_pair_make leaves it. 0 or CV_CNI_NOT_AS_MADE; pair's
 * MTU 0 and MAC NULL are not looked at: a later plugin of the list may change them.
 */
int cv_cni_pair_check(const struct cv_cni_sides *sides, const struct cv_cni_pair *pair,
		      struct cv_cni_failure *failure);

#endif
