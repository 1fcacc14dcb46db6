/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of etcd's keys, and the resources that they come to. Calico's forms: libcalico-go,
 * lib/backend/model (block.go, block_affinity.go, resource.go). Members that we do not know stay.
 */
#include "store/etcd_documents.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "model/json.h"
#include "net/vector.h"
#include "store/resource_key.h"

static const char host[] = "host:"; /* what a block's affinity begins with */

static int no_memory(struct cv_error *error)
{
	return cv_error_set(error, -ENOMEM, "out of memory");
}

/* An object; NULL with what is wrong. */
static json_t *load(const char *value, struct cv_error *error)
{
	json_error_t where;
	json_t *root = json_loads(value, JSON_REJECT_DUPLICATES, &where);

	if (!root)
		cv_error_set(error, -EINVAL, "%d:%d: it is no JSON: %s", where.line, where.column,
			     where.text);
	if (root && !json_is_object(root)) {
		cv_error_set(error, -EINVAL, "1:1: it is no object");
		json_decref(root);
		return NULL;
	}
	return root;
}

/* ---- keys ------------------------------------------------------------------------------ */

/* "10.244.1.0-26", or with dashes alone. */
static void add_cidr(char *text, size_t size, const struct cv_prefix *cidr, bool dashes)
{
	char address[CV_ADDRESS_TEXT_MAX];

	cv_address_format(cidr->address, address);
	for (char *p = address; dashes && *p; p++) {
		if (*p == '.')
			*p = '-';
	}
	snprintf(text, size, "%s-%u", address, cidr->length);
}

/* The other way round. 0 or -EINVAL. */
static int read_cidr(const char *text, struct cv_prefix *ret_cidr)
{
	char copy[CV_PREFIX_TEXT_MAX];
	char *dash;

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, strlen(text) + 1);
	dash = strchr(copy, '-');
	if (!dash)
		return -EINVAL;
	*dash = '/';
	return cv_prefix_parse(copy, ret_cidr) ? -EINVAL : 0;
}

const char *cv_etcd_affinity_key(const char *node, const struct cv_prefix *cidr,
				 char buffer[CV_ETCD_KEY_MAX])
{
	char text[CV_PREFIX_TEXT_MAX];

	add_cidr(text, sizeof(text), cidr, false);
	snprintf(buffer, CV_ETCD_KEY_MAX, CV_ETCD_AFFINITIES "%.253s/ipv4/block/%s", node, text);
	return buffer;
}

const char *cv_etcd_block_key(const struct cv_prefix *cidr, char buffer[CV_ETCD_KEY_MAX])
{
	char text[CV_PREFIX_TEXT_MAX];

	add_cidr(text, sizeof(text), cidr, false);
	snprintf(buffer, CV_ETCD_KEY_MAX, CV_ETCD_BLOCKS "%s", text);
	return buffer;
}

const char *cv_etcd_affinity_name(const char *node, const struct cv_prefix *cidr,
				  char buffer[CV_ETCD_KEY_MAX])
{
	char text[CV_PREFIX_TEXT_MAX];

	add_cidr(text, sizeof(text), cidr, true);
	snprintf(buffer, CV_ETCD_KEY_MAX, "%.253s-%s", node, text);
	return buffer;
}

/* ---- affinities ------------------------------------------------------------------------ */

/* NODE/ipv4/block/CIDR. 0; -ENOENT: another family; -EINVAL. */
static int parse_affinity_key(const char *rest, char node[256], struct cv_prefix *ret_cidr)
{
	static const char middle[] = "/ipv4/block/";
	const char *slash = strchr(rest, '/');
	size_t length = slash ? (size_t)(slash - rest) : 0;

	if (!length || length > 253)
		return -EINVAL;
	if (strncmp(slash, middle, strlen(middle)) != 0)
		return -ENOENT;
	memcpy(node, rest, length);
	node[length] = '\0';
	return read_cidr(slash + strlen(middle), ret_cidr);
}

