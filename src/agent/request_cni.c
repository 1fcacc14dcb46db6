/* SPDX-License-Identifier: Apache-2.0 */
/* cni.add, .attach, .del, .check, .gc and .status, and pods: their members. */
#include "agent/request_cni.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tunnel/config.h"

enum {
	POOLS_MAX = 64,
	TEXT_MAX = 253 /* of a Kubernetes pod's name */
};

/* ---- members ------------------------------------------------------------------------------- */

/* A string of at most `most` bytes, or NULL where it is missing and may be. */
static int read_text(struct cv_request_parser *p, const char *name, bool is_needed, size_t most,
		     const char **ret_text)
{
	const json_t *value = json_object_get(p->root, name);

	if (!value && !is_needed)
		return 0;
	if (!json_is_string(value) || !json_string_length(value) ||
	    json_string_length(value) > most ||
	    strlen(json_string_value(value)) != json_string_length(value))
		return cv_error_set(p->error, -EINVAL, "\"%s\" must be a text of 1 to %zu bytes",
				    name, most);
	*ret_text = json_string_value(value);
	return 0;
}

static int check_name(struct cv_request_parser *p, const char *what, const char *name)
{
	if (cv_attachment_name_is_valid(name))
		return 0;
	return cv_error_set(p->error, -EINVAL,
			    "\"%s\": \"%.64s\" is no such name: a letter or digit, then letters, "
			    "digits, \"_\", \".\" and \"-\"",
			    what, name);
}

static int check_interface(struct cv_request_parser *p, const char *name)
{
	if (cv_attachment_interface_is_valid(name))
		return 0;
	return cv_error_set(p->error, -EINVAL, "\"interface\": \"%.64s\" is no name of a device",
			    name);
}

static int read_network(struct cv_request_parser *p, const char **ret_network)
{
	int rc = read_text(p, "network", true, TEXT_MAX, ret_network);

	return rc ? rc : check_name(p, "network", *ret_network);
}

static int read_key(struct cv_request_parser *p, struct cv_pods_key *key)
{
	int rc = read_network(p, &key->network);

	if (!rc)
		rc = read_text(p, "container", true, TEXT_MAX, &key->container);
	if (!rc)
		rc = check_name(p, "container", key->container);
	if (!rc)
		rc = read_text(p, "interface", true, IFNAMSIZ - 1, &key->interface);
	return rc ? rc : check_interface(p, key->interface);
}

static int read_bypass(struct cv_request_parser *p, enum cv_endpoint_bypass *ret_bypass)
{
	const char *text = NULL;
	int rc = read_text(p, "bypass", false, 16, &text);

	return rc || !text ? rc : cv_endpoint_parse_bypass(text, ret_bypass, p->error);
}

static int read_mode(struct cv_request_parser *p, const char **ret_bridge)
{
	const char *mode = "routed";
	int rc = read_text(p, "mode", false, 16, &mode);

	if (!rc && strcmp(mode, "routed") != 0 && strcmp(mode, "bridge") != 0)
		rc = cv_error_set(p->error, -EINVAL, "\"mode\" must be \"routed\" or \"bridge\"");
	if (!rc)
		rc = read_text(p, "bridge", !strcmp(mode, "bridge"), IFNAMSIZ - 1, ret_bridge);
	if (rc || !*ret_bridge)
		return rc;
	if (!strcmp(mode, "routed"))
		return cv_error_set(p->error, -EINVAL, "\"bridge\" goes with \"mode\": \"bridge\"");
	return cv_tunnel_check_name(*ret_bridge, "bridge", p->error);
}

/* A list of at most `most` texts; missing: none. */
static int read_list(struct cv_request_parser *p, const char *name, size_t most,
		     const json_t **ret_list)
{
	const json_t *list = json_object_get(p->root, name);
	size_t i;
	json_t *item;

	if (!list)
		return 0;
	if (!json_is_array(list) || json_array_size(list) > most)
		return cv_error_set(p->error, -EINVAL, "\"%s\" must be a list of %zu texts at most",
				    name, most);
	json_array_foreach(list, i, item)
	{
		if (!json_is_string(item) || json_string_length(item) > TEXT_MAX)
			return cv_error_set(p->error, -EINVAL,
					    "\"%s\" must be a list of %zu texts at most", name,
					    most);
	}
	*ret_list = list;
	return 0;
}

