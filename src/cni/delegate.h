/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another plugin that gives addresses (host-local, static), run for us: SPEC.md, "Section 4:
 * Plugin Delegation". It gets our environment and our standard input.
 */
#ifndef CV_CNI_DELEGATE_H
#define CV_CNI_DELEGATE_H

#include <stddef.h>
#include <jansson.h>

#include "cni/failure.h"

struct cv_cni_delegate {
	const char *type;  /* the program's name */
	const char *path;  /* CNI_PATH; NULL: not given */
	const char *input; /* our configuration, as it came */
	size_t input_length;
};

enum {
	CV_CNI_DELEGATE_S = 60,	       /* for one run, then it is killed */
	CV_CNI_DELEGATE_MAX = 1 << 20, /* bytes that it may say */
};

/*
 * Run it with CNI_COMMAND=command. 0 and what it said (NULL: nothing), the caller's; or its code
 * and sentence, or CV_CNI_CONFIG: there is no such plugin, CV_CNI_ENVIRONMENT: CNI_PATH is missing,
 * CV_CNI_DELEGATE: it did not do as plugins do.
 */
int cv_cni_delegate_run(const struct cv_cni_delegate *delegate, const char *command,
			json_t **ret_result, struct cv_cni_failure *failure);

/* What an error on a plugin's standard output says, with its type in front. Returns its code. */
int cv_cni_delegate_error(const char *type, const char *text, size_t length,
			  struct cv_cni_failure *failure);

#endif
