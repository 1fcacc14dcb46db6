/* SPDX-License-Identifier: Apache-2.0 */
/* What does not fit together in a survey. */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "ipam/survey.h"

const char *cv_ipam_fault_name(enum cv_ipam_fault_kind kind)
{
	static const char *const names[] = {
		[CV_IPAM_FAULT_HANDLE_COUNT] = "handle-count",
		[CV_IPAM_FAULT_HANDLE_MISSING] = "handle-missing",
		[CV_IPAM_FAULT_AFFINITY_MISSING] = "affinity-missing",
		[CV_IPAM_FAULT_AFFINITY_STRAY] = "affinity-stray",
		[CV_IPAM_FAULT_NODE_GONE] = "node-gone",
		[CV_IPAM_FAULT_OVERLAP] = "overlap",
		[CV_IPAM_FAULT_NO_POOL] = "no-pool",
		[CV_IPAM_FAULT_MALFORMED] = "malformed",
	};

	return names[kind];
}

/* ---- handles --------------------------------------------------------------------- */

static uint32_t used_in(const struct cv_survey_use *uses, size_t count,
			const struct cv_prefix *block)
{
	for (size_t i = 0; i < count; i++)
		if (!cv_prefix_compare(&uses[i].block, block))
			return uses[i].addresses;
	return 0;
}

static bool is_malformed_block(const struct cv_survey *survey, const struct cv_prefix *cidr)
{
	const struct cv_survey_block *block = cv_survey_find_block(survey, cidr);

	return block && block->is_malformed;
}

/* What a handle counts and what the blocks have; a block that cannot be read has what is counted.
 */
static int judge_handle(const struct cv_survey *survey, const struct cv_survey_handle *handle,
			struct cv_vector *faults)
{
	size_t count;
	const struct cv_survey_use *uses = cv_survey_uses_of(survey, handle->name, &count);
	char key[CV_IPAM_KEY_MAX], text[CV_PREFIX_TEXT_MAX];
	uint32_t counted, used;

	cv_ipam_key_handle(handle->name, key);
	for (size_t i = 0; i < handle->handle.count; i++) {
		const struct cv_handle_count *item = &handle->handle.counts[i];

		used = item->is_ipv4 ? used_in(uses, count, &item->block) : 0;
		if (!item->is_ipv4 || used == item->addresses ||
		    is_malformed_block(survey, &item->block))
			continue;
		return cv_survey_fault(faults, CV_IPAM_FAULT_HANDLE_COUNT, true, key,
				       "it counts %u in block %s, which has %u of it",
				       item->addresses, item->text, used);
	}
	for (size_t i = 0; i < count; i++) {
		counted = cv_handle_in(&handle->handle, &uses[i].block);
		if (counted)
			continue;
		return cv_survey_fault(faults, CV_IPAM_FAULT_HANDLE_COUNT, true, key,
				       "it counts none in block %s, which has %u of it",
				       cv_prefix_format(&uses[i].block, text), uses[i].addresses);
	}
	if (!handle->handle.count && !count)
		return cv_survey_fault(faults, CV_IPAM_FAULT_HANDLE_COUNT, true, key,
				       "it has no address");
	return 0;
}

static int judge_handles(const struct cv_survey *survey, struct cv_vector *faults)
{
	char key[CV_IPAM_KEY_MAX], text[CV_PREFIX_TEXT_MAX];
	int rc = 0;

	for (size_t i = 0; !rc && i < survey->handle_count; i++)
		if (!survey->handles[i].is_malformed)
			rc = judge_handle(survey, &survey->handles[i], faults);
	for (size_t i = 0; !rc && i < survey->use_count; i++) {
		const struct cv_survey_use *use = &survey->uses[i];
		bool is_key = cv_ipam_key_allows_handle(use->handle);

		if ((i && !strcmp(survey->uses[i - 1].handle, use->handle)) ||
		    cv_survey_find_handle(survey, use->handle))
			continue;
		/* Calico's early host-local migration left handles that can be no key. */
		cv_ipam_key_handle(is_key ? use->handle : "?", key);
		rc = cv_survey_fault(faults, CV_IPAM_FAULT_HANDLE_MISSING, is_key, key,
				     "it is missing: block %s has %u address%s of it",
				     cv_prefix_format(&use->block, text), use->addresses,
				     use->addresses == 1 ? "" : "es");
	}
	return rc;
}

/* ---- blocks and affinities ------------------------------------------------------- */

bool cv_survey_is_gone(const struct cv_ipam_world *world, const char *node)
{
	/* On one host, with its own store, another name is what the host was called before. */
	if (!world->claims || !world->node_count || !strcmp(world->node, node))
		return false;
	for (size_t i = 0; i < world->node_count; i++)
		if (!strcmp(world->nodes[i], node))
			return false;
	return true;
}

static bool is_in_pool(const struct cv_ipam_world *world, const struct cv_prefix *cidr)
{
	for (size_t i = 0; i < world->pool_count; i++)
		if (cv_prefix_contains(&world->pools[i].cidr, cidr))
			return true;
	return false;
}

/* A block, or addresses of it, of a node that is no more. */
static int judge_gone(struct cv_vector *faults, const char *key, const char *node, bool is_owner)
{
	struct cv_ipam_fault *fault;
	int rc = cv_survey_fault(faults, CV_IPAM_FAULT_NODE_GONE, true, key,
				 is_owner ? "its node %.200s is no more"
					  : "node %.180s, which is no more, has addresses of it",
				 node);

	if (rc)
		return rc;
	fault = cv_vector_at(faults, faults->count - 1);
	snprintf(fault->node, sizeof(fault->node), "%s", node);
	return 0;
}

