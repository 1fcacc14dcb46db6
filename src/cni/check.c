/* SPDX-License-Identifier: Apache-2.0 */
/* CHECK, which asks whether what ADD has made is still so, and STATUS, whether ADD would work. */
#include <stdio.h>
#include <string.h>

#include "cni/call.h"
#include "cni/pair.h"

/* ---- CHECK -------------------------------------------------------------------------- */

static int ask_agent(struct cv_cni_call *call)
{
	struct cv_cni_agent agent;
	const char *problem;
	json_t *result = NULL;
	int code;

	cv_cni_agent_init(&agent, call->config->run_dir, CV_CNI_AGENT_WAIT_MS);
	code = cv_cni_agent_ask(&agent, "cni.check", cv_cni_call_key(call), &result,
				&call->failure);
	cv_cni_agent_fini(&agent);
	problem = json_string_value(json_array_get(json_object_get(result, "problems"), 0));
	if (!code && problem)
		code = cv_cni_fail(&call->failure, CV_CNI_NOT_AS_MADE, "culvertd: %s", problem);
	json_decref(result);
	return code;
}

static int check_delegate(struct cv_cni_call *call)
{
	const struct cv_cni_delegate delegate = cv_cni_call_delegate(call);
	json_t *nothing = NULL;
	int code;

	if (!call->config->ipam)
		return 0;
	code = cv_cni_delegate_run(&delegate, "CHECK", &nothing, &call->failure);
	json_decref(nothing);
	return code;
}

/* Our interface in prevResult: index, or -1. */
static int find_interface(const struct cv_cni_result *result, const char *name, bool is_in_pod)
{
	for (size_t i = 0; i < result->interface_count; i++) {
		if (!strcmp(result->interfaces[i].name, name) &&
		    is_in_pod == (result->interfaces[i].sandbox != NULL))
			return (int)i;
	}
	return -1;
}

/* Addresses of our interface alone: other plugins may have added theirs. */
static void keep_ours(struct cv_cni_result *result, int interface)
{
	size_t kept = 0;

	for (size_t i = 0; i < result->ip_count; i++) {
		if (result->ips[i].interface == interface || result->ips[i].interface < 0)
			result->ips[kept++] = result->ips[i];
	}
	result->ip_count = kept;
}

static int check_pair(struct cv_cni_call *call, const struct cv_cni_result *result,
		      const struct cv_cni_interface *inside)
{
	const struct cv_cni_environment *environment = call->environment;
	uint8_t mac[CV_ATTACHMENT_MAC];
	const struct cv_cni_pair pair = {
		.names = &call->names,
		.ifname = environment->ifname,
		.mac = cv_attachment_mac_parse(inside->mac, mac) ? mac : NULL,
		.mtu = inside->mtu,
		.bridge = call->config->bridge,
		.result = result,
	};
	struct cv_cni_sides sides;
	int code = cv_cni_sides_open(environment->netns, environment->netns_override, &sides,
				     &call->failure);

	if (!code)
		code = cv_cni_pair_check(&sides, &pair, &call->failure);
	cv_cni_sides_close(&sides);
	return code;
}

static int refuse_previous(struct cv_cni_call *call, const char *name, const char *where)
{
	return cv_cni_fail(&call->failure, CV_CNI_NOT_AS_MADE,
			   "prevResult has no interface %s %s: it is not of this container's ADD",
			   name, where);
}

int cv_cni_check(struct cv_cni_call *call, json_t **ret_result)
{
	struct cv_cni_result result;
	int inside, code;

	(void)ret_result;
	if (call->config->version < CV_CNI_0_4_0)
		return cv_cni_fail(&call->failure, CV_CNI_INCOMPATIBLE,
				   "the configuration is of CNI %s, which has no CHECK",
				   cv_cni_version_name(call->config->version));
	if (!call->config->previous)
		return cv_cni_fail(&call->failure, CV_CNI_CONFIG, "prevResult is missing");
	code = cv_cni_result_parse(call->config->previous, "prevResult", CV_CNI_CONFIG, &result,
				   &call->failure);
	if (code)
		return code;
	inside = find_interface(&result, call->environment->ifname, true);
	if (inside < 0)
		return refuse_previous(call, call->environment->ifname, "in a sandbox");
	if (find_interface(&result, call->names.device, false) < 0)
		return refuse_previous(call, call->names.device, "on the host");
	keep_ours(&result, inside);
	code = check_pair(call, &result, &result.interfaces[inside]);
	if (!code)
		code = check_delegate(call);
	return code ? code : ask_agent(call);
}

/* ---- STATUS ------------------------------------------------------------------------- */

/* Whatever keeps an ADD from working: pods that are there do well without. */
static int not_available(struct cv_cni_call *call)
{
	call->failure.code = CV_CNI_NOT_AVAILABLE;
	return CV_CNI_NOT_AVAILABLE;
}

int cv_cni_status(struct cv_cni_call *call, json_t **ret_result)
{
	const struct cv_cni_delegate delegate = cv_cni_call_delegate(call);
	struct cv_cni_agent agent;
	json_t *result = NULL;
	int code;

	(void)ret_result;
	if (call->config->version < CV_CNI_1_1_0)
		return cv_cni_fail(&call->failure, CV_CNI_INCOMPATIBLE,
				   "the configuration is of CNI %s, which has no STATUS",
				   cv_cni_version_name(call->config->version));
	cv_cni_agent_init(&agent, call->config->run_dir, 0);
	code = cv_cni_agent_ask(&agent, "cni.status", json_object(), &result, &call->failure);
	cv_cni_agent_fini(&agent);
	json_decref(result);
	/* Whether culvertd has addresses is of no interest then. */
	if (call->config->ipam && code == CV_CNI_NO_ADDRESS)
		code = 0;
	if (code)
		return not_available(call);
	if (!call->config->ipam)
		return 0;
	result = NULL;
	code = cv_cni_delegate_run(&delegate, "STATUS", &result, &call->failure);
	json_decref(result);
	return code;
}