/* "10.244.1.5", with or without a length. */
static int read_prefixes(struct cv_request_parser *p, const char *name, struct cv_prefix *to,
			 unsigned int *ret_count)
{
	const json_t *list = NULL;
	int rc = read_list(p, name, CV_PODS_ADDRESSES, &list);

	for (size_t i = 0; i < json_array_size(list) && !rc; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		int parsed = cv_prefix_parse(text, &to[i]);

		if ((parsed && parsed != -ERANGE && parsed != -ENODATA) || !to[i].address)
			rc = cv_error_set(p->error, -EINVAL, "\"%s\": \"%.64s\" is no IPv4 address",
					  name, text);
		for (size_t k = 0; k < i && !rc; k++) {
			if (to[k].address == to[i].address)
				rc = cv_error_set(p->error, -EINVAL, "\"%s\": %.64s is there twice",
						  name, text);
		}
	}
	if (!rc)
		*ret_count = (unsigned int)json_array_size(list);
	return rc;
}

static int read_pools(struct cv_request_parser *p, struct cv_request_cni *cni)
{
	const json_t *list = NULL;
	int rc = read_list(p, "pools", POOLS_MAX, &list);

	if (rc || !json_array_size(list))
		return rc;
	cni->pools = calloc(json_array_size(list), sizeof(*cni->pools));
	if (!cni->pools)
		return cv_error_set(p->error, -ENOMEM, "out of memory");
	for (size_t i = 0; i < json_array_size(list); i++)
		cni->pools[i] = json_string_value(json_array_get(list, i));
	cni->add.pools = cni->pools;
	cni->add.pool_count = json_array_size(list);
	return 0;
}

/* Kubernetes' pods are in a namespace, podman's are not. */
static int read_pod(struct cv_request_parser *p, struct cv_pods_add *add)
{
	const json_t *pod = json_object_get(p->root, "pod");
	const json_t *name_space = json_object_get(pod, "namespace");

	if (!pod || json_is_null(pod))
		return 0;
	add->name = json_string_value(json_object_get(pod, "name"));
	add->name_space = json_string_value(name_space);
	if (json_object_size(pod) != (name_space ? 2 : 1) || !add->name ||
	    strlen(add->name) > TEXT_MAX ||
	    (name_space && (!add->name_space || strlen(add->name_space) > TEXT_MAX)))
		return cv_error_set(p->error, -EINVAL,
				    "\"pod\" must have a \"name\", and may have a \"namespace\"");
	return 0;
}

static int read_number(struct cv_request_parser *p, const char *name, uint64_t *ret_number)
{
	const json_t *value = json_object_get(p->root, name);

	if (value && (!json_is_integer(value) || json_integer_value(value) < 0))
		return cv_error_set(p->error, -EINVAL, "\"%s\" must be a number", name);
	*ret_number = (uint64_t)json_integer_value(value);
	return 0;
}

/* ---- requests ------------------------------------------------------------------------------ */

static int read_addresses(struct cv_request_parser *p, struct cv_pods_add *add)
{
	struct cv_prefix prefixes[CV_PODS_ADDRESSES];
	int rc = read_prefixes(p, "addresses", prefixes, &add->count);

	for (unsigned int i = 0; i < add->count && !rc; i++)
		add->addresses[i] = prefixes[i].address;
	if (!rc && add->count && add->is_delegated)
		rc = cv_error_set(p->error, -EINVAL, "\"addresses\" goes with \"ipam\": true");
	return rc;
}

static int parse_add(struct cv_request_parser *p)
{
	struct cv_request_cni *cni = &p->request->cni;
	struct cv_pods_add *add = &cni->add;
	bool ipam = true;
	int rc = cv_request_check_members(
		p, CV_REQUEST_MEMBERS("network", "container", "interface", "netns", "mode",
				      "bridge", "ipam", "addresses", "pools", "pod", "bypass"));

	p->request->kind = CV_REQUEST_CNI_ADD;
	if (!rc)
		rc = read_key(p, &add->key);
	if (!rc)
		rc = read_text(p, "netns", true, PATH_MAX - 1, &add->netns);
	if (!rc)
		rc = read_mode(p, &add->bridge);
	if (!rc && json_object_get(p->root, "ipam"))
		rc = cv_request_read_bool(p, "ipam", &ipam);
	add->is_delegated = !ipam;
	if (!rc)
		rc = read_addresses(p, add);
	if (!rc)
		rc = read_pools(p, cni);
	if (!rc)
		rc = read_pod(p, add);
	return rc ? rc : read_bypass(p, &add->bypass);
}

