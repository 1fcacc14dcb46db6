/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block's document, read and written. It is written by hand, not as a tree of JSON values: an
 * attribute's text stays as it was, so that a block with 4096 addresses is mostly copied. The order
 * of members is that of Calico's Go struct, that of ordinals in sequenceNumberForAllocation the one
 * of Go's maps, sorted as texts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "ipam/block.h"
#include "ipam/member.h"
#include "model/json.h"

/* ---- reading --------------------------------------------------------------------- */

static int bad(struct cv_error *error, const char *what)
{
	return cv_error_set(error, -EUCLEAN, "%s", what);
}

static int read_cidr(const json_t *root, const struct cv_prefix *cidr, struct cv_error *error)
{
	const char *text = json_string_value(json_object_get(root, "cidr"));
	struct cv_prefix prefix;
	char expected[CV_PREFIX_TEXT_MAX];

	if (text && !cv_prefix_parse(text, &prefix) && !cv_prefix_compare(&prefix, cidr))
		return 0;
	return cv_error_set(error, -EUCLEAN, "cidr is \"%.64s\", not %s as its key says",
			    text ? text : "", cv_prefix_format(cidr, expected));
}

static int read_affinity(const json_t *root, struct cv_block *block, struct cv_error *error)
{
	const json_t *affinity = json_object_get(root, "affinity");
	const json_t *strict = json_object_get(root, "strictAffinity");
	const json_t *deleted = json_object_get(root, "deleted");

	if (affinity && !json_is_null(affinity) && !json_is_string(affinity))
		return bad(error, "affinity is no text");
	if ((strict && !json_is_boolean(strict)) || (deleted && !json_is_boolean(deleted)))
		return bad(error, "strictAffinity or deleted is neither true nor false");
	if (json_is_string(affinity)) {
		block->affinity = strdup(json_string_value(affinity));
		if (!block->affinity)
			return -ENOMEM;
	}
	if (strict)
		block->strict = json_is_true(strict) ? CV_BLOCK_STRICT_TRUE : CV_BLOCK_STRICT_FALSE;
	block->is_deleted = json_is_true(deleted);
	return 0;
}

static int copy_string(const json_t *value, char **ret_text)
{
	if (!json_is_string(value))
		return 0;
	*ret_text = strdup(json_string_value(value));
	return *ret_text ? 0 : -ENOMEM;
}

static int read_attribute(const json_t *value, struct cv_block_attribute *attribute,
			  struct cv_error *error)
{
	const json_t *handle = json_object_get(value, "handle_id");
	const json_t *secondary = json_object_get(value, "secondary");
	const json_t *node = json_object_get(secondary, "node");

	if (!json_is_object(value) ||
	    (handle && !json_is_null(handle) && !json_is_string(handle)) ||
	    (secondary && !json_is_null(secondary) && !json_is_object(secondary)) ||
	    (node && !json_is_string(node)))
		return bad(error, "an attribute is no object with handle_id and secondary");
	attribute->text = json_dumps(value, JSON_COMPACT);
	if (!attribute->text || copy_string(handle, &attribute->handle) ||
	    copy_string(node, &attribute->node))
		return -ENOMEM;
	return 0;
}

static int read_attributes(const json_t *root, struct cv_block *block, struct cv_error *error)
{
	const json_t *values = json_object_get(root, "attributes");
	size_t count = json_array_size(values);
	int rc = 0;

	if (values && !json_is_null(values) && !json_is_array(values))
		return bad(error, "attributes is no list");
	if (!count)
		return 0;
	block->attributes = calloc(count, sizeof(*block->attributes));
	if (!block->attributes)
		return -ENOMEM;
	block->attribute_capacity = (uint32_t)count;
	while (!rc && block->attribute_count < count) {
		/* Counted first, so that what is half read is freed, too. */
		struct cv_block_attribute *attribute = &block->attributes[block->attribute_count];

		rc = read_attribute(json_array_get(values, block->attribute_count++), attribute,
				    error);
	}
	return rc;
}