/* The beginning of a resource, up to its spec's first field. */
static void begin_resource(struct cv_text *text, enum cv_kind kind, const char *name)
{
	cv_text_puts(text, "{");
	cv_json_key(text, "apiVersion");
	cv_json_string(text, cv_kind_api_version(kind));
	cv_json_key(text, "kind");
	cv_json_string(text, cv_kind_name(kind));
	cv_json_key(text, "metadata");
	cv_text_puts(text, "{");
	cv_json_key(text, "name");
	cv_json_string(text, name);
	cv_text_puts(text, "}");
	cv_json_key(text, "spec");
	cv_text_puts(text, "{");
}

static int read_affinity(const char *rest, const char *value, char **ret_text,
			 struct cv_error *error)
{
	struct cv_text text = {.data = NULL};
	char node[256], name[CV_ETCD_KEY_MAX], cidr_text[CV_PREFIX_TEXT_MAX];
	struct cv_prefix cidr;
	const char *state;
	json_t *root;
	int rc = parse_affinity_key(rest, node, &cidr);

	if (rc)
		return rc == -ENOENT
			       ? rc
			       : cv_error_set(error, rc, "it is no key of a block's affinity");
	root = load(value, error);
	if (!root)
		return -EINVAL;
	state = json_string_value(json_object_get(root, "state"));
	begin_resource(&text, CV_KIND_BLOCK_AFFINITY, cv_etcd_affinity_name(node, &cidr, name));
	cv_json_key(&text, "cidr");
	cv_json_string(&text, cv_prefix_format(&cidr, cidr_text));
	cv_json_key(&text, "node");
	cv_json_string(&text, node);
	cv_json_key(&text, "state");
	cv_json_string(&text, state ? state : "confirmed");
	if (json_is_true(json_object_get(root, "deleted"))) {
		cv_json_key(&text, "deleted");
		cv_text_puts(&text, "true");
	}
	cv_text_puts(&text, "}}");
	json_decref(root);
	*ret_text = cv_text_take(&text);
	return *ret_text ? 0 : no_memory(error);
}

char *cv_etcd_affinity_value(const struct cv_block_affinity *affinity)
{
	static const char *const states[] = {
		[CV_AFFINITY_CONFIRMED] = "confirmed",
		[CV_AFFINITY_PENDING] = "pending",
		[CV_AFFINITY_PENDING_DELETION] = "pendingDeletion",
	};
	char *value;

	return asprintf(&value, "{\"state\":\"%s\",\"deleted\":%s}", states[affinity->state],
			affinity->deleted ? "true" : "false") < 0
		       ? NULL
		       : value;
}

/* ---- blocks ------------------------------------------------------------------------------ */

/* A block's owner; NULL: nobody, or a service. */
static const char *owner_of(const json_t *block)
{
	const char *affinity = json_string_value(json_object_get(block, "affinity"));

	return affinity && !strncmp(affinity, host, strlen(host)) ? affinity + strlen(host) : NULL;
}

/* Who has an assigned address, by its attributes; NULL: they do not say. */
static const char *holder_of(const json_t *block, const json_t *allocation)
{
	const json_t *attributes = json_object_get(block, "attributes"), *attribute;
	json_int_t index = json_integer_value(allocation);

	if (!json_is_integer(allocation) || index < 0)
		return NULL;
	attribute = json_array_get(attributes, (size_t)index);
	return json_string_value(json_object_get(json_object_get(attribute, "secondary"), "node"));
}

struct borrowed {
	const char *node;
	__be32 address;
};

static int by_node(const void *a, const void *b)
{
	const struct borrowed *x = a, *y = b;
	int order = strcmp(x->node, y->node);
	uint32_t one = cv_ntohl(x->address), other = cv_ntohl(y->address);

	return order ? order : one < other ? -1 : one > other;
}

