/* SPDX-License-Identifier: Apache-2.0 */
/* How each kind of resource is read: its table of fields, and what a table cannot say. */
#ifndef CV_MODEL_KINDS_H
#define CV_MODEL_KINDS_H

#include "model/resource.h"
#include "model/schema.h"

enum {
	CV_KIND_SKIP = 1 /* of check: the resource is passed over; it was warned of */
};

struct cv_kind_reader {
	struct cv_schema spec;
	/* Make the target: its defaults. 0 or -ENOMEM. NULL: all is zero. */
	int (*init)(struct cv_resource *resource);
	/*
	 * Look at the spec before its fields are read. 0, CV_KIND_SKIP or -EINVAL. NULL: nothing
	 * to look at.
	 */
	int (*look)(struct cv_reader *reader, const struct cv_yaml_node *spec);
	/*
	 * Check the fields against each other, and the name. node: the resource. 0, CV_KIND_SKIP,
	 * -EINVAL. NULL: nothing to check.
	 */
	int (*check)(struct cv_reader *reader, const struct cv_yaml_node *node,
		     struct cv_resource *resource);
	/* Free what the target owns; it may be half read. NULL: nothing. */
	void (*fini)(struct cv_resource *resource);
};

extern const struct cv_kind_reader cv_kind_ip_pool;
extern const struct cv_kind_reader cv_kind_node;
extern const struct cv_kind_reader cv_kind_block_affinity;
extern const struct cv_kind_reader cv_kind_ip_reservation;
extern const struct cv_kind_reader cv_kind_felix_configuration;
extern const struct cv_kind_reader cv_kind_tunnel;
extern const struct cv_kind_reader cv_kind_workload;
extern const struct cv_kind_reader cv_kind_path_configuration;
extern const struct cv_kind_reader cv_kind_bgp_configuration;
extern const struct cv_kind_reader cv_kind_bgp_peer;
extern const struct cv_kind_reader cv_kind_bgp_filter;
extern const struct cv_kind_reader cv_kind_ipam_configuration;

const struct cv_kind_reader *cv_kind_reader(enum cv_kind kind);

/* Where a field goes: what cv_schema_read gets as target. */
void *cv_kind_target(struct cv_resource *resource);

/* For look: 0, or CV_KIND_SKIP with a warning if spec.cidr is an IPv6 prefix. */
int cv_kind_look_cidr(struct cv_reader *reader, const struct cv_yaml_node *spec);

#endif
