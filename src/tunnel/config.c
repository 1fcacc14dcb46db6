/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tunnel's configuration: one table of fields, from which JSON is read and written, and
 * the rules that hold between fields (RFC 2003; iproute2 and the kernel's ipip for the
 * rest).
 *
 * Invariant: what cv_tunnel_config_to_json writes, cv_tunnel_patch_from_json reads
 * to the same configuration.
 */
#include "tunnel/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tunnel/mtu.h"

void cv_tunnel_config_init(struct cv_tunnel_config *config)
{
	*config = (struct cv_tunnel_config){
		.ipip = {.pmtudisc = true, .ecn_mode = CV_ECN_NORMAL},
		.strict = true,
		.mssclamp = CV_TCP_MSS_AUTO,
	};
}

/* ---- rules --------------------------------------------------------------------- */

int cv_tunnel_check_name(const char *name, const char *what, struct cv_error *error)
{
	if (!*name)
		return cv_error_set(error, -EINVAL, "%s: empty; give a device's name", what);
	if (strlen(name) >= IFNAMSIZ)
		return cv_error_set(error, -EINVAL,
				    "%s \"%.64s\" is too long; a device's name has at most %d "
				    "characters",
				    what, name, IFNAMSIZ - 1);
	/* sysfs and sysctl have no room for these. */
	if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "all") ||
	    !strcmp(name, "default"))
		return cv_error_set(error, -EINVAL,
				    "%s \"%s\" is reserved by the kernel; choose another", what,
				    name);
	if (*name == '-' || *name == '#')
		return cv_error_set(error, -EINVAL,
				    "%s \"%s\" would be read as an option or a comment; choose "
				    "another",
				    what, name);
	for (const char *p = name; *p; p++) {
		if (!isgraph((unsigned char)*p) || strchr("/:%", *p))
			return cv_error_set(error, -EINVAL,
					    "%s \"%s\" has a character that a device's name cannot "
					    "have; use letters, digits, '-', '_' and '.'",
					    what, name);
	}
	return 0;
}

const char *cv_tunnel_no_host(__be32 address)
{
	if (cv_ipv4_is_multicast(address))
		return "a multicast address";
	if (cv_ipv4_is_limited_broadcast(address))
		return "the broadcast address";
	if (cv_ipv4_is_loopback(address))
		return "a loopback address";
	if (cv_ipv4_is_martian_source(address))
		return "a reserved address";
	return NULL;
}

/* An end of a tunnel must be one host's address. */
static int check_end(__be32 address, const char *what, struct cv_error *error)
{
	const char *kind = address ? cv_tunnel_no_host(address) : NULL;
	char text[INET_ADDRSTRLEN];

	if (!kind)
		return 0;
	return cv_error_set(error, -EINVAL, "%s %s is %s; give the address of one host, or any",
			    what, cv_tunnel_format_address(address, text), kind);
}

int cv_tunnel_config_check(const struct cv_tunnel_config *config, struct cv_error *error)
{
	char text[INET_ADDRSTRLEN];
	int rc = cv_tunnel_check_name(config->name, "name", error);

	if (!rc && config->dev[0])
		rc = cv_tunnel_check_name(config->dev, "dev", error);
	if (!rc)
		rc = check_end(config->remote, "remote", error);
	if (!rc)
		rc = check_end(config->local, "local", error);
	if (rc)
		return rc;
	if (config->dev[0] && !strcmp(config->dev, config->name))
		return cv_error_set(error, -EINVAL,
				    "dev %s is the tunnel itself; give the underlay's device",
				    config->dev);
	if (config->remote && config->remote == config->local)
		return cv_error_set(error, -EINVAL,
				    "remote and local are both %s; give the other host's address "
				    "as remote",
				    cv_tunnel_format_address(config->remote, text));
	if (config->mtu && (config->mtu < CV_TUNNEL_MTU_MIN || config->mtu > CV_TUNNEL_MTU_MAX))
		return cv_error_set(error, -EINVAL, "mtu %u: a tunnel's can be from %d to %d",
				    config->mtu, CV_TUNNEL_MTU_MIN, CV_TUNNEL_MTU_MAX);
	if (!cv_tcp_mss_valid(config->mssclamp))
		return cv_error_set(error, -EINVAL, "mssclamp %u: a limit can be from %d to %d",
				    config->mssclamp, CV_TCP_MSS_LEAST, CV_TCP_MSS_MOST);
	if (!cv_ipip_params_valid(&config->ipip))
		return cv_error_set(error, -EINVAL,
				    "ttl %u and nopmtudisc are incompatible; use ttl inherit, or "
				    "pmtudisc",
				    config->ipip.ttl);
	return 0;
}

