/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading all documents. The three lists are not of one moment: what is committed between them
 * looks like a fault. So a fault counts only if it is seen twice (the caller), and is mended by a
 * commit that compares (fix.c).
 */
#include "ipam/survey.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cv_survey_fault(struct cv_vector *faults, enum cv_ipam_fault_kind kind, bool is_fixable,
		    const char *key, const char *format, ...)
{
	struct cv_ipam_fault fault = {.kind = kind, .is_fixable = is_fixable};
	va_list arguments;

	snprintf(fault.key, sizeof(fault.key), "%s", key);
	va_start(arguments, format);
	vsnprintf(fault.text, sizeof(fault.text), format, arguments);
	va_end(arguments);
	return cv_vector_append(faults, &fault);
}

static int malformed(struct cv_vector *faults, const char *key, const struct cv_error *why)
{
	return cv_survey_fault(faults, CV_IPAM_FAULT_MALFORMED, false, key,
			       "it is malformed and nothing is done with it: %.180s", why->text);
}

/* ---- decoding -------------------------------------------------------------------- */

static int decode_block(const struct cv_kv_item *item, struct cv_vector *blocks,
			struct cv_vector *faults)
{
	struct cv_survey_block block = {.revision = item->revision};
	struct cv_error why = {"its key is no block's"};
	int rc;

	if (!cv_ipam_key_is_block(item->key, &block.cidr))
		return malformed(faults, item->key, &why);
	rc = cv_block_parse(item->value, &block.cidr, &block.block, &why);
	block.is_malformed = rc == -EUCLEAN;
	if (block.is_malformed)
		rc = malformed(faults, item->key, &why);
	if (!rc)
		rc = cv_vector_append(blocks, &block);
	if (rc)
		cv_block_fini(&block.block);
	return rc;
}

static int decode_affinity(const struct cv_kv_item *item, struct cv_vector *affinities,
			   struct cv_vector *faults)
{
	struct cv_survey_affinity affinity = {.revision = item->revision};
	struct cv_error why;
	int rc;

	/* Beside blocks, other things of hosts may be there: IPv6, tunnels' settings. */
	if (!cv_ipam_key_is_affinity(item->key, affinity.node, &affinity.cidr))
		return 0;
	rc = cv_affinity_parse(item->value, &affinity.affinity, &why);
	affinity.is_malformed = rc == -EUCLEAN;
	if (affinity.is_malformed)
		rc = malformed(faults, item->key, &why);
	if (!rc)
		rc = cv_vector_append(affinities, &affinity);
	if (rc)
		cv_affinity_fini(&affinity.affinity);
	return rc;
}

static int decode_handle(const struct cv_kv_item *item, struct cv_vector *handles,
			 struct cv_vector *faults)
{
	struct cv_survey_handle handle = {.revision = item->revision};
	struct cv_error why = {"its key is no handle's"};
	const char *name;
	int rc;

	if (!cv_ipam_key_is_handle(item->key, &name))
		return malformed(faults, item->key, &why);
	handle.name = strdup(name);
	if (!handle.name)
		return -ENOMEM;
	rc = cv_handle_parse(item->value, &handle.handle, &why);
	handle.is_malformed = rc == -EUCLEAN;
	if (handle.is_malformed)
		rc = malformed(faults, item->key, &why);
	if (!rc)
		rc = cv_vector_append(handles, &handle);
	if (rc) {
		cv_handle_fini(&handle.handle);
		free(handle.name);
	}
	return rc;
}

typedef int (*decoder)(const struct cv_kv_item *item, struct cv_vector *items,
		       struct cv_vector *faults);

static int read_list(struct cv_kv *kv, const char *prefix, decoder decode, struct cv_vector *items,
		     struct cv_vector *faults, struct cv_error *error)
{
	struct cv_kv_list list;
	int rc = cv_kv_list(kv, prefix, &list, error);

	if (rc)
		return rc;
	for (size_t i = 0; !rc && i < list.count; i++)
		rc = decode(&list.items[i], items, faults);
	cv_kv_list_fini(&list);
	return rc ? cv_error_set(error, rc, "no memory") : 0;
}

/* ---- order ----------------------------------------------------------------------- */

static int compare_blocks(const void *a, const void *b)
{
	const struct cv_survey_block *x = a, *y = b;

	return cv_prefix_compare(&x->cidr, &y->cidr);
}

static int compare_affinities(const void *a, const void *b)
{
	const struct cv_survey_affinity *x = a, *y = b;
	int order = cv_prefix_compare(&x->cidr, &y->cidr);

	return order ? order : strcmp(x->node, y->node);
}

static int compare_handles(const void *a, const void *b)
{
	const struct cv_survey_handle *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int compare_uses(const void *a, const void *b)
{
	const struct cv_survey_use *x = a, *y = b;
	int order = strcmp(x->handle, y->handle);

	return order ? order : cv_prefix_compare(&x->block, &y->block);
}

static void sort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *))
{
	if (count)
		qsort(items, count, size, compare);
}

static const void *find(const void *wanted, const void *items, size_t count, size_t size,
			int (*compare)(const void *, const void *))
{
	return count ? bsearch(wanted, items, count, size, compare) : NULL;
}

const struct cv_survey_block *cv_survey_find_block(const struct cv_survey *survey,
						   const struct cv_prefix *cidr)
{
	struct cv_survey_block wanted = {.cidr = *cidr};

	return find(&wanted, survey->blocks, survey->block_count, sizeof(wanted), compare_blocks);
}

