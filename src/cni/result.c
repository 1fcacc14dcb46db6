/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members that are not known are passed over, as later versions have more; those that are known
 * have the type of the specification, or the result is refused.
 */
#include "cni/result.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Where an error is: "prevResult: ips[1].address". */
struct place {
	const char *what;
	const char *list; /* NULL: the object itself */
	size_t index;
	int code;
	struct cv_cni_failure *failure;
};

static int wrong(const struct place *place, const char *member, const char *expected)
{
	if (!place->list)
		return cv_cni_fail(place->failure, place->code, "%s: %s is no %s", place->what,
				   member, expected);
	return cv_cni_fail(place->failure, place->code, "%s: %s[%zu]%s%s is no %s", place->what,
			   place->list, place->index, *member ? "." : "", member, expected);
}

/* ---- members ----------------------------------------------------------------------- */

/* *ret_text: NULL if there is no such member, or it is null or "". */
static int get_text(const json_t *object, const char *member, const struct place *place,
		    const char **ret_text)
{
	const json_t *value = json_object_get(object, member);
	const char *text = json_string_value(value);

	*ret_text = text && *text ? text : NULL;
	if (!value || json_is_null(value) || text)
		return 0;
	return wrong(place, member, "string");
}

static int get_number(const json_t *object, const char *member, const struct place *place,
		      uint32_t max, bool *ret_is_given, uint32_t *ret_number)
{
	const json_t *value = json_object_get(object, member);
	json_int_t number = json_integer_value(value);

	*ret_is_given = value && !json_is_null(value);
	if (!*ret_is_given)
		return 0;
	if (!json_is_integer(value) || number < 0 || number > max)
		return wrong(place, member, "number that it may be");
	*ret_number = (uint32_t)number;
	return 0;
}

/* Addresses with a length; host bits count with has_host_bits alone. */
static int get_prefix(const json_t *object, const char *member, const struct place *place,
		      bool has_host_bits, struct cv_prefix *ret_prefix)
{
	const char *text;
	int code = get_text(object, member, place, &text);
	int rc;

	if (code)
		return code;
	rc = text ? cv_prefix_parse(text, ret_prefix) : -EINVAL;
	if (rc && rc != -ERANGE)
		return wrong(place, member,
			     text && strchr(text, ':')
				     ? "IPv4 address; culvert-cni gives containers IPv4 alone"
				     : "\"ADDRESS/LENGTH\"");
	if (!has_host_bits)
		*ret_prefix = cv_prefix_of(ret_prefix->address, ret_prefix->length);
	return 0;
}

static int get_address(const json_t *object, const char *member, const struct place *place,
		       __be32 *ret_address)
{
	struct cv_prefix prefix;
	const char *text;
	int code = get_text(object, member, place, &text);

	if (code || !text)
		return code;
	if (cv_prefix_parse(text, &prefix) != -ENODATA)
		return wrong(place, member, "IPv4 address");
	*ret_address = prefix.address;
	return 0;
}

/* ---- lists ------------------------------------------------------------------------- */

static int parse_interface(const json_t *json, const struct place *place,
			   struct cv_cni_result *result)
{
	struct cv_cni_interface *interface = &result->interfaces[place->index];
	const char *name = NULL, *mac = NULL;
	bool given;
	int code = get_text(json, "name", place, &name);

	if (!code)
		code = get_text(json, "mac", place, &mac);
	if (!code)
		code = get_text(json, "sandbox", place, &interface->sandbox);
	if (!code)
		code = get_number(json, "mtu", place, INT32_MAX, &given, &interface->mtu);
	if (code)
		return code;
	/* A plugin for virtual machines may call its interfaces anything. */
	if (!name || strlen(name) >= sizeof(interface->name))
		return wrong(place, "name", "interface's name");
	snprintf(interface->name, sizeof(interface->name), "%s", name);
	snprintf(interface->mac, sizeof(interface->mac), "%s", mac ? mac : "");
	return 0;
}

static int parse_ip(const json_t *json, const struct place *place, struct cv_cni_result *result)
{
	struct cv_cni_ip *ip = &result->ips[place->index];
	uint32_t index = 0;
	bool given = false;
	int code = get_prefix(json, "address", place, true, &ip->address);

	if (!code)
		code = get_address(json, "gateway", place, &ip->gateway);
	if (!code)
		code = get_number(json, "interface", place, INT_MAX, &given, &index);
	if (code)
		return code;
	if (given && result->interface_count && index >= result->interface_count)
		return wrong(place, "interface", "index into interfaces");
	ip->interface = given ? (int)index : -1;
	return 0;
}

static int parse_route(const json_t *json, const struct place *place, struct cv_cni_route *route)
{
	uint32_t scope = 0;
	bool given, has_scope = false;
	int code = get_prefix(json, "dst", place, false, &route->prefix);

	if (!code)
		code = get_address(json, "gw", place, &route->gateway);
	if (!code)
		code = get_number(json, "mtu", place, UINT16_MAX, &given, &route->mtu);
	if (!code)
		code = get_number(json, "advmss", place, UINT16_MAX, &given, &route->advmss);
	if (!code)
		code = get_number(json, "priority", place, UINT32_MAX, &given, &route->metric);
	if (!code)
		code = get_number(json, "table", place, UINT32_MAX, &given, &route->table);
	if (!code)
		code = get_number(json, "scope", place, UINT8_MAX, &has_scope, &scope);
	route->scope = has_scope ? (int)scope : -1;
	return code;
}