/* The Workloads of borrowed addresses, sorted by node, as a List. */
static char *borrowed_to_text(const struct cv_prefix *cidr, const struct borrowed *items,
			      size_t count)
{
	struct cv_text text = {.data = NULL};
	char block[CV_ETCD_KEY_MAX], name[CV_ETCD_KEY_MAX + 16], address[CV_ADDRESS_TEXT_MAX];

	cv_text_puts(&text, "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[");
	for (size_t i = 0; i < count; i++) {
		bool is_first = !i || strcmp(items[i - 1].node, items[i].node) != 0;
		bool is_last = i + 1 == count || strcmp(items[i + 1].node, items[i].node) != 0;

		if (is_first) {
			cv_etcd_affinity_name(items[i].node, cidr, block);
			snprintf(name, sizeof(name), CV_ETCD_BORROWED "%s", block);
			cv_text_puts(&text, i ? "," : "");
			begin_resource(&text, CV_KIND_WORKLOAD, name);
			cv_json_key(&text, "node");
			cv_json_string(&text, items[i].node);
			cv_json_key(&text, "addresses");
		}
		cv_text_puts(&text, is_first ? "[" : ",");
		cv_json_string(&text, cv_address_format(items[i].address, address));
		if (is_last)
			cv_text_puts(&text, "]}}");
	}
	cv_text_puts(&text, "]}");
	return cv_text_take(&text);
}

static int read_block(const char *rest, const char *value, char **ret_text, struct cv_error *error)
{
	struct borrowed *items;
	struct cv_prefix cidr;
	const json_t *allocations;
	const char *owner;
	size_t count = 0, size;
	json_t *root;

	if (read_cidr(rest, &cidr))
		return cv_error_set(error, -EINVAL, "it is no key of a block");
	root = load(value, error);
	if (!root)
		return -EINVAL;
	owner = owner_of(root);
	allocations = json_object_get(root, "allocations");
	size = json_array_size(allocations);
	if (!json_is_array(allocations) ||
	    size > cv_prefix_last(&cidr) - cv_prefix_first(&cidr) + 1ULL) {
		json_decref(root);
		return cv_error_set(error, -EINVAL, "1:1: its allocations are not as of a block");
	}
	items = calloc(size + 1, sizeof(items[0]));
	for (size_t i = 0; items && i < size; i++) {
		const char *node = holder_of(root, json_array_get(allocations, i));

		if (node && *node && (!owner || strcmp(node, owner) != 0))
			items[count++] = (struct borrowed){
				node, cv_htonl(cv_prefix_first(&cidr) + (uint32_t)i)};
	}
	if (items) {
		qsort(items, count, sizeof(items[0]), by_node);
		*ret_text = borrowed_to_text(&cidr, items, count);
		free(items);
	}
	json_decref(root);
	return items && *ret_text ? 0 : no_memory(error);
}

int cv_etcd_block_look(const char *value, char ret_node[256], size_t *ret_assigned)
{
	struct cv_error error;
	json_t *root = load(value, &error);
	const json_t *allocations = json_object_get(root, "allocations");
	const char *owner = owner_of(root);
	size_t assigned = 0;

	if (!json_is_array(allocations) || (owner && strlen(owner) > 255)) {
		json_decref(root);
		return -EINVAL;
	}
	for (size_t i = 0; i < json_array_size(allocations); i++)
		assigned += !json_is_null(json_array_get(allocations, i));
	snprintf(ret_node, 256, "%s", owner ? owner : "");
	*ret_assigned = assigned;
	json_decref(root);
	return 0;
}

/* An empty block, as Calico's newBlock makes it. */
static json_t *new_block(const struct cv_prefix *cidr)
{
	uint32_t count = cv_prefix_last(cidr) - cv_prefix_first(cidr) + 1;
	json_t *allocations = json_array(), *unallocated = json_array();
	char text[CV_PREFIX_TEXT_MAX];

	for (uint32_t i = 0; i < count; i++) {
		json_array_append_new(allocations, json_null());
		json_array_append_new(unallocated, json_integer(i));
	}
	return json_pack("{s:s, s:n, s:o, s:o, s:[], s:b, s:i, s:{}, s:b}", "cidr",
			 cv_prefix_format(cidr, text), "affinity", "allocations", allocations,
			 "unallocated", unallocated, "attributes", "deleted", 0, "sequenceNumber",
			 0, "sequenceNumberForAllocation", "strictAffinity", 0);
}

