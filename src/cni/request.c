/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONVENTIONS.md of CNI: runtimeConfig has what a capability is given, args.cni what a runtime
 * passes on, CNI_ARGS is the oldest. podman asks by two ways at once: addresses add up, each
 * counted once; of MACs the first of this order counts.
 */
#include "cni/request.h"

#include <errno.h>
#include <string.h>

/* "10.244.1.7", or with the length of its network, which is not ours to believe. */
static int add_address(struct cv_cni_config *config, const char *text, const char *where, int code,
		       struct cv_cni_failure *failure)
{
	struct cv_prefix prefix;
	int rc = cv_prefix_parse(text, &prefix);

	if (rc == -EINVAL)
		return cv_cni_fail(failure, code, "%s: \"%.64s\" is no IPv4 address", where, text);
	for (size_t i = 0; i < config->address_count; i++) {
		if (config->addresses[i] == prefix.address)
			return 0;
	}
	if (config->address_count == CV_CNI_IPS)
		return cv_cni_fail(failure, code, "%s: more than %d addresses for one interface",
				   where, CV_CNI_IPS);
	config->addresses[config->address_count++] = prefix.address;
	return 0;
}

static int add_addresses(struct cv_cni_config *config, const json_t *list, const char *where,
			 struct cv_cni_failure *failure)
{
	if (!list || json_is_null(list))
		return 0;
	if (!json_is_array(list))
		return cv_cni_fail(failure, CV_CNI_CONFIG, "%s is no list", where);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		int code;

		if (!text)
			return cv_cni_fail(failure, CV_CNI_CONFIG, "%s has what is no text", where);
		code = add_address(config, text, where, CV_CNI_CONFIG, failure);
		if (code)
			return code;
	}
	return 0;
}

static int take_mac(struct cv_cni_config *config, const char *text, const char *where, int code,
		    struct cv_cni_failure *failure)
{
	if (!text || !*text || config->has_mac)
		return 0;
	if (!cv_attachment_mac_parse(text, config->mac))
		return cv_cni_fail(failure, code, "%s: \"%.32s\" is no MAC of one interface", where,
				   text);
	config->has_mac = true;
	return 0;
}

/* Debian's `bandwidth` does nothing where all is 0. */
static bool has_rates(const json_t *bandwidth)
{
	return json_integer_value(json_object_get(bandwidth, "ingressRate")) > 0 ||
	       json_integer_value(json_object_get(bandwidth, "egressRate")) > 0;
}

static int parse_mac(struct cv_cni_config *config, const json_t *json, const char *where,
		     struct cv_cni_failure *failure)
{
	if (!json || json_is_null(json))
		return 0;
	if (!json_is_string(json))
		return cv_cni_fail(failure, CV_CNI_CONFIG, "%s is no text", where);
	return take_mac(config, json_string_value(json), where, CV_CNI_CONFIG, failure);
}

int cv_cni_request_parse(struct cv_cni_config *config, const struct cv_cni_environment *environment,
			 struct cv_cni_failure *failure)
{
	const struct cv_cni_arguments *arguments = &environment->arguments;
	const json_t *runtime = json_object_get(config->root, "runtimeConfig");
	const json_t *cni = json_object_get(json_object_get(config->root, "args"), "cni");
	int code = add_addresses(config, json_object_get(runtime, "ips"), "runtimeConfig.ips",
				 failure);

	if (!code)
		code = add_addresses(config, json_object_get(cni, "ips"), "args.cni.ips", failure);
	if (!code && arguments->ip)
		code = add_address(config, arguments->ip, "CNI_ARGS: IP", CV_CNI_ENVIRONMENT,
				   failure);
	if (!code)
		code = parse_mac(config, json_object_get(runtime, "mac"), "runtimeConfig.mac",
				 failure);
	if (!code)
		code = parse_mac(config, json_object_get(cni, "mac"), "args.cni.mac", failure);
	if (!code)
		code = take_mac(config, arguments->mac, "CNI_ARGS: MAC", CV_CNI_ENVIRONMENT,
				failure);
	config->has_bandwidth = has_rates(json_object_get(runtime, "bandwidth"));
	return code;
}
