/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: those of Calico's etcd datastore, behind its "/calico/" (libcalico-go, lib/backend/model).
 */
#include "ipam/key.h"

#include <stdio.h>
#include <string.h>

#include "ipam/ipam.h"

/* "10.244.1.0-26" */
static const char *cidr_text(const struct cv_prefix *cidr, char buffer[CV_PREFIX_TEXT_MAX])
{
	cv_prefix_format(cidr, buffer);
	*strchr(buffer, '/') = '-';
	return buffer;
}

static bool read_cidr(const char *text, struct cv_prefix *ret_cidr)
{
	char buffer[CV_PREFIX_TEXT_MAX];
	char *dash;

	if (strlen(text) >= sizeof(buffer))
		return false;
	memcpy(buffer, text, strlen(text) + 1);
	dash = strchr(buffer, '-');
	if (!dash)
		return false;
	*dash = '/';
	return !cv_prefix_parse(buffer, ret_cidr);
}

const char *cv_ipam_key_block(const struct cv_prefix *cidr, char buffer[CV_IPAM_KEY_MAX])
{
	char text[CV_PREFIX_TEXT_MAX];

	snprintf(buffer, CV_IPAM_KEY_MAX, CV_IPAM_KEY_BLOCKS "%s", cidr_text(cidr, text));
	return buffer;
}

const char *cv_ipam_key_affinities(const char *node, char buffer[CV_IPAM_KEY_MAX])
{
	snprintf(buffer, CV_IPAM_KEY_MAX, CV_IPAM_KEY_HOSTS "%s/ipv4/block/", node);
	return buffer;
}

const char *cv_ipam_key_affinity(const char *node, const struct cv_prefix *cidr,
				 char buffer[CV_IPAM_KEY_MAX])
{
	char text[CV_PREFIX_TEXT_MAX];

	snprintf(buffer, CV_IPAM_KEY_MAX, CV_IPAM_KEY_HOSTS "%s/ipv4/block/%s", node,
		 cidr_text(cidr, text));
	return buffer;
}

const char *cv_ipam_key_handle(const char *handle, char buffer[CV_IPAM_KEY_MAX])
{
	snprintf(buffer, CV_IPAM_KEY_MAX, CV_IPAM_KEY_HANDLES "%s", handle);
	return buffer;
}

/* What is behind a prefix, or NULL. */
static const char *behind(const char *key, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(key, prefix, length) ? NULL : key + length;
}

bool cv_ipam_key_is_block(const char *key, struct cv_prefix *ret_cidr)
{
	const char *text = behind(key, CV_IPAM_KEY_BLOCKS);

	return text && read_cidr(text, ret_cidr);
}

bool cv_ipam_key_is_affinity(const char *key, char ret_node[CV_IPAM_NODE_MAX],
			     struct cv_prefix *ret_cidr)
{
	const char *node = behind(key, CV_IPAM_KEY_HOSTS);
	const char *slash = node ? strchr(node, '/') : NULL;
	const char *text = slash ? behind(slash, "/ipv4/block/") : NULL;

	if (!text || slash == node || slash - node >= CV_IPAM_NODE_MAX ||
	    !read_cidr(text, ret_cidr))
		return false;
	memcpy(ret_node, node, (size_t)(slash - node));
	ret_node[slash - node] = '\0';
	return true;
}

bool cv_ipam_key_is_handle(const char *key, const char **ret_handle)
{
	const char *handle = behind(key, CV_IPAM_KEY_HANDLES);

	if (!handle || !cv_ipam_key_allows_handle(handle))
		return false;
	*ret_handle = handle;
	return true;
}

static bool is_part(const char *text, size_t size)
{
	size_t length = strlen(text);

	if (!length || length >= size)
		return false;
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~' || *p == '/')
			return false;
	return true;
}

bool cv_ipam_key_allows_handle(const char *handle)
{
	return is_part(handle, CV_IPAM_HANDLE_MAX);
}

bool cv_ipam_key_allows_node(const char *node)
{
	return is_part(node, CV_IPAM_NODE_MAX);
}