static int read_allocations(const json_t *root, struct cv_block *block, struct cv_error *error)
{
	const json_t *values = json_object_get(root, "allocations");

	if (!json_is_array(values) || json_array_size(values) != block->size)
		return cv_error_set(error, -EUCLEAN, "allocations is no list of %u", block->size);
	for (uint32_t i = 0; i < block->size; i++) {
		const json_t *value = json_array_get(values, i);
		json_int_t index = json_integer_value(value);

		block->allocations[i] = CV_BLOCK_FREE;
		if (json_is_null(value))
			continue;
		if (!json_is_integer(value) || index < 0 || index >= block->attribute_count)
			return cv_error_set(error, -EUCLEAN,
					    "allocations: that of ordinal %u is neither null nor "
					    "the index of an attribute",
					    i);
		block->allocations[i] = (int32_t)index;
		block->attributes[index].references++;
	}
	return 0;
}

static int queue_ordinals(const json_t *values, struct cv_block *block, bool *is_queued,
			  struct cv_error *error)
{
	for (size_t i = 0; i < json_array_size(values); i++) {
		const json_t *value = json_array_get(values, i);
		json_int_t ordinal = json_integer_value(value);

		if (!json_is_integer(value) || ordinal < 0 || ordinal >= block->size)
			return bad(error, "unallocated: an entry is no ordinal of the block");
		if (is_queued[ordinal])
			return cv_error_set(error, -EUCLEAN, "unallocated: ordinal %d stands twice",
					    (int)ordinal);
		if (block->allocations[ordinal] != CV_BLOCK_FREE)
			return cv_error_set(error, -EUCLEAN,
					    "ordinal %d is both allocated and unallocated",
					    (int)ordinal);
		is_queued[ordinal] = true;
		block->queue[block->queue_count++] = (uint32_t)ordinal;
	}
	for (uint32_t i = 0; i < block->size; i++)
		if (!is_queued[i] && block->allocations[i] == CV_BLOCK_FREE)
			block->queue[block->queue_count++] = i;
	return 0;
}

static int read_queue(const json_t *root, struct cv_block *block, struct cv_error *error)
{
	const json_t *values = json_object_get(root, "unallocated");
	bool *is_queued;
	int rc;

	if (values && !json_is_null(values) && !json_is_array(values))
		return bad(error, "unallocated is no list");
	is_queued = calloc(block->size, sizeof(*is_queued));
	if (!is_queued)
		return -ENOMEM;
	rc = queue_ordinals(values, block, is_queued, error);
	free(is_queued);
	return rc;
}

static int read_sequences(const json_t *root, struct cv_block *block, struct cv_error *error)
{
	json_t *values = json_object_get(root, "sequenceNumberForAllocation"), *value;
	const json_t *number = json_object_get(root, "sequenceNumber");
	const char *name;

	if ((number && (!json_is_integer(number) || json_integer_value(number) < 0)) ||
	    (values && !json_is_null(values) && !json_is_object(values)))
		return bad(error, "sequenceNumber or sequenceNumberForAllocation is malformed");
	block->sequence = (uint64_t)json_integer_value(number);
	json_object_foreach(values, name, value)
	{
		char *end;
		unsigned long ordinal = strtoul(name, &end, 10);

		if (*name < '0' || *name > '9' || *end || ordinal >= block->size ||
		    !json_is_integer(value) || json_integer_value(value) < 0)
			return bad(error, "sequenceNumberForAllocation: an entry is malformed");
		/* Calico leaves those of refused assignments behind. */
		if (block->allocations[ordinal] == CV_BLOCK_FREE)
			continue;
		block->sequences[ordinal] = (uint64_t)json_integer_value(value);
		block->has_sequence[ordinal] = true;
	}
	return 0;
}

static int read_others(const json_t *root, struct cv_block *block)
{
	static const char *const known[] = {
		"cidr",	       "affinity",	 "strictAffinity",
		"allocations", "unallocated",	 "attributes",
		"deleted",     "sequenceNumber", "sequenceNumberForAllocation",
		NULL};

	return cv_member_keep_others(root, known, &block->others);
}

static int read_members(const json_t *root, const struct cv_prefix *cidr, struct cv_block *block,
			struct cv_error *error)
{
	int rc = read_cidr(root, cidr, error);

	if (!rc)
		rc = read_affinity(root, block, error);
	if (!rc)
		rc = read_attributes(root, block, error);
	if (!rc)
		rc = read_allocations(root, block, error);
	if (!rc)
		rc = read_queue(root, block, error);
	if (!rc)
		rc = read_sequences(root, block, error);
	if (!rc)
		rc = read_others(root, block);
	return rc;
}

int cv_block_parse(const char *text, const struct cv_prefix *cidr, struct cv_block *ret_block,
		   struct cv_error *error)
{
	struct cv_block block;
	json_t *root = NULL;
	int rc;

