/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is given back all at once. */
#ifndef CV_MODEL_ARENA_H
#define CV_MODEL_ARENA_H

#include <stddef.h>

struct cv_arena_chunk;

/* Zeroed: empty. */
struct cv_arena {
	struct cv_arena_chunk *chunks; /* the youngest first */
	size_t used;		       /* of the youngest */
};

/* size bytes for anything, not zeroed; NULL without memory. */
void *cv_arena_alloc(struct cv_arena *arena, size_t size);

/* Forget everything; one chunk of memory is kept for what comes. */
void cv_arena_reset(struct cv_arena *arena);
void cv_arena_fini(struct cv_arena *arena);

#endif
