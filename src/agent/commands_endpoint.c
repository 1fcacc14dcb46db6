/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about endpoints, carried out; protocol.md has the form of the results. */
#include "agent/commands_endpoint.h"

#include <string.h>

#include "agent/log.h"
#include "model/endpoint.h"

/* Packets from endpoint to endpoint of this node. */
static json_t *local_packets(const struct cv_commands *commands)
{
	struct cv_fastpath_share share = {.local_packets = 0};
	struct cv_counters counters = {.rx_packets = 0};

	if (!commands->fastpath || cv_fastpath_counters(commands->fastpath, 0, &counters, &share))
		return json_integer(0);
	return json_integer((json_int_t)share.local_packets);
}

static json_t *status_to_json(const struct cv_endpoint_status *status)
{
	return json_pack("{s:o, s:i, s:b, s:b, s:s?}", "config",
			 cv_endpoint_config_to_json(status->config), "ifindex", status->ifindex,
			 "wanted", (int)status->wanted, "in_force", (int)status->in_force, "reason",
			 status->reason[0] ? status->reason : NULL);
}

json_t *cv_commands_endpoint_show(const struct cv_commands *commands,
				  const struct cv_request *request)
{
	struct cv_endpoint_patch filter = request->endpoint.patch;
	const struct cv_endpoint_config *config;
	json_t *endpoints = json_array(), *result;

	/* By any name that the device has. */
	if (filter.given & CV_ENDPOINT_DEV) {
		config = cv_endpoint_set_find(commands->endpoints, filter.config.dev);
		if (config)
			memcpy(filter.config.dev, config->dev, sizeof(filter.config.dev));
	}
	for (size_t i = 0; i < cv_endpoint_set_count(commands->endpoints); i++) {
		struct cv_endpoint_status status;

		config = cv_endpoint_set_config(commands->endpoints, i);
		if (!cv_endpoint_config_matches(config, &filter))
			continue;
		cv_endpoint_set_status(commands->endpoints, i, &status);
		json_array_append_new(endpoints, status_to_json(&status));
	}
	result = json_pack("{s:o}", "endpoints", endpoints);
	if (request->counters)
		json_object_set_new(result, "local_packets", local_packets(commands));
	return result;
}

static void log_change(const struct cv_commands *commands, const struct cv_endpoint_change *change,
		       const struct cv_peer *peer)
{
	static const char *const done[] = {
		[CV_ENDPOINT_ADD] = "added",
		[CV_ENDPOINT_CHANGE] = "changed",
		[CV_ENDPOINT_REPLACE] = "replaced",
		[CV_ENDPOINT_DELETE] = "deleted",
	};
	const char *dev = change->patch.config.dev;
	const struct cv_endpoint_config *config = cv_endpoint_set_find(commands->endpoints, dev);
	char words[CV_ENDPOINT_TEXT_MAX];

	if (change->verb == CV_ENDPOINT_DELETE || !config) {
		cv_log(LOG_INFO, "%s: endpoint %s, as process %d asked", dev, done[change->verb],
		       (int)peer->pid);
		return;
	}
	cv_endpoint_print_words(config, words);
	cv_log(LOG_INFO, "%s: endpoint %s, as process %d asked: %s", dev, done[change->verb],
	       (int)peer->pid, words);
}

int cv_commands_endpoint_change(const struct cv_commands *commands,
				const struct cv_request *request, const struct cv_peer *peer,
				json_t **ret_result, struct cv_error *error)
{
	int rc = cv_endpoint_set_apply(commands->endpoints, &request->endpoint, error);

	if (rc)
		return rc;
	log_change(commands, &request->endpoint, peer);
	*ret_result = json_object();
	return 0;
}

int cv_commands_endpoint_default(const struct cv_commands *commands,
				 const struct cv_request *request, const struct cv_peer *peer,
				 json_t **ret_result, struct cv_error *error)
{
	int rc;

	if (request->has_bypass) {
		rc = cv_endpoint_set_default(commands->endpoints, request->bypass, error);
		if (rc)
			return rc;
		cv_log(LOG_INFO, "bypass of endpoints is %s by default, as process %d asked",
		       request->bypass ? "on" : "off", (int)peer->pid);
	}
	*ret_result = json_pack("{s:s}", "bypass",
				cv_endpoint_set_default_bypass(commands->endpoints) ? "on" : "off");
	return 0;
}
