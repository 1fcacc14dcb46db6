/* SPDX-License-Identifier: Apache-2.0 */
/* A survey as others see it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "ipam/state.h"
#include "ipam/survey.h"
#include "wire/bytes.h"

static void free_assignment(struct cv_ipam_assignment *assignment)
{
	free(assignment->handle);
	for (size_t i = 0; i < assignment->attribute_count; i++) {
		free(assignment->attributes[i].name);
		free(assignment->attributes[i].value);
	}
}

void cv_ipam_view_fini(struct cv_ipam_view *view)
{
	for (size_t i = 0; i < view->block_count; i++) {
		struct cv_ipam_block *block = &view->blocks[i];

		for (size_t j = 0; j < block->assignment_count; j++)
			free_assignment(&block->assignments[j]);
		free(block->assignments);
		free(block->node);
	}
	free(view->blocks);
	free(view->faults);
	*view = (struct cv_ipam_view){0};
}

static int read_attributes(const char *text, struct cv_ipam_assignment *assignment)
{
	json_t *root = json_loads(text, 0, NULL), *value;
	const char *name;
	int rc = root ? 0 : -ENOMEM; /* it was read before */

	json_object_foreach(json_object_get(root, "secondary"), name, value)
	{
		size_t i = assignment->attribute_count;

		if (!json_is_string(value) || i == CV_IPAM_ATTRIBUTES_MAX)
			continue;
		assignment->attributes[i].name = strdup(name);
		assignment->attributes[i].value = strdup(json_string_value(value));
		assignment->attribute_count++;
		if (!assignment->attributes[i].name || !assignment->attributes[i].value)
			rc = -ENOMEM;
	}
	json_decref(root);
	return rc;
}

static int add_assignment(const struct cv_block *block, uint32_t ordinal, struct cv_ipam_block *to)
{
	const struct cv_block_attribute *attribute = cv_block_attribute_of(block, ordinal);
	struct cv_ipam_assignment *assignment = &to->assignments[to->assignment_count++];

	assignment->address = cv_block_address(block, ordinal);
	if (attribute->handle) {
		assignment->handle = strdup(attribute->handle);
		if (!assignment->handle)
			return -ENOMEM;
	}
	return read_attributes(attribute->text, assignment);
}

static uint32_t count_holes(const struct cv_block *block, const struct cv_ranges *holes)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < block->size; i++)
		count += cv_ranges_has(holes, cv_block_address(block, i));
	return count;
}

static int show_block(const struct cv_ipam *ipam, const struct cv_survey *survey,
		      const struct cv_survey_block *from, struct cv_ipam_block *to)
{
	const struct cv_block *block = &from->block;
	const char *node = cv_block_node(block);
	int rc = 0;

	to->cidr = from->cidr;
	if (node) {
		to->node = strdup(node);
		if (!to->node)
			return -ENOMEM;
		to->has_affinity = cv_survey_find_affinity(survey, node, &from->cidr);
	}
	to->is_strict = block->strict == CV_BLOCK_STRICT_TRUE;
	to->free = cv_block_count_free(block, &ipam->holes);
	to->holes = count_holes(block, &ipam->holes);
	to->assignments = calloc(cv_block_count_allocated(block) + 1, sizeof(*to->assignments));
	if (!to->assignments)
		return -ENOMEM;
	for (uint32_t i = 0; !rc && i < block->size; i++)
		if (block->allocations[i] != CV_BLOCK_FREE)
			rc = add_assignment(block, i, to);
	return rc;
}

int cv_ipam_look(struct cv_ipam *ipam, struct cv_ipam_view *ret_view, struct cv_error *error)
{
	struct cv_ipam_view view = {0};
	struct cv_survey survey;
	int rc = cv_survey_read(ipam->kv, &ipam->world, &survey, error);

	if (rc)
		return rc;
	view.blocks = calloc(survey.block_count + 1, sizeof(*view.blocks));
	if (!view.blocks)
		rc = -ENOMEM;
	for (size_t i = 0; !rc && i < survey.block_count; i++)
		if (!survey.blocks[i].is_malformed)
			rc = show_block(ipam, &survey, &survey.blocks[i],
					&view.blocks[view.block_count++]);
	view.faults = survey.faults;
	view.fault_count = survey.fault_count;
	survey.faults = NULL;
	cv_survey_fini(&survey);
	if (rc) {
		cv_ipam_view_fini(&view);
		return cv_error_set(error, rc, "no memory");
	}
	*ret_view = view;
	return 0;
}