/* ---- single values --------------------------------------------------------------- */

int cv_tunnel_parse_address(const char *text, const char *what, __be32 *ret_address,
			    struct cv_error *error)
{
	struct in_addr address;

	if (!strcmp(text, "any") || !strcmp(text, "all") || !strcmp(text, "default")) {
		*ret_address = 0;
		return 0;
	}
	if (inet_pton(AF_INET, text, &address) == 1) {
		*ret_address = (CV_FORCE __be32)address.s_addr;
		return 0;
	}
	if (strchr(text, ':'))
		return cv_error_set(error, -EINVAL,
				    "%s: \"%.64s\" is not an IPv4 address; Culvert carries IPv4 in "
				    "IPv4 only",
				    what, text);
	return cv_error_set(error, -EINVAL,
			    "%s: \"%.64s\" is not an IPv4 address; write it like 192.0.2.1, or any",
			    what, text);
}

const char *cv_tunnel_format_address(__be32 address, char *buffer)
{
	struct in_addr in = {.s_addr = (CV_FORCE uint32_t)address};

	if (address == 0)
		return memcpy(buffer, "any", sizeof("any"));
	return inet_ntop(AF_INET, &in, buffer, INET_ADDRSTRLEN);
}

const char *cv_tunnel_format_owner(const char *owner, char buffer[CV_TUNNEL_OWNER_TEXT_MAX])
{
	bool is_pools = !strcmp(owner, CV_TUNNEL_OWNER_POOLS);

	snprintf(buffer, CV_TUNNEL_OWNER_TEXT_MAX, "%s%s of the store", is_pools ? "the " : "",
		 owner);
	return buffer;
}

/* ---- JSON ------------------------------------------------------------------------ */

static int expected(struct cv_error *error, const char *field, const char *what)
{
	return cv_error_set(error, -EINVAL, "field \"%s\": expected %s", field, what);
}

int cv_tunnel_name_from_json(const json_t *json, const char *field, char ret_name[IFNAMSIZ],
			     struct cv_error *error)
{
	const char *text = json_string_value(json);
	int rc;

	if (!text || json_string_length(json) != strlen(text))
		return expected(error, field, "a string");
	rc = cv_tunnel_check_name(text, field, error);
	if (rc)
		return rc;
	memset(ret_name, 0, IFNAMSIZ);
	memcpy(ret_name, text, strlen(text) + 1);
	return 0;
}

static int read_address(const json_t *json, const char *field, __be32 *ret_address,
			struct cv_error *error)
{
	const char *text = json_string_value(json);

	if (!text)
		return expected(error, field, "an address or \"any\"");
	return cv_tunnel_parse_address(text, field, ret_address, error);
}

static json_t *address_to_json(__be32 address)
{
	char text[INET_ADDRSTRLEN];

	return json_string(cv_tunnel_format_address(address, text));
}

static int read_bool(const json_t *json, const char *field, bool *ret, struct cv_error *error)
{
	if (!json_is_boolean(json))
		return expected(error, field, "true or false");
	*ret = json_is_true(json);
	return 0;
}

/* "inherit", or a number of 0..255. */
static int read_inherit(const json_t *json, const char *field, bool *ret_inherit, uint8_t *ret,
			struct cv_error *error)
{
	const char *text = json_string_value(json);

