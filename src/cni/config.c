/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SPEC.md, "Section 1", "Plugin configuration objects". Members of other people are passed over:
 * runtimes add their own.
 */
#include "cni/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/control.h"
#include "cni/request.h"

enum {
	MTU_MIN = 68, /* RFC 791 */
	MTU_MAX = 65535,
};

/* ---- input ------------------------------------------------------------------------- */

int cv_cni_config_input(int fd, char **ret_text, size_t *ret_length, struct cv_cni_failure *failure)
{
	size_t length = 0, size = 1 << 14;
	char *text = malloc(size), *larger;

	while (text) {
		ssize_t n = read(fd, text + length, size - length - 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(text);
			return cv_cni_fail(failure, CV_CNI_IO, "cannot read standard input: %s",
					   strerror(errno));
		}
		if (!n)
			break;
		length += (size_t)n;
		if (length < size - 1)
			continue;
		if (size >= CV_CNI_INPUT_MAX) {
			free(text);
			return cv_cni_fail(failure, CV_CNI_CONFIG,
					   "the configuration is longer than %d bytes",
					   CV_CNI_INPUT_MAX);
		}
		size *= 2;
		larger = realloc(text, size);
		if (!larger)
			free(text);
		text = larger;
	}
	if (!text)
		return cv_cni_fail(failure, CV_CNI_IO, "out of memory");
	text[length] = '\0';
	*ret_text = text;
	*ret_length = length;
	return 0;
}

char *cv_cni_config_version(const char *text, size_t length)
{
	json_t *root = json_loadb(text, length, 0, NULL);
	const char *version = json_string_value(json_object_get(root, "cniVersion"));
	char *copy = version ? strdup(version) : NULL;

	json_decref(root);
	return copy;
}

/* ---- members ----------------------------------------------------------------------- */

static int refuse(struct cv_cni_failure *failure, const char *member, const char *expected)
{
	return cv_cni_fail(failure, CV_CNI_CONFIG, "%s is no %s", member, expected);
}

/* Leaves *text as it is if there is no such member. */
static int get_text(const json_t *object, const char *member, const char **text,
		    struct cv_cni_failure *failure)
{
	const json_t *value = json_object_get(object, member);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value) || !*json_string_value(value))
		return refuse(failure, member, "text");
	*text = json_string_value(value);
	return 0;
}

static int get_flag(const json_t *object, const char *member, bool *flag,
		    struct cv_cni_failure *failure)
{
	const json_t *value = json_object_get(object, member);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_boolean(value))
		return refuse(failure, member, "true or false");
	*flag = json_is_true(value);
	return 0;
}

/* *ret_value: NULL if there is none. */
static int get_object(const json_t *object, const char *member, json_t **ret_value,
		      struct cv_cni_failure *failure)
{
	json_t *value = json_object_get(object, member);

	*ret_value = NULL;
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_object(value))
		return refuse(failure, member, "object");
	*ret_value = value;
	return 0;
}

/* ---- parts ------------------------------------------------------------------------- */

static int parse_version(struct cv_cni_config *config, struct cv_cni_failure *failure)
{
	/* What has none is of 0.1.0. */
	const char *text = "0.1.0";
	int code = get_text(config->root, "cniVersion", &text, failure);

	if (code)
		return code;
	if (cv_cni_version_parse(text, &config->version))
		return 0;
	cv_cni_fail(failure, CV_CNI_INCOMPATIBLE, "incompatible CNI versions");
	return cv_cni_details(failure,
			      "the configuration is of \"%.32s\", culvert-cni supports [\"%s\" "
			      "\"%s\" \"%s\" \"%s\" \"%s\"]",
			      text, cv_cni_version_name(CV_CNI_0_3_0),
			      cv_cni_version_name(CV_CNI_0_3_1), cv_cni_version_name(CV_CNI_0_4_0),
			      cv_cni_version_name(CV_CNI_1_0_0), cv_cni_version_name(CV_CNI_1_1_0));
}

static int parse_network(struct cv_cni_config *config, struct cv_cni_failure *failure)
{
	int code = get_text(config->root, "name", &config->network, failure);

	if (code)
		return code;
	if (!config->network)
		return cv_cni_fail(failure, CV_CNI_CONFIG, "missing network name");
	if (cv_attachment_name_is_valid(config->network))
		return 0;
	cv_cni_fail(failure, CV_CNI_CONFIG, "invalid characters in network name");
	return cv_cni_details(failure,
			      "name \"%.128s\" must begin with a letter or digit, and have "
			      "letters, digits, '_', '.' and '-' alone",
			      config->network);
}

