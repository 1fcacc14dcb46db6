/* SPDX-License-Identifier: Apache-2.0 */
/* A growing array. Capacity doubles, so that n appends cost O(n). */
#include "net/vector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST_CAPACITY = 16
};

void cv_vector_init(struct cv_vector *vector, size_t item_size)
{
	*vector = (struct cv_vector){.item_size = item_size};
}

void cv_vector_fini(struct cv_vector *vector)
{
	free(vector->items);
	cv_vector_init(vector, vector->item_size);
}

int cv_vector_append(struct cv_vector *vector, const void *item)
{
	if (vector->count == vector->capacity) {
		size_t capacity = vector->capacity ? 2 * vector->capacity : FIRST_CAPACITY;
		void *items = reallocarray(vector->items, capacity, vector->item_size);

		if (!items)
			return -ENOMEM;
		vector->items = items;
		vector->capacity = capacity;
	}
	memcpy((char *)vector->items + vector->count * vector->item_size, item, vector->item_size);
	vector->count++;
	return 0;
}

void *cv_vector_at(const struct cv_vector *vector, size_t i)
{
	return (char *)vector->items + i * vector->item_size;
}