static int judge_owner(const struct cv_survey *survey, const struct cv_ipam_world *world,
		       const struct cv_survey_block *block, const char *key,
		       struct cv_vector *faults)
{
	const char *node = cv_block_node(&block->block);
	const struct cv_survey_affinity *affinity;

	if (!node)
		return 0;
	if (cv_survey_is_gone(world, node))
		return judge_gone(faults, key, node, true);
	affinity = cv_survey_find_affinity(survey, node, &block->cidr);
	if (affinity && affinity->is_malformed)
		return 0;
	if (!affinity)
		return cv_survey_fault(faults, CV_IPAM_FAULT_AFFINITY_MISSING, true, key,
				       "it is of node %.180s, which has no affinity to it", node);
	if (affinity->affinity.state != CV_IPAM_CONFIRMED)
		return cv_survey_fault(faults, CV_IPAM_FAULT_AFFINITY_MISSING, true, key,
				       "it is of node %.180s, whose affinity is not confirmed",
				       node);
	return 0;
}

/* Whether an attribute before this one says the same node. */
static bool is_repeated(const struct cv_block *block, uint32_t index)
{
	for (uint32_t i = 0; i < index; i++) {
		const struct cv_block_attribute *attribute = &block->attributes[i];

		if (attribute->node && attribute->references &&
		    !strcmp(attribute->node, block->attributes[index].node))
			return true;
	}
	return false;
}

/* Nodes that are gone, and had borrowed of a block that is not theirs. */
static int judge_borrowers(const struct cv_ipam_world *world, const struct cv_survey_block *block,
			   const char *key, struct cv_vector *faults)
{
	const char *owner = cv_block_node(&block->block);
	int rc = 0;

	for (uint32_t i = 0; !rc && i < block->block.attribute_count; i++) {
		const struct cv_block_attribute *attribute = &block->block.attributes[i];

		if (!attribute->node || !attribute->references ||
		    (owner && !strcmp(owner, attribute->node)) ||
		    !cv_survey_is_gone(world, attribute->node) || is_repeated(&block->block, i))
			continue;
		rc = judge_gone(faults, key, attribute->node, false);
	}
	return rc;
}

static int judge_block(const struct cv_survey *survey, const struct cv_ipam_world *world,
		       const struct cv_survey_block *block, struct cv_vector *faults)
{
	uint32_t used = cv_block_count_allocated(&block->block);
	char key[CV_IPAM_KEY_MAX];
	int rc;

	cv_ipam_key_block(&block->cidr, key);
	rc = judge_owner(survey, world, block, key, faults);
	if (!rc)
		rc = judge_borrowers(world, block, key, faults);
	if (!rc && !is_in_pool(world, &block->cidr))
		rc = cv_survey_fault(faults, CV_IPAM_FAULT_NO_POOL, !used, key,
				     "it is in no pool, and %u of its addresses are in use", used);
	return rc;
}

static int judge_overlaps(const struct cv_survey *survey, struct cv_vector *faults)
{
	char key[CV_IPAM_KEY_MAX], text[CV_PREFIX_TEXT_MAX];
	size_t outer = 0;
	int rc = 0;

	for (size_t i = 1; !rc && i < survey->block_count; i++) {
		const struct cv_prefix *cidr = &survey->blocks[i].cidr;

		if (!cv_prefix_contains(&survey->blocks[outer].cidr, cidr)) {
			outer = i;
			continue;
		}
		rc = cv_survey_fault(faults, CV_IPAM_FAULT_OVERLAP, false,
				     cv_ipam_key_block(cidr, key),
				     "its addresses are also block %s's; release those of one, "
				     "then delete it",
				     cv_prefix_format(&survey->blocks[outer].cidr, text));
	}
	return rc;
}

static int judge_affinity(const struct cv_survey *survey, const struct cv_survey_affinity *affinity,
			  struct cv_vector *faults)
{
	const struct cv_survey_block *block = cv_survey_find_block(survey, &affinity->cidr);
	const char *owner;
	char key[CV_IPAM_KEY_MAX];

	cv_ipam_key_affinity(affinity->node, &affinity->cidr, key);
	if (!block)
		return cv_survey_fault(faults, CV_IPAM_FAULT_AFFINITY_STRAY, true, key,
				       "its block is missing");
	if (block->is_malformed || cv_block_is_of(&block->block, affinity->node))
		return 0;
	owner = cv_block_node(&block->block);
	return cv_survey_fault(faults, CV_IPAM_FAULT_AFFINITY_STRAY, true, key,
			       "its block is %.180s's", owner ? owner : "nobody");
}

int cv_survey_judge(const struct cv_survey *survey, const struct cv_ipam_world *world,
		    struct cv_vector *faults)
{
	int rc = judge_overlaps(survey, faults);

	for (size_t i = 0; !rc && i < survey->block_count; i++)
		if (!survey->blocks[i].is_malformed)
			rc = judge_block(survey, world, &survey->blocks[i], faults);
	for (size_t i = 0; !rc && i < survey->affinity_count; i++)
		if (!survey->affinities[i].is_malformed)
			rc = judge_affinity(survey, &survey->affinities[i], faults);
	if (!rc)
		rc = judge_handles(survey, faults);
	return rc;
}