static int parse_attach(struct cv_request_parser *p)
{
	struct cv_pods_attach *attach = &p->request->cni.attach;
	uint8_t mac[CV_ATTACHMENT_MAC];
	int rc = cv_request_check_members(
		p, CV_REQUEST_MEMBERS("network", "container", "interface", "device", "addresses",
				      "gateways", "mac", "netns_device", "netns_inode"));

	p->request->kind = CV_REQUEST_CNI_ATTACH;
	if (!rc)
		rc = read_key(p, &attach->key);
	if (!rc)
		rc = read_text(p, "device", true, IFNAMSIZ - 1, &attach->device);
	if (!rc)
		rc = read_prefixes(p, "addresses", attach->addresses, &attach->count);
	if (!rc)
		rc = read_prefixes(p, "gateways", attach->gateways, &attach->gateway_count);
	if (!rc)
		rc = read_text(p, "mac", false, CV_ATTACHMENT_MAC_TEXT - 1, &attach->mac);
	if (!rc && attach->mac && !cv_attachment_mac_parse(attach->mac, mac))
		rc = cv_error_set(p->error, -EINVAL, "\"mac\": %.17s is none", attach->mac);
	if (!rc)
		rc = read_number(p, "netns_device", &attach->netns_device);
	return rc ? rc : read_number(p, "netns_inode", &attach->netns_inode);
}

static int parse_key(struct cv_request_parser *p, enum cv_request_kind kind)
{
	int rc = cv_request_check_members(p,
					  CV_REQUEST_MEMBERS("network", "container", "interface"));

	p->request->kind = kind;
	return rc ? rc : read_key(p, &p->request->cni.key);
}

static int parse_del(struct cv_request_parser *p)
{
	return parse_key(p, CV_REQUEST_CNI_DEL);
}

static int parse_check(struct cv_request_parser *p)
{
	return parse_key(p, CV_REQUEST_CNI_CHECK);
}

/* {"container": …, "interface": …} */
static int read_valid(struct cv_request_parser *p, const json_t *item, struct cv_pods_key *key)
{
	key->container = json_string_value(json_object_get(item, "container"));
	key->interface = json_string_value(json_object_get(item, "interface"));
	if (json_object_size(item) == 2 && key->container && key->interface)
		return 0;
	return cv_error_set(p->error, -EINVAL,
			    "an item of \"valid\" must have \"container\" and \"interface\"");
}

static int parse_gc(struct cv_request_parser *p)
{
	struct cv_request_cni *cni = &p->request->cni;
	const json_t *valid = json_object_get(p->root, "valid");
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("network", "valid"));

	p->request->kind = CV_REQUEST_CNI_GC;
	if (!rc)
		rc = read_network(p, &cni->network);
	/* To leave it out would delete everything. */
	if (!rc && !json_is_array(valid))
		rc = cv_error_set(p->error, -EINVAL, "\"valid\" must be a list");
	if (rc)
		return rc;
	cni->valid = calloc(json_array_size(valid) + 1, sizeof(*cni->valid));
	if (!cni->valid)
		return cv_error_set(p->error, -ENOMEM, "out of memory");
	for (size_t i = 0; i < json_array_size(valid) && !rc; i++)
		rc = read_valid(p, json_array_get(valid, i), &cni->valid[cni->valid_count++]);
	return rc;
}

static int parse_status(struct cv_request_parser *p)
{
	p->request->kind = CV_REQUEST_CNI_STATUS;
	return cv_request_check_members(p, CV_REQUEST_NO_MEMBERS);
}

static int parse_pods(struct cv_request_parser *p)
{
	p->request->kind = CV_REQUEST_PODS;
	return cv_request_check_members(p, CV_REQUEST_NO_MEMBERS);
}

const struct cv_request_command cv_request_cni_commands[CV_REQUEST_CNI_COMMANDS] = {
	{"cni.add", parse_add},	    {"cni.attach", parse_attach}, {"cni.del", parse_del},
	{"cni.check", parse_check}, {"cni.gc", parse_gc},	  {"cni.status", parse_status},
	{"pods", parse_pods},
};
