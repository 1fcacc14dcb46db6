/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime says in CNI_* variables. */
#ifndef CV_CNI_ENVIRONMENT_H
#define CV_CNI_ENVIRONMENT_H

#include <stdbool.h>

#include "cni/arguments.h"
#include "cni/failure.h"

enum cv_cni_command {
	CV_CNI_ADD,
	CV_CNI_DEL,
	CV_CNI_CHECK,
	CV_CNI_GC,
	CV_CNI_STATUS,
	CV_CNI_VERSION,
};

struct cv_cni_environment {
	enum cv_cni_command command;
	const char *container, *netns, *ifname; /* NULL: not given; else valid, the netns' text
						   alone is not looked at */
	const char *path;			/* NULL: not given; only who delegates needs it */
	bool netns_override;			/* CNI_NETNS may be the plugin's own namespace */
	struct cv_cni_arguments arguments;
};

/* Pointers are the environment's. 0 or a code: *ret_environment is as far as it could be read. */
int cv_cni_environment_read(struct cv_cni_environment *ret_environment,
			    struct cv_cni_failure *failure);

const char *cv_cni_command_name(enum cv_cni_command command);

#endif
