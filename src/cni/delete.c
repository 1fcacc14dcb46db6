/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEL and GC: what ADD made, in reverse. The device is set down first, so that no address is free
 * while packets for it still find the old pod. culvertd deletes it, on a thread that waits until
 * the kernel has freed it; where there is no culvertd, we do. CNI_NETNS is not looked at: the
 * namespace may have ended, and its path may be another's by now.
 */
#include <stdlib.h>
#include <string.h>

#include "cni/call.h"
#include "cni/log.h"
#include "cni/pair.h"
#include "model/tombstone.h"
#include "net/vector.h"

int cv_cni_delete(struct cv_cni_call *call, json_t **ret_result)
{
	struct cv_cni_sides sides;
	json_t *nothing = NULL;
	int code = cv_cni_sides_open(NULL, false, &sides, &call->failure);

	(void)ret_result;
	if (!code)
		code = cv_cni_pair_silence(sides.host, &call->names, &call->failure);
	cv_cni_log_step(call->log, "look");
	if (!code && call->config->ipam) {
		const struct cv_cni_delegate delegate = cv_cni_call_delegate(call);

		code = cv_cni_delegate_run(&delegate, "DEL", &nothing, &call->failure);
		json_decref(nothing);
		cv_cni_log_step(call->log, delegate.type);
	}
	if (!code)
		code = cv_cni_call_forget(call, &call->failure);
	cv_cni_log_step(call->log, "cni.del");
	if (!code)
		code = cv_cni_pair_remove(sides.host, &call->names, &call->failure);
	cv_cni_log_step(call->log, "pair");
	cv_cni_sides_close(&sides);
	return code;
}

/* ---- GC ----------------------------------------------------------------------------- */

static bool is_valid(const struct cv_cni_config *config, const char *container, size_t length,
		     const char *ifname)
{
	for (size_t i = 0; i < json_array_size(config->valid); i++) {
		const json_t *item = json_array_get(config->valid, i);
		const char *id = json_string_value(json_object_get(item, "containerID"));
		const char *name = json_string_value(json_object_get(item, "ifname"));

		if (strlen(id) == length && !strncmp(id, container, length) &&
		    !strcmp(name, ifname))
			return true;
	}
	return false;
}

/* Of a device: whose it is, if its alias says that it is one of this network. */
struct leftover {
	char container[CV_LINK_ALIAS_MAX], ifname[IFNAMSIZ];
};

struct search {
	const struct cv_cni_config *config;
	struct cv_vector leftovers;
};

static int find_leftover(const struct cv_link *link, void *data)
{
	struct search *search = data;
	const size_t prefix = strlen(CV_ATTACHMENT_ALIAS);
	const size_t network = strlen(search->config->network);
	const char *at = link->alias + prefix, *slash;
	struct leftover leftover = {.ifname = ""};
	struct cv_attachment names;

	if (strncmp(link->alias, CV_ATTACHMENT_ALIAS, prefix) ||
	    strncmp(at, search->config->network, network) || at[network] != '/')
		return 0;
	at += network + 1;
	slash = strchr(at, '/');
	if (!slash || strlen(slash + 1) >= sizeof(leftover.ifname) ||
	    is_valid(search->config, at, (size_t)(slash - at), slash + 1))
		return 0;
	memcpy(leftover.container, at, (size_t)(slash - at));
	memcpy(leftover.ifname, slash + 1, strlen(slash + 1) + 1);
	cv_attachment_name(search->config->network, leftover.container, leftover.ifname, &names);
	/* An alias can be anybody's. */
	if (!cv_attachment_is_device(&names, link))
		return 0;
	return cv_vector_append(&search->leftovers, &leftover);
}

/* Without an agent: what its DEL would do. 0 or a code. */
static int remove_leftover(struct cv_cni_call *call, struct cv_nl *host,
			   const struct leftover *leftover, bool with_tombstone)
{
	struct cv_attachment names;
	struct cv_error error;
	int code;

	cv_attachment_name(call->config->network, leftover->container, leftover->ifname, &names);
	code = cv_cni_pair_remove(host, &names, &call->failure);
	if (code || !with_tombstone)
		return code;
	if (cv_tombstone_write(call->config->run_dir, call->config->network, leftover->container,
			       leftover->ifname, &error))
		return cv_cni_fail(&call->failure, CV_CNI_IO, "%s", error.text);
	return 0;
}

static int remove_leftovers(struct cv_cni_call *call, bool with_tombstones)
{
	struct search search = {.config = call->config};
	struct cv_cni_sides sides;
	int code = cv_cni_sides_open(NULL, false, &sides, &call->failure);

	cv_vector_init(&search.leftovers, sizeof(struct leftover));
	if (!code && cv_link_for_each(sides.host, find_leftover, &search))
		code = cv_cni_fail(&call->failure, CV_CNI_KERNEL, "cannot list the devices");
	/* As many as can be. */
	for (size_t i = 0; i < search.leftovers.count; i++) {
		int rc = remove_leftover(call, sides.host, cv_vector_at(&search.leftovers, i),
					 with_tombstones);

		code = code ? code : rc;
	}
	cv_vector_fini(&search.leftovers);
	cv_cni_sides_close(&sides);
	return code;
}

static json_t *collect_request(const struct cv_cni_config *config)
{
	json_t *valid = json_array();

	for (size_t i = 0; i < json_array_size(config->valid); i++) {
		json_t *item = json_array_get(config->valid, i);

		json_array_append_new(valid,
				      json_pack("{s:O, s:O}", "container",
						json_object_get(item, "containerID"), "interface",
						json_object_get(item, "ifname")));
	}
	return json_pack("{s:s, s:o}", "network", config->network, "valid", valid);
}

static int collect_in_agent(struct cv_cni_call *call, struct cv_cni_failure *failure)
{
	struct cv_cni_agent agent;
	json_t *result = NULL;
	int code;

	cv_cni_agent_init(&agent, call->config->run_dir, 0);
	code = cv_cni_agent_ask(&agent, "cni.gc", collect_request(call->config), &result, failure);
	cv_cni_agent_fini(&agent);
	json_decref(result);
	return code;
}

/*
 * The specification wants as much removed as can be, and what could not be told at the end. Without
 * a list of the valid ones nothing is removed: an absent list is a mistake, not an empty one.
 */
int cv_cni_collect(struct cv_cni_call *call, json_t **ret_result)
{
	struct cv_cni_failure first;
	json_t *nothing = NULL;
	int code, rc;

	(void)ret_result;
	if (call->config->version < CV_CNI_1_1_0)
		return cv_cni_fail(&call->failure, CV_CNI_INCOMPATIBLE,
				   "the configuration is of CNI %s, which has no GC",
				   cv_cni_version_name(call->config->version));
	if (!call->config->valid)
		return cv_cni_fail(&call->failure, CV_CNI_CONFIG,
				   "cni.dev/valid-attachments is missing");
	code = collect_in_agent(call, &first);
	rc = remove_leftovers(call, code != 0);
	if (rc && !code) {
		code = rc;
		first = call->failure;
	}
	if (call->config->ipam) {
		const struct cv_cni_delegate delegate = cv_cni_call_delegate(call);

		rc = cv_cni_delegate_run(&delegate, "GC", &nothing, &call->failure);
		json_decref(nothing);
		if (rc && !code) {
			code = rc;
			first = call->failure;
		}
	}
	if (code)
		call->failure = first;
	return code;
}
