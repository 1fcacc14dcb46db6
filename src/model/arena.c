/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An arena: chunks of doubling size, from which memory is cut. Invariant: used is at most the size
 * of the youngest chunk, the first in the list.
 */
#include "model/arena.h"

#include <stdalign.h>
#include <stdlib.h>

enum {
	CHUNK_FIRST = 16 << 10,
	CHUNK_LAST = 1 << 20
};

struct cv_arena_chunk {
	struct cv_arena_chunk *next;
	size_t size;
	alignas(max_align_t) char bytes[];
};

void *cv_arena_alloc(struct cv_arena *arena, size_t size)
{
	struct cv_arena_chunk *chunk = arena->chunks;
	size_t aligned = (size + alignof(void *) - 1) & ~(alignof(void *) - 1);
	void *bytes;

	if (!chunk || aligned > chunk->size - arena->used) {
		size_t wanted = chunk ? chunk->size * 2 : CHUNK_FIRST;

		if (wanted > CHUNK_LAST)
			wanted = CHUNK_LAST;
		if (wanted < aligned)
			wanted = aligned;
		chunk = malloc(sizeof(*chunk) + wanted);
		if (!chunk)
			return NULL;
		chunk->size = wanted;
		chunk->next = arena->chunks;
		arena->chunks = chunk;
		arena->used = 0;
	}
	bytes = chunk->bytes + arena->used;
	arena->used += aligned;
	return bytes;
}

/* The oldest is the smallest. */
void cv_arena_reset(struct cv_arena *arena)
{
	while (arena->chunks && arena->chunks->next) {
		struct cv_arena_chunk *next = arena->chunks->next;

		free(arena->chunks);
		arena->chunks = next;
	}
	arena->used = 0;
}

void cv_arena_fini(struct cv_arena *arena)
{
	cv_arena_reset(arena);
	free(arena->chunks);
	arena->chunks = NULL;
}
