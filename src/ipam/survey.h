/* SPDX-License-Identifier: Apache-2.0 */
/* All documents of a store, decoded, and what does not fit together in them. */
#ifndef CV_IPAM_SURVEY_H
#define CV_IPAM_SURVEY_H

#include "ipam/affinity.h"
#include "ipam/block.h"
#include "ipam/handle.h"
#include "ipam/ipam.h"
#include "ipam/key.h"
#include "net/vector.h"

struct cv_survey_block {
	struct cv_prefix cidr;
	int64_t revision;
	bool is_malformed; /* block is empty */
	struct cv_block block;
};

struct cv_survey_affinity {
	char node[CV_IPAM_NODE_MAX];
	struct cv_prefix cidr;
	int64_t revision;
	bool is_malformed;
	struct cv_affinity affinity;
};

struct cv_survey_handle {
	char *name;
	int64_t revision;
	bool is_malformed;
	struct cv_handle handle;
};

/* So many addresses of a handle in a block, as the blocks say. */
struct cv_survey_use {
	const char *handle; /* the survey's */
	struct cv_prefix block;
	uint32_t addresses;
};

struct cv_survey {
	struct cv_survey_block *blocks; /* sorted by cidr */
	size_t block_count;
	struct cv_survey_affinity *affinities; /* sorted by cidr, then node */
	size_t affinity_count;
	struct cv_survey_handle *handles; /* sorted by name */
	size_t handle_count;
	struct cv_survey_use *uses; /* sorted by handle, then block */
	size_t use_count;
	struct cv_ipam_fault *faults;
	size_t fault_count;
};

/* 0 or an error of the kv. cv_survey_fini frees. */
int cv_survey_read(struct cv_kv *kv, const struct cv_ipam_world *world,
		   struct cv_survey *ret_survey, struct cv_error *error);
void cv_survey_fini(struct cv_survey *survey);

/* NULL: there is none. */
const struct cv_survey_block *cv_survey_find_block(const struct cv_survey *survey,
						   const struct cv_prefix *cidr);
const struct cv_survey_affinity *cv_survey_find_affinity(const struct cv_survey *survey,
							 const char *node,
							 const struct cv_prefix *cidr);
const struct cv_survey_handle *cv_survey_find_handle(const struct cv_survey *survey,
						     const char *name);

/* The uses of a handle: *ret_count of them. */
const struct cv_survey_use *cv_survey_uses_of(const struct cv_survey *survey, const char *handle,
					      size_t *ret_count);

/* For cv_survey_read: find the faults; those of malformed documents are there. 0 or -ENOMEM. */
int cv_survey_judge(const struct cv_survey *survey, const struct cv_ipam_world *world,
		    struct cv_vector *faults);

/* Whether there is no such node any more, as far as the world knows of any. */
bool cv_survey_is_gone(const struct cv_ipam_world *world, const char *node);

/* Add a fault. 0 or -ENOMEM. */
int cv_survey_fault(struct cv_vector *faults, enum cv_ipam_fault_kind kind, bool is_fixable,
		    const char *key, const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
