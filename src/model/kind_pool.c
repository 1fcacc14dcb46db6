/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPPool (https://docs.tigera.io/calico/latest/reference/resources/ippool), with Calico's defaults
 * and rules. Pools of IPv6 are passed over, VXLAN is refused: a pool that its owner takes for
 * encapsulated must not go out in the clear.
 */
#include "model/kinds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/schema_values.h"
#include "wire/bytes.h"

enum {
	BLOCK_SIZE_MIN = 20,
	BLOCK_SIZE_MAX = 32,
	BLOCK_SIZE_DEFAULT = 26
};

static int read_cidr(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_ip_pool *pool = target;
	static const struct {
		uint32_t address;
		uint8_t length;
		const char *what;
	} reserved[] = {
		{0x7f000000, 8, "loopback's 127.0.0.0/8"},
		{0xa9fe0000, 16, "the link-local 169.254.0.0/16"},
		{0xe0000000, 4, "multicast's 224.0.0.0/4"},
		{0xf0000000, 4, "the reserved 240.0.0.0/4"},
	};
	int rc = cv_reader_cidr(reader, node, &pool->cidr);

	if (rc)
		return rc;
	if (!pool->cidr.length)
		return cv_reader_fail(
			reader, node,
			"spec.cidr 0.0.0.0/0 is every address there is; give the pods' "
			"own");
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		struct cv_prefix prefix =
			cv_prefix_of(cv_htonl(reserved[i].address), reserved[i].length);

		if (cv_prefix_overlaps(&prefix, &pool->cidr))
			return cv_reader_fail(reader, node,
					      "spec.cidr %s overlaps %s; choose another",
					      node->text, reserved[i].what);
	}
	return 0;
}

static int read_block_size(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_ip_pool *pool = target;
	long long value;
	int rc = cv_reader_integer(reader, node, BLOCK_SIZE_MIN, BLOCK_SIZE_MAX, &value);

	if (!rc)
		pool->block_size = (uint8_t)value;
	return rc;
}

static int read_node_selector(struct cv_reader *reader, const struct cv_yaml_node *node,
			      void *target)
{
	struct cv_ip_pool *pool = target;

	return cv_reader_copy_selector(reader, node, &pool->node_selector);
}

static int read_namespace_selector(struct cv_reader *reader, const struct cv_yaml_node *node,
				   void *target)
{
	const char *text;
	int rc = cv_reader_selector(reader, node, &text);

	(void)target;
	if (!rc && *text)
		cv_reader_warn(reader, node,
			       "spec.namespaceSelector is not acted on: Culvert does not know "
			       "the labels of namespaces");
	return rc;
}

static int read_uses(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	static const struct cv_word uses[] = {{"Workload", CV_USE_WORKLOAD},
					      {"Tunnel", CV_USE_TUNNEL},
					      {"LoadBalancer", CV_USE_LOAD_BALANCER},
					      {NULL, 0}};
	struct cv_ip_pool *pool = target;
	char is[CV_READER_IS_MAX];
	uint32_t set = 0;
	size_t entered;
	int rc = 0;

	if (node->type != CV_YAML_LIST)
		return cv_reader_fail(reader, node, "spec.allowedUses must be a list, %s",
				      cv_reader_is(node, is));
	entered = cv_reader_enter(reader, node->key, ": ");
	for (const struct cv_yaml_node *entry = node->first; !rc && entry; entry = entry->next) {
		int use = 0;

		rc = cv_reader_word(reader, entry, uses, &use);
		set |= (uint32_t)use;
	}
	cv_reader_leave(reader, entered);
	if (rc)
		return rc;
	if (set & CV_USE_LOAD_BALANCER && set != CV_USE_LOAD_BALANCER)
		return cv_reader_fail(reader, node,
				      "spec.allowedUses: LoadBalancer does not go together with "
				      "others; make two pools");
	if (set)
		pool->allowed_uses = set;
	return 0;
}

static int read_vxlan_mode(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	const struct cv_ip_pool *pool = target; /* ipipMode was read before */
	const char *text = node->type == CV_YAML_SCALAR ? node->text : "-";
	char is[CV_READER_IS_MAX];

	if (!*text || !strcmp(text, "Never"))
		return 0;
	if (strcmp(text, "Always") && strcmp(text, "CrossSubnet"))
		return cv_reader_fail(reader, node,
				      "spec.vxlanMode must be Never, %s: Culvert has no VXLAN yet",
				      cv_reader_is(node, is));
	if (pool->ipip_mode != CV_IPIP_NEVER)
		return cv_reader_fail(reader, node,
				      "spec.vxlanMode and spec.ipipMode cannot both be set; delete "
				      "vxlanMode, Culvert has no VXLAN yet");
	return cv_reader_fail(reader, node,
			      "spec.vxlanMode %s: Culvert has no VXLAN yet; write ipipMode: %s "
			      "instead",
			      text, text);
}

