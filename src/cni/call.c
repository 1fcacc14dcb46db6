/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/call.h"

#include "model/tombstone.h"

json_t *cv_cni_call_key(const struct cv_cni_call *call)
{
	return json_pack("{s:s, s:s, s:s}", "network", call->config->network, "container",
			 call->environment->container, "interface", call->environment->ifname);
}

struct cv_cni_delegate cv_cni_call_delegate(const struct cv_cni_call *call)
{
	return (struct cv_cni_delegate){
		.type = call->config->ipam,
		.path = call->environment->path,
		.input = call->text,
		.input_length = call->length,
	};
}

int cv_cni_call_forget(const struct cv_cni_call *call, struct cv_cni_failure *failure)
{
	struct cv_cni_agent agent;
	struct cv_error error;
	json_t *result = NULL;
	int code;

	/* Nobody waits: the tombstone does as well. */
	cv_cni_agent_init(&agent, call->config->run_dir, 0);
	code = cv_cni_agent_ask(&agent, "cni.del", cv_cni_call_key(call), &result, failure);
	cv_cni_agent_fini(&agent);
	json_decref(result);
	if (!code || code == CV_CNI_UNKNOWN_CONTAINER)
		return 0;
	/* What is no key will be none later, either; whatever else is wrong with culvertd ends. */
	if (code == CV_CNI_CONFIG)
		return code;
	if (cv_tombstone_write(call->config->run_dir, call->config->network,
			       call->environment->container, call->environment->ifname, &error))
		return cv_cni_fail(failure, CV_CNI_IO, "%s", error.text);
	return 0;
}