	if (cidr->length < CV_BLOCK_LENGTH_MIN)
		return bad(error, "a block larger than a /20");
	rc = cv_block_init(&block, cidr, NULL, false);
	if (rc)
		return cv_error_set(error, rc, "no memory");
	block.queue_count = 0;
	block.strict = CV_BLOCK_STRICT_ABSENT;
	rc = cv_member_load(text, &root, error);
	if (!rc)
		rc = read_members(root, cidr, &block, error);
	json_decref(root);
	if (rc == -ENOMEM)
		cv_error_set(error, rc, "no memory");
	if (rc)
		cv_block_fini(&block);
	else
		*ret_block = block;
	return rc;
}

/* ---- writing --------------------------------------------------------------------- */

/* By hand: a /20 has thousands of numbers, and snprintf would be a third of an assignment. */
static void print_integer(struct cv_text *out, uint64_t number)
{
	char text[20];
	size_t i = sizeof(text);

	do {
		text[--i] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	cv_text_add(out, text + i, sizeof(text) - i);
}

static void print_allocations(struct cv_text *out, const struct cv_block *block)
{
	cv_json_key(out, "allocations");
	for (uint32_t i = 0; i < block->size; i++) {
		cv_text_add(out, i ? "," : "[", 1);
		if (block->allocations[i] == CV_BLOCK_FREE)
			cv_text_add(out, "null", 4);
		else
			print_integer(out, (uint64_t)block->allocations[i]);
	}
	cv_text_puts(out, "]");
	cv_json_key(out, "unallocated");
	cv_text_puts(out, "[");
	for (uint32_t i = 0; i < block->queue_count; i++) {
		cv_text_add(out, ",", i > 0);
		print_integer(out, block->queue[i]);
	}
	cv_text_puts(out, "]");
}

static void print_attributes(struct cv_text *out, const struct cv_block *block)
{
	cv_json_key(out, "attributes");
	cv_text_puts(out, "[");
	for (uint32_t i = 0; i < block->attribute_count; i++) {
		cv_text_puts(out, i ? "," : "");
		cv_text_puts(out, block->attributes[i].text);
	}
	cv_text_puts(out, "]");
}

/* The number whose decimal text comes next: 0, 1, 10, 100, 101 … 11, 110 … 2. Size: the end. */
static uint32_t next_as_text(uint32_t number, uint32_t size)
{
	if (number && 10 * number < size)
		return 10 * number;
	/* Up to where there is a next sibling. */
	while (number % 10 == 9 || number + 1 >= size) {
		if (number < 10)
			return size;
		number /= 10;
	}
	return number + 1;
}

static void print_sequences(struct cv_text *out, const struct cv_block *block)
{
	bool is_first = true;

	cv_json_key(out, "sequenceNumber");
	print_integer(out, block->sequence);
	cv_json_key(out, "sequenceNumberForAllocation");
	cv_text_puts(out, "{");
	for (uint32_t i = 0; i < block->size; i = next_as_text(i, block->size)) {
		if (!block->has_sequence[i])
			continue;
		cv_text_puts(out, is_first ? "\"" : ",\"");
		print_integer(out, i);
		cv_text_puts(out, "\":");
		print_integer(out, block->sequences[i]);
		is_first = false;
	}
	cv_text_puts(out, "}");
}

char *cv_block_print(const struct cv_block *block)
{
	struct cv_text out = {0};
	char text[CV_PREFIX_TEXT_MAX];

	cv_text_puts(&out, "{");
	cv_json_key(&out, "cidr");
	cv_json_string(&out, cv_prefix_format(&block->cidr, text));
	cv_json_key(&out, "affinity");
	if (block->affinity)
		cv_json_string(&out, block->affinity);
	else
		cv_text_puts(&out, "null");
	if (block->strict != CV_BLOCK_STRICT_ABSENT) {
		cv_json_key(&out, "strictAffinity");
		cv_text_puts(&out, block->strict == CV_BLOCK_STRICT_TRUE ? "true" : "false");
	}
	print_allocations(&out, block);
	print_attributes(&out, block);
	print_sequences(&out, block);
	cv_json_key(&out, "deleted");
	cv_text_puts(&out, block->is_deleted ? "true" : "false");
	cv_text_puts(&out, block->others ? block->others : "");
	cv_text_puts(&out, "}");
	return cv_text_take(&out);
}
