/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPAMConfiguration (https://docs.tigera.io/calico/latest/reference/resources/ipamconfig): how
 * nodes come by blocks. One, "default".
 */
#include "model/kinds.h"

#include <string.h>

enum {
	BLOCKS_MAX = 1 << 20
};

#define AT(member) offsetof(struct cv_ipam_configuration, member)

static int read_max_blocks(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_ipam_configuration *ipam = target;
	long long value;
	int rc = cv_reader_integer(reader, node, 0, BLOCKS_MAX, &value);

	if (!rc)
		ipam->max_blocks = (uint32_t)value;
	return rc;
}

/* Disabled is what we do. */
static int read_persistence(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	static const struct cv_word words[] = {
		{"Enabled", true}, {"Disabled", false}, {"", false}, {NULL, 0}};
	int is_enabled, rc = cv_reader_word(reader, node, words, &is_enabled);

	(void)target;
	if (!rc && is_enabled)
		cv_reader_warn(reader, node,
			       "spec.kubeVirtVMAddressPersistence is not acted on: a virtual "
			       "machine that moves gets another address");
	return rc;
}

static const struct cv_field fields[] = {
	{"strictAffinity", CV_FIELD_BOOL, .offset = AT(strict_affinity)},
	{"autoAllocateBlocks", CV_FIELD_BOOL, .offset = AT(auto_allocate_blocks)},
	{"maxBlocksPerHost", CV_FIELD_READ, .read = read_max_blocks},
	{"kubeVirtVMAddressPersistence", CV_FIELD_READ, .read = read_persistence},
};
#undef AT

static int init(struct cv_resource *resource)
{
	cv_ipam_configuration_init(&resource->ipam);
	return 0;
}

static int check(struct cv_reader *reader, const struct cv_yaml_node *node,
		 struct cv_resource *resource)
{
	if (!strcmp(resource->name, "default"))
		return 0;
	return cv_reader_fail(reader, cv_yaml_get(cv_yaml_get(node, "metadata"), "name"),
			      "metadata.name: the only IPAMConfiguration is \"default\"; rename "
			      "%s, or write its fields there",
			      resource->name);
}

const struct cv_kind_reader cv_kind_ipam_configuration = {
	.spec = {"IPAMConfiguration spec", fields, sizeof(fields) / sizeof(fields[0])},
	.init = init,
	.check = check,
};

void cv_ipam_configuration_init(struct cv_ipam_configuration *ret_ipam)
{
	*ret_ipam = (struct cv_ipam_configuration){.auto_allocate_blocks = true};
}