static int parse_mode(struct cv_cni_config *config, struct cv_cni_failure *failure)
{
	const char *mode = "routed", *bridge = NULL;
	int code = get_text(config->root, "mode", &mode, failure);

	if (!code)
		code = get_text(config->root, "bridge", &bridge, failure);
	if (code)
		return code;
	if (bridge && !cv_attachment_interface_is_valid(bridge))
		return refuse(failure, "bridge", "name of a device");
	if (!strcmp(mode, "bridge"))
		config->bridge = bridge ? bridge : "cbr0";
	else if (strcmp(mode, "routed"))
		return cv_cni_fail(failure, CV_CNI_CONFIG,
				   "mode \"%.32s\" is neither \"routed\" nor \"bridge\"", mode);
	else if (bridge)
		return cv_cni_fail(failure, CV_CNI_CONFIG,
				   "\"bridge\" is for \"mode\": \"bridge\"; leave it out");
	return 0;
}

static int parse_mtu(struct cv_cni_config *config, struct cv_cni_failure *failure)
{
	const json_t *value = json_object_get(config->root, "mtu");
	json_int_t mtu = json_integer_value(value);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_integer(value) || (mtu && (mtu < MTU_MIN || mtu > MTU_MAX)))
		return refuse(failure, "mtu", "number from 68 to 65535, nor 0 (as culvertd says)");
	config->mtu = (uint32_t)mtu;
	return 0;
}

static int parse_bypass(struct cv_cni_config *config, struct cv_cni_failure *failure)
{
	const json_t *value = json_object_get(config->root, "bypass");

	config->bypass = "default";
	if (!value || json_is_null(value))
		return 0;
	if (json_is_boolean(value)) {
		config->bypass = json_is_true(value) ? "on" : "off";
		return 0;
	}
	if (!json_is_string(value) ||
	    (strcmp(json_string_value(value), "on") && strcmp(json_string_value(value), "off") &&
	     strcmp(json_string_value(value), "default")))
		return refuse(failure, "bypass", "\"on\", \"off\" or \"default\"");
	config->bypass = json_string_value(value);
	return 0;
}

static int parse_pools(struct cv_cni_config *config, const json_t *ipam,
		       struct cv_cni_failure *failure)
{
	const json_t *pools = json_object_get(ipam, "pools");
	const json_t *calicos = json_object_get(ipam, "ipv4_pools");

	if (pools && calicos)
		return cv_cni_fail(failure, CV_CNI_CONFIG,
				   "ipam has pools and ipv4_pools; leave one of them out");
	if (!pools)
		pools = calicos;
	if (!pools || json_is_null(pools))
		return 0;
	if (!json_is_array(pools) || json_array_size(pools) > CV_CNI_POOLS)
		return refuse(failure, "ipam.pools", "list of at most 16 names or CIDRs of pools");
	for (size_t i = 0; i < json_array_size(pools); i++) {
		const char *pool = json_string_value(json_array_get(pools, i));

		if (!pool || !*pool)
			return refuse(failure, "ipam.pools",
				      "list of at most 16 names or CIDRs of pools");
		config->pools[config->pool_count++] = pool;
	}
	return 0;
}

static int parse_routes(struct cv_cni_config *config, const json_t *ipam,
			struct cv_cni_failure *failure)
{
	const json_t *routes = json_object_get(ipam, "routes");

	if (!routes || json_is_null(routes))
		return 0;
	if (!json_is_array(routes) || json_array_size(routes) > CV_CNI_ROUTES)
		return refuse(failure, "ipam.routes", "list of at most 64 routes");
	for (size_t i = 0; i < json_array_size(routes); i++) {
		int code = cv_cni_route_parse(json_array_get(routes, i), "ipam.routes",
					      CV_CNI_CONFIG, &config->routes[i], failure);

		if (code)
			return code;
	}
	config->route_count = json_array_size(routes);
	return 0;
}

/*
 * What is called "dhcp" wants the interface before the address, and a lease that somebody keeps
 * alive; a tunnel has no broadcasts to ask by.
 */
static int check_delegate(const char *type, struct cv_cni_failure *failure)
{
	if (strchr(type, '/') || !strcmp(type, ".") || !strcmp(type, ".."))
		return cv_cni_fail(failure, CV_CNI_CONFIG,
				   "ipam.type \"%.64s\" is no name of a plugin", type);
	if (!strcmp(type, "dhcp"))
		return cv_cni_fail(failure, CV_CNI_CONFIG,
				   "ipam.type \"dhcp\" does not work with culvert-cni: nobody "
				   "answers DHCP behind a tunnel; use \"culvert-cni\", "
				   "\"host-local\" or \"static\"");
	return 0;
}