const struct cv_survey_affinity *cv_survey_find_affinity(const struct cv_survey *survey,
							 const char *node,
							 const struct cv_prefix *cidr)
{
	struct cv_survey_affinity wanted = {.cidr = *cidr};

	snprintf(wanted.node, sizeof(wanted.node), "%s", node);
	return find(&wanted, survey->affinities, survey->affinity_count, sizeof(wanted),
		    compare_affinities);
}

const struct cv_survey_handle *cv_survey_find_handle(const struct cv_survey *survey,
						     const char *name)
{
	struct cv_survey_handle wanted = {.name = (char *)(uintptr_t)name};

	return find(&wanted, survey->handles, survey->handle_count, sizeof(wanted),
		    compare_handles);
}

const struct cv_survey_use *cv_survey_uses_of(const struct cv_survey *survey, const char *handle,
					      size_t *ret_count)
{
	size_t low = 0, high = survey->use_count, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(survey->uses[middle].handle, handle) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < survey->use_count && !strcmp(survey->uses[end].handle, handle);)
		end++;
	*ret_count = end - low;
	return survey->uses ? survey->uses + low : NULL;
}

/* ---- who has what ---------------------------------------------------------------- */

static int add_uses(const struct cv_survey_block *block, struct cv_vector *uses)
{
	for (uint32_t i = 0; i < block->block.attribute_count; i++) {
		const struct cv_block_attribute *attribute = &block->block.attributes[i];
		struct cv_survey_use use = {attribute->handle, block->cidr, attribute->references};

		if (use.handle && use.addresses && cv_vector_append(uses, &use))
			return -ENOMEM;
	}
	return 0;
}

/* A handle may have several attributes in one block. */
static void sum_uses(struct cv_survey *survey)
{
	size_t count = 0;

	for (size_t i = 0; i < survey->use_count; i++) {
		struct cv_survey_use *last = &survey->uses[count ? count - 1 : 0];

		if (count && !compare_uses(last, &survey->uses[i]))
			last->addresses += survey->uses[i].addresses;
		else
			survey->uses[count++] = survey->uses[i];
	}
	survey->use_count = count;
}

static int find_uses(struct cv_survey *survey)
{
	struct cv_vector uses;
	int rc = 0;

	cv_vector_init(&uses, sizeof(struct cv_survey_use));
	for (size_t i = 0; !rc && i < survey->block_count; i++)
		rc = add_uses(&survey->blocks[i], &uses);
	survey->uses = uses.items;
	survey->use_count = uses.count;
	sort(survey->uses, survey->use_count, sizeof(*survey->uses), compare_uses);
	sum_uses(survey);
	return rc;
}

/* ---- all of it ------------------------------------------------------------------- */

void cv_survey_fini(struct cv_survey *survey)
{
	for (size_t i = 0; i < survey->block_count; i++)
		cv_block_fini(&survey->blocks[i].block);
	for (size_t i = 0; i < survey->affinity_count; i++)
		cv_affinity_fini(&survey->affinities[i].affinity);
	for (size_t i = 0; i < survey->handle_count; i++) {
		cv_handle_fini(&survey->handles[i].handle);
		free(survey->handles[i].name);
	}
	free(survey->blocks);
	free(survey->affinities);
	free(survey->handles);
	free(survey->uses);
	free(survey->faults);
	*survey = (struct cv_survey){0};
}

static int read_lists(struct cv_kv *kv, struct cv_survey *survey, struct cv_vector *faults,
		      struct cv_error *error)
{
	struct cv_vector blocks, affinities, handles;
	int rc;

	cv_vector_init(&blocks, sizeof(struct cv_survey_block));
	cv_vector_init(&affinities, sizeof(struct cv_survey_affinity));
	cv_vector_init(&handles, sizeof(struct cv_survey_handle));
	rc = read_list(kv, CV_IPAM_KEY_BLOCKS, decode_block, &blocks, faults, error);
	if (!rc)
		rc = read_list(kv, CV_IPAM_KEY_HOSTS, decode_affinity, &affinities, faults, error);
	if (!rc)
		rc = read_list(kv, CV_IPAM_KEY_HANDLES, decode_handle, &handles, faults, error);
	survey->blocks = blocks.items;
	survey->block_count = blocks.count;
	survey->affinities = affinities.items;
	survey->affinity_count = affinities.count;
	survey->handles = handles.items;
	survey->handle_count = handles.count;
	sort(blocks.items, blocks.count, blocks.item_size, compare_blocks);
	sort(affinities.items, affinities.count, affinities.item_size, compare_affinities);
	sort(handles.items, handles.count, handles.item_size, compare_handles);
	return rc;
}

int cv_survey_read(struct cv_kv *kv, const struct cv_ipam_world *world,
		   struct cv_survey *ret_survey, struct cv_error *error)
{
	struct cv_survey survey = {0};
	struct cv_vector faults;
	int rc;

	cv_vector_init(&faults, sizeof(struct cv_ipam_fault));
	rc = read_lists(kv, &survey, &faults, error);
	if (!rc && (find_uses(&survey) || cv_survey_judge(&survey, world, &faults)))
		rc = cv_error_set(error, -ENOMEM, "no memory");
	survey.faults = faults.items;
	survey.fault_count = faults.count;
	if (rc)
		cv_survey_fini(&survey);
	else
		*ret_survey = survey;
	return rc;
}
