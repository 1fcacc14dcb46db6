/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the documents of address management. Input: a line with a block's prefix, then a document,
 * which is read as a block, a handle and an affinity. Beyond memory errors it demands: what was
 * read and written is read to the same again; an address is free or somebody's, never both; every
 * address of a block that was read can be given and taken back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ipam/affinity.h"
#include "ipam/block.h"
#include "ipam/handle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void check_block(const struct cv_block *block)
{
	uint32_t free_count = 0, references = 0;

	for (uint32_t i = 0; i < block->size; i++) {
		const struct cv_block_attribute *attribute = cv_block_attribute_of(block, i);

		free_count += !attribute;
		demand(cv_block_has(block, i, NULL) == (attribute != NULL));
		demand(cv_block_ordinal(block, cv_block_address(block, i)) == i);
	}
	for (uint32_t i = 0; i < block->attribute_count; i++)
		references += block->attributes[i].references;
	demand(free_count == block->queue_count);
	demand(references == cv_block_count_allocated(block));
}

static void use_block(struct cv_block *block)
{
	struct cv_ranges none = {0};
	uint32_t ordinal;

	while (cv_block_next(block, &none, &ordinal))
		demand(!cv_block_assign(block, ordinal, "h", "n", "{\"handle_id\":\"h\"}"));
	check_block(block);
	for (uint32_t i = 0; i < block->size; i++)
		cv_block_release(block, i);
	check_block(block);
	demand(block->queue_count == block->size);
}

static void try_block(const char *text, const struct cv_prefix *cidr)
{
	struct cv_block block, again;
	struct cv_error error = {""};
	char *printed, *second;

	if (cv_block_parse(text, cidr, &block, &error)) {
		demand(*error.text);
		return;
	}
	check_block(&block);
	printed = cv_block_print(&block);
	demand(printed && !cv_block_parse(printed, cidr, &again, &error));
	second = cv_block_print(&again);
	demand(second && !strcmp(printed, second));
	use_block(&again);
	free(printed);
	free(second);
	cv_block_fini(&block);
	cv_block_fini(&again);
}

static void try_handle(const char *text, const struct cv_prefix *cidr)
{
	struct cv_handle handle, again;
	struct cv_error error = {""};
	char *printed;

	if (cv_handle_parse(text, &handle, &error)) {
		demand(*error.text);
		return;
	}
	demand(!cv_handle_set(&handle, cidr, 3) && cv_handle_in(&handle, cidr) == 3);
	printed = cv_handle_print(&handle);
	demand(printed && !cv_handle_parse(printed, &again, &error));
	demand(again.count == handle.count && cv_handle_in(&again, cidr) == 3);
	demand(!cv_handle_set(&again, cidr, 0) && !cv_handle_in(&again, cidr));
	free(printed);
	cv_handle_fini(&handle);
	cv_handle_fini(&again);
}

static void try_affinity(const char *text)
{
	struct cv_affinity affinity, again;
	struct cv_error error = {""};
	char *printed;

	if (cv_affinity_parse(text, &affinity, &error)) {
		demand(*error.text);
		return;
	}
	printed = cv_affinity_print(&affinity);
	demand(printed && !cv_affinity_parse(printed, &again, &error));
	demand(again.state == affinity.state && again.is_deleted == affinity.is_deleted);
	free(printed);
	cv_affinity_fini(&affinity);
	cv_affinity_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1), *document;
	struct cv_prefix cidr;

	memcpy(text, data, size);
	document = strchr(text, '\n');
	if (document) {
		*document++ = '\0';
		if (!cv_prefix_parse(text, &cidr)) {
			/* A /20 for each input would be slow. */
			if (cidr.length >= 26 || cidr.length < CV_BLOCK_LENGTH_MIN)
				try_block(document, &cidr);
			try_handle(document, &cidr);
		}
		try_affinity(document);
	}
	free(text);
	return 0;
}