char *cv_etcd_block_value(const struct cv_prefix *cidr, const char *node, const char *old)
{
	struct cv_error error;
	json_t *block = old ? load(old, &error) : new_block(cidr);
	char affinity[300], *value;

	if (!block)
		return NULL;
	snprintf(affinity, sizeof(affinity), "%s%s", host, node ? node : "");
	json_object_set_new(block, "affinity", node ? json_string(affinity) : json_null());
	value = json_dumps(block, JSON_COMPACT);
	json_decref(block);
	return value;
}

/* ---- resources ----------------------------------------------------------------------------- */

/* RFC 9562, version 4. */
static json_t *new_uid(void)
{
	unsigned char b[16] = {0};

	(void)!getrandom(b, sizeof(b), 0);
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	return json_sprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			    b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
			    b[11], b[12], b[13], b[14], b[15]);
}

static json_t *time_now(void)
{
	time_t now = time(NULL);
	char text[32];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static bool is_ours(const char *member)
{
	return !strcmp(member, "name") || !strcmp(member, "labels") ||
	       !strcmp(member, "annotations");
}

/* What is in old and is not written by people goes on. */
static void keep_members(json_t *root, json_t *metadata, const char *old)
{
	struct cv_error error;
	json_t *former = old ? load(old, &error) : NULL, *value;
	const char *member;

	json_object_foreach(json_object_get(former, "metadata"), member, value)
	{
		if (!is_ours(member))
			json_object_set(metadata, member, value);
	}
	value = json_object_get(former, "status");
	if (value)
		json_object_set(root, "status", value);
	json_decref(former);
}

bool cv_etcd_is_applied(const struct cv_resource *resource)
{
	switch (resource->kind) {
	case CV_KIND_BLOCK_AFFINITY:
		return false;
	case CV_KIND_WORKLOAD:
		return strncmp(resource->name, CV_ETCD_BORROWED, strlen(CV_ETCD_BORROWED)) != 0;
	case CV_KIND_NODE:
		return !strstr(resource->text, "\"" CV_ETCD_DETECTED "\"");
	default:
		return true;
	}
}

char *cv_etcd_resource_value(const struct cv_resource *resource, const char *old)
{
	json_t *root = json_loads(resource->text, 0, NULL);
	json_t *metadata = json_object_get(root, "metadata");
	char *value = NULL;

	if (metadata) {
		keep_members(root, metadata, old);
		if (!json_object_get(metadata, "uid"))
			json_object_set_new(metadata, "uid", new_uid());
		if (!json_object_get(metadata, "creationTimestamp"))
			json_object_set_new(metadata, "creationTimestamp", time_now());
		value = json_dumps(root, JSON_COMPACT);
	}
	json_decref(root);
	return value;
}

/* ---- all of them ------------------------------------------------------------------------- */

static const char *behind(const char *key, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(key, prefix, length) ? NULL : key + length;
}

int cv_etcd_document_read(const char *key, const char *value, char **ret_text,
			  struct cv_error *error)
{
	const char *rest, *name;
	enum cv_kind kind;

	*ret_text = NULL;
	rest = behind(key, CV_ETCD_AFFINITIES);
	if (rest)
		return read_affinity(rest, value, ret_text, error);
	rest = behind(key, CV_ETCD_BLOCKS);
	if (rest)
		return read_block(rest, value, ret_text, error);
	if (cv_resource_key_parse(key, &kind, &name) || kind == CV_KIND_BLOCK_AFFINITY)
		return -ENOENT;
	return 0;
}

int cv_etcd_document_check(const char *key, const struct cv_manifest *manifest,
			   struct cv_error *error)
{
	const struct cv_resource *resource = manifest->count ? manifest->resources[0] : NULL;
	enum cv_kind kind;
	const char *name;

	if (cv_resource_key_parse(key, &kind, &name))
		return 0;
	if (manifest->count > 1)
		return cv_error_set(error, -EINVAL, "1:1: there is more than one resource in it");
	if (resource && (resource->kind != kind || strcmp(resource->name, name) != 0))
		return cv_error_set(
			error, -EINVAL,
			"1:1: it is the %s %.128s, which does not belong under this key",
			cv_kind_name(resource->kind), resource->name);
	return 0;
}