static int parse_result_route(const json_t *json, const struct place *place,
			      struct cv_cni_result *result)
{
	return parse_route(json, place, &result->routes[place->index]);
}

int cv_cni_route_parse(const json_t *json, const char *what, int code,
		       struct cv_cni_route *ret_route, struct cv_cni_failure *failure)
{
	const struct place place = {.what = what, .code = code, .failure = failure};

	*ret_route = (struct cv_cni_route){.scope = -1};
	if (!json_is_object(json))
		return cv_cni_fail(failure, code, "%s is no object", what);
	return parse_route(json, &place, ret_route);
}

static int parse_list(const json_t *json, struct place *place, const char *list, size_t max,
		      int (*parse)(const json_t *json, const struct place *place,
				   struct cv_cni_result *result),
		      struct cv_cni_result *result, size_t *ret_count)
{
	const json_t *items = json_object_get(json, list);

	*ret_count = 0;
	if (!items || json_is_null(items))
		return 0;
	if (!json_is_array(items))
		return wrong(place, list, "list");
	if (json_array_size(items) > max)
		return cv_cni_fail(place->failure, place->code, "%s: more than %zu %s", place->what,
				   max, list);
	place->list = list;
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *item = json_array_get(items, i);
		int code;

		place->index = i;
		if (!json_is_object(item))
			return wrong(place, "", "object");
		code = parse(item, place, result);
		if (code)
			return code;
	}
	place->list = NULL;
	*ret_count = json_array_size(items);
	return 0;
}

int cv_cni_result_parse(const json_t *json, const char *what, int code,
			struct cv_cni_result *ret_result, struct cv_cni_failure *failure)
{
	struct place place = {.what = what, .code = code, .failure = failure};
	struct cv_cni_result *result = ret_result;
	json_t *dns = json_object_get(json, "dns");
	int rc;

	*result = (struct cv_cni_result){.interface_count = 0};
	if (!json_is_object(json))
		return cv_cni_fail(failure, code, "%s is no JSON object", what);
	rc = parse_list(json, &place, "interfaces", CV_CNI_INTERFACES, parse_interface, result,
			&result->interface_count);
	if (!rc)
		rc = parse_list(json, &place, "ips", CV_CNI_IPS, parse_ip, result,
				&result->ip_count);
	if (!rc)
		rc = parse_list(json, &place, "routes", CV_CNI_ROUTES, parse_result_route, result,
				&result->route_count);
	if (rc)
		return rc;
	if (dns && !json_is_null(dns) && !json_is_object(dns))
		return wrong(&place, "dns", "object");
	result->dns = json_is_object(dns) ? dns : NULL;
	return 0;
}

/* ---- printing ---------------------------------------------------------------------- */

static json_t *interface_json(const struct cv_cni_interface *interface, enum cv_cni_version version)
{
	json_t *json = json_pack("{s:s}", "name", interface->name);

	if (*interface->mac)
		json_object_set_new(json, "mac", json_string(interface->mac));
	if (interface->mtu && version >= CV_CNI_1_1_0)
		json_object_set_new(json, "mtu", json_integer(interface->mtu));
	if (interface->sandbox)
		json_object_set_new(json, "sandbox", json_string(interface->sandbox));
	return json;
}

static json_t *ip_json(const struct cv_cni_ip *ip, enum cv_cni_version version)
{
	char text[CV_PREFIX_TEXT_MAX];
	json_t *json = json_object();

	if (version < CV_CNI_1_0_0)
		json_object_set_new(json, "version", json_string("4"));
	if (ip->interface >= 0)
		json_object_set_new(json, "interface", json_integer(ip->interface));
	json_object_set_new(json, "address", json_string(cv_prefix_format(&ip->address, text)));
	if (ip->gateway)
		json_object_set_new(json, "gateway",
				    json_string(cv_address_format(ip->gateway, text)));
	return json;
}

static json_t *route_json(const struct cv_cni_route *route, enum cv_cni_version version)
{
	const struct {
		const char *name;
		uint32_t value;
	} numbers[] = {
		{"mtu", route->mtu},
		{"advmss", route->advmss},
		{"priority", route->metric},
		{"table", route->table},
	};
	char text[CV_PREFIX_TEXT_MAX];
	json_t *json = json_pack("{s:s}", "dst", cv_prefix_format(&route->prefix, text));

	if (route->gateway)
		json_object_set_new(json, "gw",
				    json_string(cv_address_format(route->gateway, text)));
	if (version < CV_CNI_1_1_0)
		return json;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (numbers[i].value)
			json_object_set_new(json, numbers[i].name, json_integer(numbers[i].value));
	}
	if (route->scope >= 0)
		json_object_set_new(json, "scope", json_integer(route->scope));
	return json;
}

json_t *cv_cni_result_json(const struct cv_cni_result *result, enum cv_cni_version version)
{
	json_t *interfaces = json_array(), *ips = json_array(), *routes = json_array();

	for (size_t i = 0; i < result->interface_count; i++)
		json_array_append_new(interfaces, interface_json(&result->interfaces[i], version));
	for (size_t i = 0; i < result->ip_count; i++)
		json_array_append_new(ips, ip_json(&result->ips[i], version));
	for (size_t i = 0; i < result->route_count; i++)
		json_array_append_new(routes, route_json(&result->routes[i], version));
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "cniVersion", cv_cni_version_name(version),
			 "interfaces", interfaces, "ips", ips, "routes", routes, "dns",
			 result->dns ? json_incref(result->dns) : json_object());
}
