/* SPDX-License-Identifier: Apache-2.0 */
/* What CNI_ARGS says: "IgnoreUnknown=1;K8S_POD_NAME=web;IP=10.244.1.7". */
#ifndef CV_CNI_ARGUMENTS_H
#define CV_CNI_ARGUMENTS_H

#include <stdbool.h>

#include "cni/failure.h"

enum {
	CV_CNI_ARGUMENTS_MAX = 4096, /* bytes of CNI_ARGS */
};

struct cv_cni_arguments {
	char text[CV_CNI_ARGUMENTS_MAX]; /* a copy, cut up: what the pointers point into */
	bool ignore_unknown;
	const char *ip, *mac; /* NULL: not given, or empty */
	const char *pod, *name_space;
};

/* text: NULL is none. 0 or a code. */
int cv_cni_arguments_parse(const char *text, struct cv_cni_arguments *ret_arguments,
			   struct cv_cni_failure *failure);

#endif
