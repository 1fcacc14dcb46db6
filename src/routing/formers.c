/* SPDX-License-Identifier: Apache-2.0 */
/* Both snapshots list their nodes by name: one walk over both finds who has moved. */
#include "routing/formers.h"

#include <stdlib.h>
#include <string.h>

void cv_formers_fini(struct cv_formers *formers)
{
	for (size_t i = 0; i < formers->count; i++)
		free(formers->items[i].name);
	free(formers->items);
	*formers = (struct cv_formers){.count = 0};
}

void cv_formers_expire(struct cv_formers *formers, int64_t now_us)
{
	size_t kept = 0;

	for (size_t i = 0; i < formers->count; i++) {
		if (formers->items[i].until_us > now_us)
			formers->items[kept++] = formers->items[i];
		else
			free(formers->items[i].name);
	}
	formers->count = kept;
}

static void add(struct cv_formers *formers, const char *name, __be32 address, int64_t until_us)
{
	struct cv_former *larger =
		realloc(formers->items, (formers->count + 1) * sizeof(*formers->items));
	char *copy = strdup(name);

	if (larger)
		formers->items = larger;
	if (!larger || !copy) {
		free(copy);
		return;
	}
	larger += formers->count++;
	larger->name = copy;
	larger->address = address;
	larger->until_us = until_us;
}

void cv_formers_note(struct cv_formers *formers, const struct cv_snapshot *before,
		     const struct cv_snapshot *after, int64_t now_us)
{
	int64_t until_us = now_us + (int64_t)CV_FORMERS_KEPT_S * 1000000;
	size_t old_count, new_count, i = 0, j = 0;
	struct cv_resource *const *old = cv_snapshot_kind(before, CV_KIND_NODE, &old_count);
	struct cv_resource *const *new = cv_snapshot_kind(after, CV_KIND_NODE, &new_count);

	while (i < old_count && j < new_count) {
		int order = strcmp(old[i]->name, new[j]->name);

		if (!order && old[i]->node.address && old[i]->node.address != new[j]->node.address)
			add(formers, old[i]->name, old[i]->node.address, until_us);
		i += order <= 0;
		j += order >= 0;
	}
}