	if (text && !strcmp(text, "inherit")) {
		*ret_inherit = true;
		*ret = 0;
		return 0;
	}
	if (!json_is_integer(json) || json_integer_value(json) < 0 ||
	    json_integer_value(json) > UINT8_MAX)
		return expected(error, field, "\"inherit\" or a number from 0 to 255");
	*ret_inherit = false;
	*ret = (uint8_t)json_integer_value(json);
	return 0;
}

static json_t *name_to_json(const struct cv_tunnel_config *config)
{
	return json_string(config->name);
}

static int name_from_json(const json_t *json, struct cv_tunnel_config *config,
			  struct cv_error *error)
{
	return cv_tunnel_name_from_json(json, "name", config->name, error);
}

static json_t *mode_to_json(const struct cv_tunnel_config *config)
{
	(void)config;
	return json_string("ipip");
}

static int mode_from_json(const json_t *json, struct cv_tunnel_config *config,
			  struct cv_error *error)
{
	const char *text = json_string_value(json);

	(void)config;
	if (!text || strcmp(text, "ipip"))
		return expected(error, "mode", "\"ipip\"");
	return 0;
}

static json_t *remote_to_json(const struct cv_tunnel_config *config)
{
	return address_to_json(config->remote);
}

static int remote_from_json(const json_t *json, struct cv_tunnel_config *config,
			    struct cv_error *error)
{
	return read_address(json, "remote", &config->remote, error);
}

static json_t *local_to_json(const struct cv_tunnel_config *config)
{
	return address_to_json(config->local);
}

static int local_from_json(const json_t *json, struct cv_tunnel_config *config,
			   struct cv_error *error)
{
	return read_address(json, "local", &config->local, error);
}

/* null: none. */
static json_t *dev_to_json(const struct cv_tunnel_config *config)
{
	return config->dev[0] ? json_string(config->dev) : json_null();
}

static int dev_from_json(const json_t *json, struct cv_tunnel_config *config,
			 struct cv_error *error)
{
	if (json_is_null(json)) {
		memset(config->dev, 0, sizeof(config->dev));
		return 0;
	}
	return cv_tunnel_name_from_json(json, "dev", config->dev, error);
}

static json_t *ttl_to_json(const struct cv_tunnel_config *config)
{
	return config->ipip.ttl ? json_integer(config->ipip.ttl) : json_string("inherit");
}

static int ttl_from_json(const json_t *json, struct cv_tunnel_config *config,
			 struct cv_error *error)
{
	bool inherit; /* the same as 0 */

	return read_inherit(json, "ttl", &inherit, &config->ipip.ttl, error);
}

static json_t *tos_to_json(const struct cv_tunnel_config *config)
{
	return config->ipip.tos_inherit ? json_string("inherit") : json_integer(config->ipip.tos);
}

static int tos_from_json(const json_t *json, struct cv_tunnel_config *config,
			 struct cv_error *error)
{
	bool inherit;
	uint8_t tos;
	int rc = read_inherit(json, "tos", &inherit, &tos, error);

	if (rc)
		return rc;
	if (tos & CV_ECN_MASK)
		return cv_error_set(error, -EINVAL,
				    "tos 0x%x: its two lowest bits are the ECN field, which is not "
				    "yours to set; use 0x%x, or inherit",
				    tos, tos & ~CV_ECN_MASK);
	config->ipip.tos_inherit = inherit;
	config->ipip.tos = tos;
	return 0;
}

static json_t *pmtudisc_to_json(const struct cv_tunnel_config *config)
{
	return json_boolean(config->ipip.pmtudisc);
}

static int pmtudisc_from_json(const json_t *json, struct cv_tunnel_config *config,
			      struct cv_error *error)
{
	return read_bool(json, "pmtudisc", &config->ipip.pmtudisc, error);
}

static json_t *strict_to_json(const struct cv_tunnel_config *config)
{
	return json_boolean(config->strict);
}

