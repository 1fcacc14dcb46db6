/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An endpoint's configuration. Invariant: what cv_endpoint_config_to_json writes,
 * cv_endpoint_patch_from_json reads to the same configuration.
 */
#include "tunnel/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "tunnel/config.h"

/* ---- values -------------------------------------------------------------------- */

bool cv_endpoint_has_address(const struct cv_endpoint_config *config, __be32 address)
{
	for (unsigned int i = 0; i < config->count; i++) {
		if (config->addresses[i] == address)
			return true;
	}
	return false;
}

int cv_endpoint_add_address(struct cv_endpoint_config *config, const char *text,
			    struct cv_error *error)
{
	struct in_addr in;
	const char *kind;
	__be32 address;

	if (inet_pton(AF_INET, text, &in) != 1)
		return cv_error_set(
			error, -EINVAL,
			strchr(text, '/')   ? "ip: \"%.64s\" is a prefix; give single addresses, "
					      "like 10.244.1.2"
			: strchr(text, ':') ? "ip: \"%.64s\" is not an IPv4 address; Culvert "
					      "carries IPv4 in IPv4 only"
					    : "ip: \"%.64s\" is not an IPv4 address; write it like "
					      "10.244.1.2",
			text);
	address = (CV_FORCE __be32)in.s_addr;
	kind = cv_tunnel_no_host(address);
	if (kind)
		return cv_error_set(error, -EINVAL,
				    "ip %s is %s; give an address of the pod or machine behind the "
				    "device",
				    text, kind);
	if (cv_endpoint_has_address(config, address))
		return cv_error_set(error, -EINVAL, "ip %s is given twice; give it once", text);
	if (config->count == CV_ENDPOINT_ADDRESSES_MAX)
		return cv_error_set(error, -E2BIG,
				    "ip %s is one too many; an endpoint has at most %d addresses",
				    text, CV_ENDPOINT_ADDRESSES_MAX);
	config->addresses[config->count++] = address;
	return 0;
}

static const char *const bypass_names[] = {
	[CV_ENDPOINT_BYPASS_DEFAULT] = "default",
	[CV_ENDPOINT_BYPASS_ON] = "on",
	[CV_ENDPOINT_BYPASS_OFF] = "off",
};

enum {
	BYPASS_NAMES = sizeof(bypass_names) / sizeof(bypass_names[0])
};

const char *cv_endpoint_bypass_name(enum cv_endpoint_bypass bypass)
{
	return bypass_names[bypass];
}

int cv_endpoint_parse_bypass(const char *text, enum cv_endpoint_bypass *ret_bypass,
			     struct cv_error *error)
{
	for (size_t i = 0; i < BYPASS_NAMES; i++) {
		if (strcmp(bypass_names[i], text) != 0)
			continue;
		*ret_bypass = (enum cv_endpoint_bypass)i;
		return 0;
	}
	return cv_error_set(error, -EINVAL,
			    "bypass: \"%.64s\" is no choice; give on, off or default", text);
}

int cv_endpoint_parse_default(const char *text, bool *ret_bypass, struct cv_error *error)
{
	enum cv_endpoint_bypass bypass = CV_ENDPOINT_BYPASS_DEFAULT;

	if (cv_endpoint_parse_bypass(text, &bypass, NULL) || bypass == CV_ENDPOINT_BYPASS_DEFAULT)
		return cv_error_set(
			error, -EINVAL,
			"bypass: \"%.64s\" is no choice for the default; give on or off", text);
	*ret_bypass = bypass == CV_ENDPOINT_BYPASS_ON;
	return 0;
}

int cv_endpoint_config_check(const struct cv_endpoint_config *config, struct cv_error *error)
{
	int rc = cv_tunnel_check_name(config->dev, "dev", error);

	if (rc)
		return rc;
	if (!config->count)
		return cv_error_set(error, -EINVAL,
				    "%s: an endpoint without an address; give one, as in %s ip "
				    "10.244.1.2",
				    config->dev, config->dev);
	return 0;
}

/* ---- JSON ---------------------------------------------------------------------- */

static json_t *dev_to_json(const struct cv_endpoint_config *config)
{
	return json_string(config->dev);
}

static int dev_from_json(const json_t *json, struct cv_endpoint_config *config,
			 struct cv_error *error)
{
	return cv_tunnel_name_from_json(json, "dev", config->dev, error);
}

