/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cniVersion is 1.0.0: Debian's plugins speak no other that is newer, and a runtime leaves a list
 * of which one plugin does not speak the version out as a whole.
 */
#include "cni/conflist.h"

#include <errno.h>
#include <string.h>

#include "agent/control.h"
#include "cni/config.h"
#include "model/attachment.h"

/* What may be chained, and the capability that its runtime has to pass on. */
static const struct chained {
	const char *type, *capability;
} chained[] = {
	{"portmap", "portMappings"},
	{"bandwidth", "bandwidth"},
	{"tuning", NULL},
	{"firewall", NULL},
	{"sbr", NULL},
};

static const struct chained *find_chained(const char *type, size_t length)
{
	for (size_t i = 0; i < sizeof(chained) / sizeof(chained[0]); i++) {
		if (strlen(chained[i].type) == length && !strncmp(chained[i].type, type, length))
			return &chained[i];
	}
	return NULL;
}

static json_t *make_chained(const struct chained *plugin)
{
	json_t *json = json_pack("{s:s}", "type", plugin->type);

	if (plugin->capability)
		json_object_set_new(json, "capabilities",
				    json_pack("{s:b}", plugin->capability, 1));
	return json;
}

/* "bandwidth" is a capability of ours if it is in the list: it decides on the fast path. */
static json_t *make_own(const struct cv_cni_conflist *conflist, bool has_bandwidth)
{
	json_t *capabilities = json_pack("{s:b, s:b}", "ips", 1, "mac", 1);
	json_t *json = json_pack("{s:s, s:s}", "type", CV_CNI_TYPE, "mode",
				 conflist->bridge ? "bridge" : "routed");

	if (conflist->bridge)
		json_object_set_new(json, "bridge", json_string(conflist->bridge));
	/* Nobody in the list brings another qdisc in its place. */
	else if (!has_bandwidth)
		json_object_set_new(json, "clsact", json_true());
	if (strcmp(conflist->run_dir, CV_CONTROL_RUN_DIR))
		json_object_set_new(json, "runDir", json_string(conflist->run_dir));
	json_object_set_new(json, "ipam", json_pack("{s:s}", "type", CV_CNI_TYPE));
	if (has_bandwidth)
		json_object_set_new(capabilities, "bandwidth", json_true());
	json_object_set_new(json, "capabilities", capabilities);
	return json;
}

static int check(const struct cv_cni_conflist *conflist, struct cv_error *error)
{
	if (!cv_attachment_name_is_valid(conflist->name))
		return cv_error_set(error, -EINVAL,
				    "--name %.64s must begin with a letter or digit, and have "
				    "letters, digits, '_', '.' and '-' alone",
				    conflist->name);
	if (conflist->bridge && !cv_attachment_interface_is_valid(conflist->bridge))
		return cv_error_set(error, -EINVAL, "--bridge %.64s is no name of a device",
				    conflist->bridge);
	if (*conflist->run_dir != '/')
		return cv_error_set(error, -EINVAL, "--run-dir %.128s is no absolute path",
				    conflist->run_dir);
	return 0;
}

/* Appends to plugins. 0 or -EINVAL. */
static int add_chain(const char *chain, json_t *plugins, bool *ret_has_bandwidth,
		     struct cv_error *error)
{
	for (const char *at = chain; *at;) {
		size_t length = strcspn(at, ",");
		const struct chained *plugin = find_chained(at, length);

		if (!plugin)
			return cv_error_set(error, -EINVAL,
					    "--chain: \"%.*s\" is none of portmap, bandwidth, "
					    "tuning, firewall and sbr; write the list by hand",
					    (int)(length < 64 ? length : 64), at);
		if (!strcmp(plugin->type, "bandwidth"))
			*ret_has_bandwidth = true;
		json_array_append_new(plugins, make_chained(plugin));
		at += length + (at[length] == ',');
	}
	return 0;
}

json_t *cv_cni_conflist_make(const struct cv_cni_conflist *conflist, struct cv_error *error)
{
	json_t *plugins = json_array();
	bool has_bandwidth = false;
	int rc = check(conflist, error);

	if (!rc)
		rc = add_chain(conflist->chain, plugins, &has_bandwidth, error);
	if (rc) {
		json_decref(plugins);
		return NULL;
	}
	json_array_insert_new(plugins, 0, make_own(conflist, has_bandwidth));
	return json_pack("{s:s, s:s, s:s, s:o}", "cniVersion", cv_cni_version_name(CV_CNI_1_0_0),
			 "name", conflist->name, CV_CNI_CONFLIST_MARK, CV_CNI_TYPE, "plugins",
			 plugins);
}

bool cv_cni_conflist_is_ours(const char *text)
{
	json_t *root = json_loads(text, 0, NULL);
	const char *mark = json_string_value(json_object_get(root, CV_CNI_CONFLIST_MARK));
	bool is_ours = mark && !strcmp(mark, CV_CNI_TYPE);

	json_decref(root);
	return is_ours;
}

static bool is_type(const json_t *plugin)
{
	const char *type = json_string_value(json_object_get(plugin, "type"));

	return type && !strcmp(type, CV_CNI_TYPE);
}

bool cv_cni_conflist_uses_us(const char *text)
{
	json_t *root = json_loads(text, 0, NULL);
	const json_t *plugins = json_object_get(root, "plugins");
	bool uses_us = is_type(root);

	for (size_t i = 0; i < json_array_size(plugins); i++)
		uses_us = uses_us || is_type(json_array_get(plugins, i));
	json_decref(root);
	return uses_us;
}
