/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoints of one daemon: added, changed, deleted, kept over restarts, followed as
 * their devices change, and made known to the fast path.
 *
 * For one thread. A change that fails has changed nothing.
 */
#ifndef CV_TUNNEL_ENDPOINT_SET_H
#define CV_TUNNEL_ENDPOINT_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "fastpath/fastpath.h"
#include "net/netlink.h"
#include "tunnel/endpoint.h"
#include "tunnel/error.h"
#include "tunnel/set.h"

struct cv_endpoint_set;

/* What the set asks of the fast path; for tests. */
struct cv_endpoint_ops {
	int (*set)(struct cv_fastpath *fastpath, const struct cv_fastpath_endpoint *endpoint);
	void (*forget)(struct cv_fastpath *fastpath, int ifindex);
	const char *(*problem)(struct cv_fastpath *fastpath, int ifindex);
	/* Between these, many are set. */
	void (*begin)(struct cv_fastpath *fastpath);
	void (*end)(struct cv_fastpath *fastpath);
};

/* All pointers but run_dir are the caller's, and outlive the set. */
struct cv_endpoint_set_options {
	const char *run_dir; /* absolute; copied */
	struct cv_nl *nl;
	const struct cv_tunnel_set *tunnels; /* whose devices are no endpoints; or NULL */
	struct cv_fastpath *fastpath;	     /* NULL: there is none */
	const char *no_fastpath;	     /* why, in words */
	const struct cv_endpoint_ops *ops;   /* NULL: fastpath/fastpath.h */
	/* Told what changed without a command, and why. priority: LOG_* of syslog(3). */
	void (*log)(int priority, const char *text);
};

/*
 * Create the set and take up again what the state file lists and still has its device. 0 or
 * -errno. The caller owns *ret_set.
 */
int cv_endpoint_set_create(const struct cv_endpoint_set_options *options,
			   struct cv_endpoint_set **ret_set, struct cv_error *error);

/* The fast path goes on with the endpoints; the state file stays. NULL is fine. */
void cv_endpoint_set_destroy(struct cv_endpoint_set *set);

/*
 * Make a change. 0, or -errno: -EINVAL, -EEXIST (the device, or an address is another
 * endpoint's or this host's own), -ENOENT (no such endpoint), -ENODEV (no such device), -ENOSPC
 * (too many addresses, or a full disk), …. What the fast path cannot do is no failure.
 */
int cv_endpoint_set_apply(struct cv_endpoint_set *set, const struct cv_endpoint_change *change,
			  struct cv_error *error);

/*
 * Endpoints that somebody else keeps over restarts (agent/pods.h): they are in no state file, and
 * not to be changed or deleted by cv_endpoint_set_apply (-EPERM). Many at once: this host's
 * addresses are asked for, and the fast path's devices looked at, once. One that is there is
 * replaced; one that cannot be is left out, and said in the log.
 */
void cv_endpoint_set_host(struct cv_endpoint_set *set, const struct cv_endpoint_config *configs,
			  size_t count);
/* Forget one of them, by its device, which may be gone; none is no failure. */
void cv_endpoint_set_unhost(struct cv_endpoint_set *set, const char *dev);

/* Whether endpoints with CV_ENDPOINT_BYPASS_DEFAULT are to be bypassed. 0 or -errno. */
int cv_endpoint_set_default(struct cv_endpoint_set *set, bool bypass, struct cv_error *error);
bool cv_endpoint_set_default_bypass(const struct cv_endpoint_set *set);

/*
 * Look again at devices and addresses: a device that is gone takes its endpoint along, one that
 * was renamed keeps it. To be called after cv_monitor_drain saw anything.
 */
void cv_endpoint_set_refresh(struct cv_endpoint_set *set);

size_t cv_endpoint_set_count(const struct cv_endpoint_set *set);

/* Endpoint index (0 … count - 1), in the order of creation; or by its device's name: NULL: none.
 * Valid until the set changes. */
const struct cv_endpoint_config *cv_endpoint_set_config(const struct cv_endpoint_set *set,
							size_t index);
const struct cv_endpoint_config *cv_endpoint_set_find(const struct cv_endpoint_set *set,
						      const char *dev);

struct cv_endpoint_status {
	const struct cv_endpoint_config *config; /* all valid until the set changes */
	int ifindex;
	bool wanted;	    /* bypass, with the default applied */
	bool in_force;	    /* bypass is */
	const char *reason; /* why not although wanted; "" */
};

void cv_endpoint_set_status(const struct cv_endpoint_set *set, size_t index,
			    struct cv_endpoint_status *ret_status);

#endif
