/* SPDX-License-Identifier: Apache-2.0 */
/* A growing array of items of one size, for lists that the kernel gives piece by piece. */
#ifndef CV_NET_VECTOR_H
#define CV_NET_VECTOR_H

#include <stddef.h>

struct cv_vector {
	void *items; /* owned: cv_vector_fini */
	size_t item_size;
	size_t count;
	size_t capacity;
};

/* Begin empty, with items of item_size bytes. Allocates nothing. */
void cv_vector_init(struct cv_vector *vector, size_t item_size);

/* Free the items. */
void cv_vector_fini(struct cv_vector *vector);

/* Copy *item to the end. 0 or -ENOMEM. */
int cv_vector_append(struct cv_vector *vector, const void *item);

/* Item i, i below count. Belongs to the vector, valid until the next append. */
void *cv_vector_at(const struct cv_vector *vector, size_t i);

#endif
