/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BlockAffinity and IPReservation (https://docs.tigera.io/calico/latest/reference/resources/):
 * which node owns a prefix, and which addresses nobody may have.
 */
#include "model/kinds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int cv_kind_look_cidr(struct cv_reader *reader, const struct cv_yaml_node *spec)
{
	const struct cv_yaml_node *node = cv_yaml_get(spec, "cidr");
	struct cv_prefix prefix;

	if (!node || node->type != CV_YAML_SCALAR || !strchr(node->text, ':') ||
	    cv_reader_cidr(reader, node, &prefix) != -EAFNOSUPPORT)
		return 0;
	cv_reader_warn(reader, node, "spec.cidr %.64s is IPv6; passed over, Culvert carries IPv4",
		       node->text);
	return CV_KIND_SKIP;
}

/* ---- BlockAffinity --------------------------------------------------------------- */

static int read_cidr(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_block_affinity *affinity = target;
	int rc = cv_reader_cidr(reader, node, &affinity->cidr);

	if (!rc && !affinity->cidr.length)
		return cv_reader_fail(reader, node,
				      "spec.cidr 0.0.0.0/0 is every address there is; give the "
				      "node's own block");
	return rc;
}

/* Of crd.projectcalico.org/v1 it is a string. */
static int read_deleted(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_block_affinity *affinity = target;

	if (node->type == CV_YAML_SCALAR && !node->is_plain &&
	    (!*node->text || !strcmp(node->text, "true") || !strcmp(node->text, "false"))) {
		affinity->deleted = *node->text == 't';
		return 0;
	}
	return cv_reader_bool(reader, node, &affinity->deleted);
}

static void write_deleted(struct cv_text *out, const void *target)
{
	const struct cv_block_affinity *affinity = target;

	cv_text_puts(out, affinity->deleted ? "true" : "false");
}

/* "host", or "virtual": an affinity of no node's. */
static int read_type(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	const char *text;

	(void)target;
	return cv_reader_string(reader, node, &text);
}

static const struct cv_word states[] = {
	{"confirmed", CV_AFFINITY_CONFIRMED},
	{"pending", CV_AFFINITY_PENDING},
	{"pendingDeletion", CV_AFFINITY_PENDING_DELETION},
	{"", CV_AFFINITY_CONFIRMED},
	{NULL, 0},
};

#define AT(member) offsetof(struct cv_block_affinity, member)

static const struct cv_field affinity_fields[] = {
	{"cidr", CV_FIELD_READ, .is_required = true, .read = read_cidr},
	{"node", CV_FIELD_NAME, .is_required = true, .offset = AT(node)},
	{"state", CV_FIELD_WORD, .offset = AT(state), .words = states},
	{"type", CV_FIELD_READ, .read = read_type},
	{"deleted", CV_FIELD_READ, .read = read_deleted, .write = write_deleted},
};

static int look_affinity(struct cv_reader *reader, const struct cv_yaml_node *spec)
{
	const struct cv_yaml_node *type = cv_yaml_get(spec, "type");

	if (!type || type->type != CV_YAML_SCALAR || !*type->text || !strcmp(type->text, "host") ||
	    cv_yaml_resolve(type) != CV_YAML_STRING)
		return cv_kind_look_cidr(reader, spec);
	if (strcmp(type->text, "virtual"))
		return cv_reader_fail(reader, type,
				      "spec.type must be host or virtual, not \"%.64s\"",
				      type->text);
	cv_reader_warn(reader, type,
		       "spec.type virtual: passed over, the block is no node's but a service's");
	return CV_KIND_SKIP;
}

static void fini_affinity(struct cv_resource *resource)
{
	free(resource->affinity.node);
}

const struct cv_kind_reader cv_kind_block_affinity = {
	.spec = {"BlockAffinity spec", affinity_fields,
		 sizeof(affinity_fields) / sizeof(affinity_fields[0])},
	.look = look_affinity,
	.fini = fini_affinity,
};

/* ---- IPReservation --------------------------------------------------------------- */

static int read_reserved(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_ip_reservation *reservation = target;

	return cv_reader_prefixes(reader, node, CV_ENTRY_CIDR | CV_ENTRY_ADDRESS,
				  &reservation->cidrs, &reservation->count);
}

static const struct cv_field reservation_fields[] = {
	{"reservedCIDRs", CV_FIELD_READ, .read = read_reserved},
};

static void fini_reservation(struct cv_resource *resource)
{
	free(resource->reservation.cidrs);
}

const struct cv_kind_reader cv_kind_ip_reservation = {
	.spec = {"IPReservation spec", reservation_fields,
		 sizeof(reservation_fields) / sizeof(reservation_fields[0])},
	.fini = fini_reservation,
};