static int parse_ipam(struct cv_cni_config *config, struct cv_cni_failure *failure)
{
	const char *type = CV_CNI_TYPE, *plugin = CV_CNI_TYPE;
	json_t *ipam;
	int code = get_object(config->root, "ipam", &ipam, failure);

	if (!code)
		code = get_text(ipam, "type", &type, failure);
	if (!code)
		code = get_text(config->root, "type", &plugin, failure);
	if (code)
		return code;
	if (strcmp(type, CV_CNI_TYPE)) {
		config->ipam = type;
		return check_delegate(type, failure);
	}
	if (ipam && strcmp(plugin, CV_CNI_TYPE))
		return cv_cni_fail(
			failure, CV_CNI_CONFIG,
			"culvert-cni gives addresses to its own interfaces alone, not to "
			"those of \"%.64s\"; give \"type\": \"culvert-cni\", or another "
			"ipam.type",
			plugin);
	return 0;
}

/* What is in ipam is the delegated plugin's, if there is one. */
static int parse_own(struct cv_cni_config *config, struct cv_cni_failure *failure)
{
	const json_t *ipam = json_object_get(config->root, "ipam");
	int code;

	if (config->ipam)
		return 0;
	code = parse_pools(config, ipam, failure);
	return code ? code : parse_routes(config, ipam, failure);
}

static int parse_previous(struct cv_cni_config *config, struct cv_cni_failure *failure)
{
	return get_object(config->root, "prevResult", &config->previous, failure);
}

static int parse_dns(struct cv_cni_config *config, struct cv_cni_failure *failure)
{
	return get_object(config->root, "dns", &config->dns, failure);
}

static int parse_log(struct cv_cni_config *config, struct cv_cni_failure *failure)
{
	int code = get_text(config->root, "log", &config->log, failure);

	if (code || !config->log || *config->log == '/')
		return code;
	/* Not even this refusal is written there. */
	config->log = NULL;
	return refuse(failure, "log", "absolute path");
}

static int parse_run_dir(struct cv_cni_config *config, struct cv_cni_failure *failure)
{
	int code;

	config->run_dir = CV_CONTROL_RUN_DIR;
	code = get_text(config->root, "runDir", &config->run_dir, failure);
	if (!code && *config->run_dir != '/')
		return refuse(failure, "runDir", "absolute path");
	return code;
}

static int parse_flags(struct cv_cni_config *config, struct cv_cni_failure *failure)
{
	int code = get_flag(config->root, "hairpinMode", &config->hairpin, failure);

	config->is_gateway = true;
	if (!code)
		code = get_flag(config->root, "isGateway", &config->is_gateway, failure);
	return code ? code : get_flag(config->root, "clsact", &config->has_clsact, failure);
}

static int parse_valid(struct cv_cni_config *config, struct cv_cni_failure *failure)
{
	/* The first releases of the specification had the second name. */
	json_t *valid = json_object_get(config->root, "cni.dev/valid-attachments");

	if (!valid)
		valid = json_object_get(config->root, "cni.dev/attachments");
	if (!valid || json_is_null(valid))
		return 0;
	if (!json_is_array(valid))
		return refuse(failure, "cni.dev/valid-attachments", "list");
	for (size_t i = 0; i < json_array_size(valid); i++) {
		const json_t *item = json_array_get(valid, i);

		/* A wrong one must not be passed over: who is not named is removed. */
		if (!json_is_string(json_object_get(item, "containerID")) ||
		    !json_is_string(json_object_get(item, "ifname")))
			return refuse(failure, "cni.dev/valid-attachments",
				      "list of {\"containerID\": \"...\", \"ifname\": \"...\"}");
	}
	config->valid = valid;
	return 0;
}

int cv_cni_config_parse(const char *text, size_t length,
			const struct cv_cni_environment *environment,
			struct cv_cni_config *ret_config, struct cv_cni_failure *failure)
{
	/* What an ADD needs must not keep a DEL from removing. */
	static const struct {
		int (*parse)(struct cv_cni_config *config, struct cv_cni_failure *failure);
		bool is_for_delete;
	} parts[] = {
		{parse_version, true}, {parse_network, true}, {parse_run_dir, true},
		{parse_ipam, true},    {parse_valid, true},   {parse_log, false},
		{parse_mode, false},   {parse_mtu, false},    {parse_bypass, false},
		{parse_flags, false},  {parse_own, false},    {parse_previous, false},
		{parse_dns, false},
	};
	const bool is_delete = environment->command == CV_CNI_DEL;
	struct cv_cni_config *config = ret_config;
	json_error_t why;

	*config = (struct cv_cni_config){.version = CV_CNI_NEWEST};
	config->root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(config->root))
		return cv_cni_fail(failure, CV_CNI_DECODING,
				   "the configuration is no JSON object: line %d: %s",
				   config->root ? 1 : why.line,
				   config->root ? "something else" : why.text);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int code = parts[i].parse(config, failure);

		if (code && (parts[i].is_for_delete || !is_delete))
			return code;
	}
	return is_delete ? 0 : cv_cni_request_parse(config, environment, failure);
}

void cv_cni_config_fini(struct cv_cni_config *config)
{
	json_decref(config->root);
	config->root = NULL;
}