static json_t *addresses_to_json(const struct cv_endpoint_config *config)
{
	json_t *list = json_array();
	char text[INET_ADDRSTRLEN];

	for (unsigned int i = 0; i < config->count; i++) {
		cv_tunnel_format_address(config->addresses[i], text);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static int addresses_from_json(const json_t *json, struct cv_endpoint_config *config,
			       struct cv_error *error)
{
	size_t i;
	json_t *item;

	if (!json_is_array(json) || !json_array_size(json))
		return cv_error_set(error, -EINVAL,
				    "field \"addresses\": expected a list of addresses");
	config->count = 0;
	json_array_foreach(json, i, item)
	{
		const char *text = json_string_value(item);
		int rc;

		if (!text)
			return cv_error_set(error, -EINVAL,
					    "field \"addresses\": expected a list of addresses");
		rc = cv_endpoint_add_address(config, text, error);
		if (rc)
			return rc;
	}
	return 0;
}

static json_t *bypass_to_json(const struct cv_endpoint_config *config)
{
	return json_string(cv_endpoint_bypass_name(config->bypass));
}

static int bypass_from_json(const json_t *json, struct cv_endpoint_config *config,
			    struct cv_error *error)
{
	const char *text = json_string_value(json);

	if (!text)
		return cv_error_set(error, -EINVAL,
				    "field \"bypass\": expected \"on\", \"off\" or \"default\"");
	return cv_endpoint_parse_bypass(text, &config->bypass, error);
}

static const struct field {
	const char *name;
	enum cv_endpoint_field bit;
	json_t *(*to_json)(const struct cv_endpoint_config *config);
	int (*from_json)(const json_t *json, struct cv_endpoint_config *config,
			 struct cv_error *error);
} fields[] = {
	{"dev", CV_ENDPOINT_DEV, dev_to_json, dev_from_json},
	{"addresses", CV_ENDPOINT_ADDRESSES, addresses_to_json, addresses_from_json},
	{"bypass", CV_ENDPOINT_BYPASS, bypass_to_json, bypass_from_json},
};

enum {
	FIELDS = sizeof(fields) / sizeof(fields[0])
};

json_t *cv_endpoint_patch_to_json(const struct cv_endpoint_patch *patch)
{
	json_t *json = json_object();
	int failed = 0;

	for (size_t i = 0; i < FIELDS; i++) {
		if (patch->given & fields[i].bit)
			failed |= json_object_set_new(json, fields[i].name,
						      fields[i].to_json(&patch->config));
	}
	if (!failed)
		return json;
	json_decref(json);
	return NULL;
}

json_t *cv_endpoint_config_to_json(const struct cv_endpoint_config *config)
{
	struct cv_endpoint_patch patch = {.config = *config, .given = UINT32_MAX};

	return cv_endpoint_patch_to_json(&patch);
}

int cv_endpoint_patch_from_json(const json_t *json, struct cv_endpoint_patch *ret_patch,
				struct cv_error *error)
{
	struct cv_endpoint_patch patch = {.given = 0};
	size_t known = 0;

	if (!json_is_object(json))
		return cv_error_set(error, -EINVAL, "an endpoint must be a JSON object");
	for (size_t i = 0; i < FIELDS; i++) {
		const json_t *value = json_object_get(json, fields[i].name);
		int rc;

		if (!value)
			continue;
		rc = fields[i].from_json(value, &patch.config, error);
		if (rc)
			return rc;
		patch.given |= fields[i].bit;
		known++;
	}
	if (json_object_size(json) != known)
		return cv_error_set(error, -EINVAL,
				    "unknown field of an endpoint; there are dev, addresses and "
				    "bypass");
	*ret_patch = patch;
	return 0;
}

/* ---- patches ------------------------------------------------------------------- */

void cv_endpoint_config_apply(struct cv_endpoint_config *config,
			      const struct cv_endpoint_patch *patch)
{
	const struct cv_endpoint_config *from = &patch->config;

	if (patch->given & CV_ENDPOINT_DEV)
		memcpy(config->dev, from->dev, sizeof(config->dev));
	if (patch->given & CV_ENDPOINT_ADDRESSES) {
		config->count = from->count;
		memcpy(config->addresses, from->addresses, sizeof(config->addresses));
	}
	if (patch->given & CV_ENDPOINT_BYPASS)
		config->bypass = from->bypass;
}

bool cv_endpoint_config_matches(const struct cv_endpoint_config *config,
				const struct cv_endpoint_patch *patch)
{
	if ((patch->given & CV_ENDPOINT_DEV) && strcmp(config->dev, patch->config.dev) != 0)
		return false;
	if ((patch->given & CV_ENDPOINT_BYPASS) && config->bypass != patch->config.bypass)
		return false;
	if (!(patch->given & CV_ENDPOINT_ADDRESSES))
		return true;
	for (unsigned int i = 0; i < patch->config.count; i++) {
		if (!cv_endpoint_has_address(config, patch->config.addresses[i]))
			return false;
	}
	return true;
}
