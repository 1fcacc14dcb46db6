/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean": the edit distance between short words, by the usual table. */
#include "model/nearest.h"

#include <stdint.h>
#include <string.h>

enum {
	WORD_MAX = 31
};

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t cv_nearest_distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	uint8_t d[WORD_MAX + 1][WORD_MAX + 1];

	if (n > WORD_MAX || m > WORD_MAX)
		return SIZE_MAX;
	for (size_t i = 0; i <= n; i++)
		d[i][0] = (uint8_t)i;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = (uint8_t)j;
	for (size_t i = 1; i <= n; i++) {
		for (size_t j = 1; j <= m; j++) {
			size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			best = min(best, min(d[i - 1][j], d[i][j - 1]) + 1U);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = min(best, d[i - 2][j - 2] + 1U);
			d[i][j] = (uint8_t)best;
		}
	}
	return d[n][m];
}

void cv_nearest_init(struct cv_nearest *nearest, const char *word)
{
	*nearest = (struct cv_nearest){.word = word, .distance = SIZE_MAX};
}

void cv_nearest_offer(struct cv_nearest *nearest, const char *known)
{
	size_t distance = cv_nearest_distance(nearest->word, known);
	/* One slip in a short word, two in a longer one; never half of it. */
	size_t limit = strlen(known) < 3 ? 0 : strlen(known) < 6 ? 1 : 2;

	if (distance > limit || distance >= nearest->distance)
		return;
	nearest->best = known;
	nearest->distance = distance;
}