/* What Calico's API had before v3, and v3 has no more than the name of. */
static int refuse_old(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	bool is_given;
	int rc;

	(void)target;
	if (!strcmp(node->key, "ipip"))
		return cv_reader_fail_key(reader, node,
					  "spec.ipip is of Calico's API before v3; write ipipMode: "
					  "Always or CrossSubnet");
	rc = cv_reader_bool(reader, node, &is_given);
	if (!rc && is_given)
		return cv_reader_fail_key(reader, node,
					  "spec.nat-outgoing is of Calico's API before v3; write "
					  "natOutgoing: true");
	return rc;
}

static const struct cv_word ipip_modes[] = {
	{"Never", CV_IPIP_NEVER},
	{"Always", CV_IPIP_ALWAYS},
	{"CrossSubnet", CV_IPIP_CROSS_SUBNET},
	{"", CV_IPIP_NEVER},
	{NULL, 0},
};

static int read_assignment(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	static const struct cv_word words[] = {
		{"Automatic", false}, {"Manual", true}, {"", false}, {NULL, 0}};
	struct cv_ip_pool *pool = target;
	int manual, rc = cv_reader_word(reader, node, words, &manual);

	if (!rc)
		pool->manual = manual;
	return rc;
}

#define AT(member) offsetof(struct cv_ip_pool, member)

static const struct cv_field fields[] = {
	{"cidr", CV_FIELD_READ, .is_required = true, .read = read_cidr},
	{"ipipMode", CV_FIELD_WORD, .offset = AT(ipip_mode), .words = ipip_modes},
	{"vxlanMode", CV_FIELD_READ, .read = read_vxlan_mode},
	{"natOutgoing", CV_FIELD_BOOL, .offset = AT(nat_outgoing)},
	{"blockSize", CV_FIELD_READ, .read = read_block_size},
	{"nodeSelector", CV_FIELD_READ, .read = read_node_selector},
	{"namespaceSelector", CV_FIELD_READ, .read = read_namespace_selector},
	{"disabled", CV_FIELD_BOOL, .offset = AT(disabled)},
	{"disableBGPExport", CV_FIELD_BOOL, .offset = AT(disable_bgp_export)},
	{"allowedUses", CV_FIELD_READ, .read = read_uses},
	{"assignmentMode", CV_FIELD_READ, .read = read_assignment},
	{"ipip", CV_FIELD_READ, .read = refuse_old},
	{"nat-outgoing", CV_FIELD_READ, .read = refuse_old},
};

static int init(struct cv_resource *resource)
{
	resource->pool = (struct cv_ip_pool){
		.block_size = BLOCK_SIZE_DEFAULT,
		.allowed_uses = CV_USE_WORKLOAD | CV_USE_TUNNEL,
		.node_selector = strdup("all()"),
	};
	return resource->pool.node_selector ? 0 : -ENOMEM;
}

/* A block is a part of the pool. */
static int check(struct cv_reader *reader, const struct cv_yaml_node *node,
		 struct cv_resource *resource)
{
	const struct cv_yaml_node *spec = cv_yaml_get(node, "spec");
	const struct cv_ip_pool *pool = &resource->pool;
	const struct cv_yaml_node *size = cv_yaml_get(spec, "blockSize");
	char text[CV_PREFIX_TEXT_MAX];

	if (pool->block_size >= pool->cidr.length)
		return 0;
	cv_prefix_format(&pool->cidr, text);
	if (!cv_reader_absent(size))
		return cv_reader_fail(reader, size,
				      "spec.blockSize %u: a block of that size is larger than the "
				      "pool %s; write %u to 32",
				      pool->block_size, text, pool->cidr.length);
	return cv_reader_fail(reader, cv_yaml_get(spec, "cidr"),
			      "spec.cidr %s is smaller than a block, a /%u; add blockSize: %u",
			      text, pool->block_size, pool->cidr.length);
}

static void fini(struct cv_resource *resource)
{
	free(resource->pool.node_selector);
}

const struct cv_kind_reader cv_kind_ip_pool = {
	.spec = {"IPPool spec", fields, sizeof(fields) / sizeof(fields[0])},
	.init = init,
	.look = cv_kind_look_cidr,
	.check = check,
	.fini = fini,
};
