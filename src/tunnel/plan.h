/* SPDX-License-Identifier: Apache-2.0 */
/* What the tunnels will be after a list of changes, before any of them is made. */
#ifndef CV_TUNNEL_PLAN_H
#define CV_TUNNEL_PLAN_H

#include "tunnel/config.h"
#include "tunnel/error.h"

enum cv_tunnel_verb {
	CV_TUNNEL_ADD,	   /* a new one: the defaults, and what the patch gives */
	CV_TUNNEL_CHANGE,  /* an existing one: what the patch gives */
	CV_TUNNEL_REPLACE, /* add, or change to the defaults and what the patch gives */
	CV_TUNNEL_DELETE,  /* an existing one, if it is as the patch says */
};

struct cv_tunnel_change {
	enum cv_tunnel_verb verb;
	struct cv_tunnel_patch patch; /* with a name */
};

struct cv_tunnel_plan {
	struct cv_tunnel_config *configs;
	size_t count;
};

/*
 * Play changes one after the other on a copy of current. owner: who asks; what it adds is its own,
 * and what is another's it may not change or delete. Every step must be valid by itself: names,
 * pairs (remote, local) and the rules of cv_tunnel_config_check. 0, or -EINVAL, -EEXIST, -ENOENT,
 * -EPERM (another's tunnel), -ENOSPC (more than max tunnels), -ENOMEM and the index of the change
 * at fault in *ret_index. cv_tunnel_plan_fini frees the plan.
 */
int cv_tunnel_plan_init(struct cv_tunnel_plan *ret_plan, const struct cv_tunnel_config *current,
			size_t current_count, const char *owner,
			const struct cv_tunnel_change *changes, size_t count, size_t max,
			size_t *ret_index, struct cv_error *error);
void cv_tunnel_plan_fini(struct cv_tunnel_plan *plan);

/* The tunnel of this name, or NULL. */
const struct cv_tunnel_config *cv_tunnel_plan_find(const struct cv_tunnel_plan *plan,
						   const char *name);

#endif
