/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The paths that the prober knows (engine/prober.h), with the names that people know: tunnels and
 * nodes. And what is said of them in words.
 */
#ifndef CV_AGENT_PATHS_H
#define CV_AGENT_PATHS_H

#include <net/if.h>
#include <stdbool.h>

#include "engine/engine.h"
#include "routing/decide.h"
#include "tunnel/error.h"

struct cv_known_path {
	struct cv_prober_path path;
	char tunnel[IFNAMSIZ]; /* "": it has gone meanwhile */
	const char *node;      /* whose address the remote is; NULL: nobody's. The intent's */
};

/* Zeroed: none. cv_paths_fini frees. */
struct cv_paths {
	struct cv_known_path *items; /* by tunnel, then by remote */
	size_t count;
};

/* What the engine knows now. 0 or -errno. The intent must outlive the list. */
int cv_paths_read(struct cv_engine *engine, const struct cv_intent *intent,
		  struct cv_paths *ret_paths);

/* The same of a list, which is not changed; name: of the tunnel with a device, or NULL. */
int cv_paths_make(const struct cv_prober_path *list, size_t count,
		  const char *(*name)(int ifindex, const void *data), const void *data,
		  const struct cv_intent *intent, struct cv_paths *ret_paths);
void cv_paths_fini(struct cv_paths *paths);

/*
 * Whether a path is meant by what people type: the device of a tunnel, the name of a node, or a
 * remote's address.
 */
bool cv_path_matches(const struct cv_known_path *path, const char *peer);

/* Nothing matches: -ENOENT, with why in error. is_tunnel: there is a tunnel of this name. */
int cv_paths_explain_none(const struct cv_intent *intent, const char *peer, bool is_tunnel,
			  struct cv_error *error);

/* MTU of inner packets; 0: there is no route. */
uint32_t cv_path_inner_mtu(const struct cv_known_path *path);

/* How many there are of each sort. */
struct cv_paths_summary {
	size_t count, blocked;
	size_t states[CV_PLPMTUD_STATES];
	size_t liveness[CV_LIVENESS_STATES];
};
void cv_paths_sum_up(const struct cv_paths *paths, struct cv_paths_summary *ret_summary);

enum {
	CV_PATH_TEXT_MAX = 400
};

/*
 * What is wrong with a path, in a sentence: protocol 4 is blocked, the remote is down, large
 * packets do not pass. NULL: nothing is. Returns buffer.
 */
const char *cv_path_problem(const struct cv_known_path *path, char buffer[CV_PATH_TEXT_MAX]);

/* The path takes less than its link, and no ICMP said so: it is filtered on the way. */
bool cv_path_filters_icmp(const struct cv_known_path *path);

#endif
