/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked for this one container, by three ways of asking. */
#ifndef CV_CNI_REQUEST_H
#define CV_CNI_REQUEST_H

#include "cni/config.h"

/*
 * Addresses, MAC and bandwidth from runtimeConfig (capabilities), args.cni and CNI_ARGS, into
 * config. 0 or a code.
 */
int cv_cni_request_parse(struct cv_cni_config *config, const struct cv_cni_environment *environment,
			 struct cv_cni_failure *failure);

#endif
