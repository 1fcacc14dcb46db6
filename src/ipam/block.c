/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block in memory. Blocks are small, /26 as a rule, and at most 4096 addresses: what is looked
 * for is looked for one by one.
 */
#include "ipam/block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wire/bytes.h"

static const char host_affinity[] = "host:";

/* ---- making ---------------------------------------------------------------------- */

static int make_arrays(struct cv_block *block)
{
	block->size = UINT32_C(1) << (32 - block->cidr.length);
	block->allocations = calloc(block->size, sizeof(*block->allocations));
	block->queue = calloc(block->size, sizeof(*block->queue));
	block->sequences = calloc(block->size, sizeof(*block->sequences));
	block->has_sequence = calloc(block->size, sizeof(*block->has_sequence));
	return block->allocations && block->queue && block->sequences && block->has_sequence
		       ? 0
		       : -ENOMEM;
}

int cv_block_init(struct cv_block *ret_block, const struct cv_prefix *cidr, const char *node,
		  bool is_strict)
{
	struct cv_block block = {.cidr = *cidr};
	struct timespec now;
	int rc = make_arrays(&block);

	if (!rc)
		rc = cv_block_set_node(&block, node);
	if (rc) {
		cv_block_fini(&block);
		return rc;
	}
	block.strict = is_strict ? CV_BLOCK_STRICT_TRUE : CV_BLOCK_STRICT_FALSE;
	/* A block that is given back and claimed again gives the same addresses: never with the
	 * same number. */
	clock_gettime(CLOCK_REALTIME, &now);
	block.sequence = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
	block.queue_count = block.size;
	for (uint32_t i = 0; i < block.size; i++) {
		block.allocations[i] = CV_BLOCK_FREE;
		block.queue[i] = i;
	}
	*ret_block = block;
	return 0;
}

static void free_attribute(struct cv_block_attribute *attribute)
{
	free(attribute->handle);
	free(attribute->node);
	free(attribute->text);
}

void cv_block_fini(struct cv_block *block)
{
	for (uint32_t i = 0; i < block->attribute_count; i++)
		free_attribute(&block->attributes[i]);
	free(block->attributes);
	free(block->allocations);
	free(block->queue);
	free(block->sequences);
	free(block->has_sequence);
	free(block->affinity);
	free(block->others);
	*block = (struct cv_block){0};
}

/* ---- questions ------------------------------------------------------------------- */

const char *cv_block_node(const struct cv_block *block)
{
	size_t length = sizeof(host_affinity) - 1;

	if (!block->affinity || strncmp(block->affinity, host_affinity, length))
		return NULL;
	return block->affinity + length;
}

bool cv_block_is_of(const struct cv_block *block, const char *node)
{
	const char *owner = cv_block_node(block);

	return owner && !strcmp(owner, node);
}

__be32 cv_block_address(const struct cv_block *block, uint32_t ordinal)
{
	return cv_htonl(cv_prefix_first(&block->cidr) + ordinal);
}

uint32_t cv_block_ordinal(const struct cv_block *block, __be32 address)
{
	return cv_ntohl(address) - cv_prefix_first(&block->cidr);
}

const struct cv_block_attribute *cv_block_attribute_of(const struct cv_block *block,
						       uint32_t ordinal)
{
	int32_t index = block->allocations[ordinal];

	return index == CV_BLOCK_FREE ? NULL : &block->attributes[index];
}

bool cv_block_has(const struct cv_block *block, uint32_t ordinal, const char *handle)
{
	const struct cv_block_attribute *attribute = cv_block_attribute_of(block, ordinal);

	if (!attribute || !handle)
		return attribute;
	return attribute->handle && !strcmp(attribute->handle, handle);
}

uint32_t cv_block_find(const struct cv_block *block, const char *handle, uint32_t first)
{
	/* Several attributes may have one handle, and most have another. */
	for (uint32_t i = first; i < block->size; i++)
		if (cv_block_has(block, i, handle))
			return i;
	return block->size;
}