static int strict_from_json(const json_t *json, struct cv_tunnel_config *config,
			    struct cv_error *error)
{
	return read_bool(json, "strict", &config->strict, error);
}

static json_t *ecn_to_json(const struct cv_tunnel_config *config)
{
	return json_string(config->ipip.ecn_mode == CV_ECN_NORMAL ? "normal" : "compat");
}

static int ecn_from_json(const json_t *json, struct cv_tunnel_config *config,
			 struct cv_error *error)
{
	const char *text = json_string_value(json);

	if (text && !strcmp(text, "normal"))
		config->ipip.ecn_mode = CV_ECN_NORMAL;
	else if (text && !strcmp(text, "compat"))
		config->ipip.ecn_mode = CV_ECN_COMPATIBLE;
	else
		return expected(error, "ecn", "\"normal\" or \"compat\"");
	return 0;
}

static json_t *mssclamp_to_json(const struct cv_tunnel_config *config)
{
	if (config->mssclamp == CV_TCP_MSS_AUTO)
		return json_string("auto");
	if (config->mssclamp == CV_TCP_MSS_OFF)
		return json_string("off");
	return json_integer(config->mssclamp);
}

static int mssclamp_from_json(const json_t *json, struct cv_tunnel_config *config,
			      struct cv_error *error)
{
	const char *text = json_string_value(json);
	json_int_t number = json_integer_value(json);

	if (text && !strcmp(text, "auto"))
		config->mssclamp = CV_TCP_MSS_AUTO;
	else if (text && !strcmp(text, "off"))
		config->mssclamp = CV_TCP_MSS_OFF;
	else if (json_is_integer(json) && number >= CV_TCP_MSS_LEAST && number <= CV_TCP_MSS_MOST)
		config->mssclamp = (uint16_t)number;
	else
		return expected(error, "mssclamp",
				"\"auto\", \"off\" or a number from 88 to 65495");
	return 0;
}

struct field {
	const char *name;
	enum cv_tunnel_field bit;
	json_t *(*to_json)(const struct cv_tunnel_config *config);
	int (*from_json)(const json_t *json, struct cv_tunnel_config *config,
			 struct cv_error *error);
};

static const struct field fields[] = {
	{"name", CV_TUNNEL_NAME, name_to_json, name_from_json},
	{"mode", CV_TUNNEL_MODE, mode_to_json, mode_from_json},
	{"remote", CV_TUNNEL_REMOTE, remote_to_json, remote_from_json},
	{"local", CV_TUNNEL_LOCAL, local_to_json, local_from_json},
	{"dev", CV_TUNNEL_DEV, dev_to_json, dev_from_json},
	{"ttl", CV_TUNNEL_TTL, ttl_to_json, ttl_from_json},
	{"tos", CV_TUNNEL_TOS, tos_to_json, tos_from_json},
	{"pmtudisc", CV_TUNNEL_PMTUDISC, pmtudisc_to_json, pmtudisc_from_json},
	{"strict", CV_TUNNEL_STRICT, strict_to_json, strict_from_json},
	{"ecn", CV_TUNNEL_ECN, ecn_to_json, ecn_from_json},
	{"mssclamp", CV_TUNNEL_MSSCLAMP, mssclamp_to_json, mssclamp_from_json},
};

enum {
	FIELDS = sizeof(fields) / sizeof(fields[0])
};

static const struct field *find_field(const char *name)
{
	for (size_t i = 0; i < FIELDS; i++) {
		if (!strcmp(fields[i].name, name))
			return &fields[i];
	}
	return NULL;
}

