/* SPDX-License-Identifier: Apache-2.0 */
/* The list of plugins that `culvert-cni install` writes. */
#ifndef CV_CNI_CONFLIST_H
#define CV_CNI_CONFLIST_H

#include <stdbool.h>
#include <jansson.h>

#include "tunnel/error.h"

/* By this member of the list, which runtimes pass over, it is known as ours. */
#define CV_CNI_CONFLIST_MARK "installedBy"

struct cv_cni_conflist {
	const char *name;    /* of the network */
	const char *bridge;  /* NULL: routed */
	const char *run_dir; /* of culvertd */
	const char *chain;   /* "portmap,bandwidth": plugins behind ours; "" is none */
};

/* The list; the caller's. NULL: error says why. */
json_t *cv_cni_conflist_make(const struct cv_cni_conflist *conflist, struct cv_error *error);

/* True if a file's text is a list that is marked as ours. */
bool cv_cni_conflist_is_ours(const char *text);

/* True if it is a list or configuration that has our plugin, whoever has written it. */
bool cv_cni_conflist_uses_us(const char *text);

#endif