bool cv_block_next(const struct cv_block *block, const struct cv_ranges *holes,
		   uint32_t *ret_ordinal)
{
	for (uint32_t i = 0; i < block->queue_count; i++) {
		if (cv_ranges_has(holes, cv_block_address(block, block->queue[i])))
			continue;
		*ret_ordinal = block->queue[i];
		return true;
	}
	return false;
}

uint32_t cv_block_count_free(const struct cv_block *block, const struct cv_ranges *holes)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < block->queue_count; i++)
		count += !cv_ranges_has(holes, cv_block_address(block, block->queue[i]));
	return count;
}

uint32_t cv_block_count_allocated(const struct cv_block *block)
{
	return block->size - block->queue_count;
}

/* ---- changes --------------------------------------------------------------------- */

static int add_attribute(struct cv_block *block, const char *handle, const char *node,
			 const char *text)
{
	struct cv_block_attribute attribute = {0};

	if (block->attribute_count == block->attribute_capacity) {
		uint32_t capacity = 2 * block->attribute_capacity + 8;
		void *grown = reallocarray(block->attributes, capacity, sizeof(attribute));

		if (!grown)
			return -ENOMEM;
		block->attributes = grown;
		block->attribute_capacity = capacity;
	}
	attribute.text = strdup(text);
	attribute.handle = handle ? strdup(handle) : NULL;
	attribute.node = node ? strdup(node) : NULL;
	if (!attribute.text || (handle && !attribute.handle) || (node && !attribute.node)) {
		free_attribute(&attribute);
		return -ENOMEM;
	}
	block->attributes[block->attribute_count++] = attribute;
	return 0;
}

/* Addresses of one handle with equal attributes share them, as Calico's do. */
static uint32_t find_attribute(const struct cv_block *block, const char *text)
{
	uint32_t i = 0;

	while (i < block->attribute_count && strcmp(block->attributes[i].text, text) != 0)
		i++;
	return i;
}

static void take_from_queue(struct cv_block *block, uint32_t ordinal)
{
	uint32_t i = 0;

	while (block->queue[i] != ordinal)
		i++;
	block->queue_count--;
	memmove(&block->queue[i], &block->queue[i + 1],
		(block->queue_count - i) * sizeof(block->queue[0]));
}

int cv_block_assign(struct cv_block *block, uint32_t ordinal, const char *handle, const char *node,
		    const char *attribute)
{
	uint32_t index = find_attribute(block, attribute);

	if (index == block->attribute_count && add_attribute(block, handle, node, attribute))
		return -ENOMEM;
	block->attributes[index].references++;
	block->allocations[ordinal] = (int32_t)index;
	block->sequences[ordinal] = block->sequence;
	block->has_sequence[ordinal] = true;
	take_from_queue(block, ordinal);
	return 0;
}

static void drop_attribute(struct cv_block *block, uint32_t index)
{
	free_attribute(&block->attributes[index]);
	block->attribute_count--;
	memmove(&block->attributes[index], &block->attributes[index + 1],
		(block->attribute_count - index) * sizeof(block->attributes[0]));
	for (uint32_t i = 0; i < block->size; i++)
		block->allocations[i] -= block->allocations[i] > (int32_t)index;
}

void cv_block_release(struct cv_block *block, uint32_t ordinal)
{
	uint32_t index = (uint32_t)block->allocations[ordinal];

	block->allocations[ordinal] = CV_BLOCK_FREE;
	block->has_sequence[ordinal] = false;
	block->queue[block->queue_count++] = ordinal;
	if (!--block->attributes[index].references)
		drop_attribute(block, index);
}

int cv_block_set_node(struct cv_block *block, const char *node)
{
	char *affinity = NULL;

	if (node) {
		size_t size = sizeof(host_affinity) + strlen(node);

		affinity = malloc(size);
		if (!affinity)
			return -ENOMEM;
		memcpy(affinity, host_affinity, sizeof(host_affinity));
		memcpy(affinity + sizeof(host_affinity) - 1, node, strlen(node) + 1);
	}
	free(block->affinity);
	block->affinity = affinity;
	return 0;
}

void cv_block_count_change(struct cv_block *block)
{
	/* JSON's integers are signed. */
	block->sequence = block->sequence < INT64_MAX ? block->sequence + 1 : 0;
}