json_t *cv_tunnel_patch_to_json(const struct cv_tunnel_patch *patch)
{
	json_t *json = json_object();

	for (size_t i = 0; json && i < FIELDS; i++) {
		if (!(patch->given & fields[i].bit))
			continue;
		if (json_object_set_new(json, fields[i].name, fields[i].to_json(&patch->config))) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

json_t *cv_tunnel_config_to_json(const struct cv_tunnel_config *config)
{
	struct cv_tunnel_patch patch = {.config = *config, .given = UINT32_MAX};

	return cv_tunnel_patch_to_json(&patch);
}

int cv_tunnel_patch_from_json(const json_t *json, struct cv_tunnel_patch *ret_patch,
			      struct cv_error *error)
{
	struct cv_tunnel_patch patch = {.given = 0};
	void *it;

	if (!json_is_object(json))
		return cv_error_set(error, -EINVAL, "a tunnel must be a JSON object");
	cv_tunnel_config_init(&patch.config);
	/* jansson's iterators take no const object, and change nothing. */
	for (it = json_object_iter((json_t *)(uintptr_t)json); it;
	     it = json_object_iter_next((json_t *)(uintptr_t)json, it)) {
		const struct field *field = find_field(json_object_iter_key(it));
		int rc;

		if (!field)
			return cv_error_set(error, -EINVAL, "unknown field \"%.64s\" of a tunnel",
					    json_object_iter_key(it));
		rc = field->from_json(json_object_iter_value(it), &patch.config, error);
		if (rc)
			return rc;
		patch.given |= field->bit;
	}
	*ret_patch = patch;
	return 0;
}

/* ---- patches ----------------------------------------------------------------------- */

void cv_tunnel_config_apply(struct cv_tunnel_config *config, const struct cv_tunnel_patch *patch)
{
	const struct cv_tunnel_config *from = &patch->config;

	if (patch->given & CV_TUNNEL_NAME)
		memcpy(config->name, from->name, sizeof(config->name));
	if (patch->given & CV_TUNNEL_REMOTE)
		config->remote = from->remote;
	if (patch->given & CV_TUNNEL_LOCAL)
		config->local = from->local;
	if (patch->given & CV_TUNNEL_DEV)
		memcpy(config->dev, from->dev, sizeof(config->dev));
	if (patch->given & CV_TUNNEL_TTL)
		config->ipip.ttl = from->ipip.ttl;
	if (patch->given & CV_TUNNEL_TOS) {
		config->ipip.tos = from->ipip.tos;
		config->ipip.tos_inherit = from->ipip.tos_inherit;
	}
	if (patch->given & CV_TUNNEL_PMTUDISC)
		config->ipip.pmtudisc = from->ipip.pmtudisc;
	if (patch->given & CV_TUNNEL_STRICT)
		config->strict = from->strict;
	if (patch->given & CV_TUNNEL_ECN)
		config->ipip.ecn_mode = from->ipip.ecn_mode;
	if (patch->given & CV_TUNNEL_MSSCLAMP)
		config->mssclamp = from->mssclamp;
	if (patch->given & CV_TUNNEL_MTU)
		config->mtu = from->mtu;
	if (patch->given & CV_TUNNEL_OTHERS) {
		config->other_count = from->other_count;
		memcpy(config->others, from->others, sizeof(config->others));
	}
}

bool cv_tunnel_config_equal(const struct cv_tunnel_config *a, const struct cv_tunnel_config *b)
{
	return a->remote == b->remote && a->local == b->local && !strcmp(a->dev, b->dev) &&
	       a->ipip.ttl == b->ipip.ttl && a->ipip.tos == b->ipip.tos &&
	       a->ipip.tos_inherit == b->ipip.tos_inherit && a->ipip.pmtudisc == b->ipip.pmtudisc &&
	       a->ipip.ecn_mode == b->ipip.ecn_mode && a->strict == b->strict &&
	       a->mssclamp == b->mssclamp && a->mtu == b->mtu && a->other_count == b->other_count &&
	       !memcmp(a->others, b->others, a->other_count * sizeof(a->others[0]));
}

bool cv_tunnel_config_matches(const struct cv_tunnel_config *config,
			      const struct cv_tunnel_patch *patch)
{
	struct cv_tunnel_config wanted = *config;

	cv_tunnel_config_apply(&wanted, patch);
	return !strcmp(wanted.name, config->name) && cv_tunnel_config_equal(&wanted, config);
}
