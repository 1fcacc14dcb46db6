/* SPDX-License-Identifier: Apache-2.0 */
/* The known word that somebody probably meant. */
#ifndef CV_MODEL_NEAREST_H
#define CV_MODEL_NEAREST_H

#include <stddef.h>

/*
 * Offer words one by one; the nearest one that is near enough to be a slip of the finger
 * stays in best.
 */
struct cv_nearest {
	const char *word;
	const char *best; /* NULL: none is near */
	size_t distance;  /* of best */
};

void cv_nearest_init(struct cv_nearest *nearest, const char *word);
void cv_nearest_offer(struct cv_nearest *nearest, const char *known);

/*
 * Number of insertions, deletions, changes and swaps of neighbouring characters that make b of
 * a (the restricted Damerau-Levenshtein distance); words longer than 31 characters are infinitely
 * (SIZE_MAX) far from everything.
 */
size_t cv_nearest_distance(const char *a, const char *b);

#endif
