/* SPDX-License-Identifier: Apache-2.0 */
/* One call of the plugin: what it was given, and what all commands do with it. */
#ifndef CV_CNI_CALL_H
#define CV_CNI_CALL_H

#include <stddef.h>
#include <jansson.h>

#include "cni/agent.h"
#include "cni/config.h"
#include "cni/delegate.h"
#include "cni/environment.h"
#include "cni/failure.h"
#include "model/attachment.h"
#include "net/netlink.h"

struct cv_cni_log;

struct cv_cni_call {
	struct cv_cni_log *log;
	const struct cv_cni_environment *environment;
	const struct cv_cni_config *config;
	const char *text; /* the configuration */
	size_t length;
	struct cv_attachment names; /* where there are a container and an interface */
	struct cv_cni_failure failure;
};

/* {network, container, interface}, to be added to; the caller's. */
json_t *cv_cni_call_key(const struct cv_cni_call *call);

/* How the delegated plugin is called, if there is one (config->ipam). */
struct cv_cni_delegate cv_cni_call_delegate(const struct cv_cni_call *call);

/*
 * Tell culvertd that the attachment is over, or, if it cannot be told, leave a tombstone. 0 or a
 * code, with what to do in failure (which is not the call's).
 */
int cv_cni_call_forget(const struct cv_cni_call *call, struct cv_cni_failure *failure);

/* The commands. 0 and, of ADD, the result, which the caller owns; or call->failure's code. */
int cv_cni_add(struct cv_cni_call *call, json_t **ret_result);
int cv_cni_delete(struct cv_cni_call *call, json_t **ret_result);
int cv_cni_check(struct cv_cni_call *call, json_t **ret_result);
int cv_cni_collect(struct cv_cni_call *call, json_t **ret_result);
int cv_cni_status(struct cv_cni_call *call, json_t **ret_result);

#endif
