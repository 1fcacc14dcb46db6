// SPDX-License-Identifier: Apache-2.0
/*
 * Changes that came by edited files. Those of `apply` and `delete` are told by who was asked.
 *
 * Both snapshots are sorted by cv_resource_compare, so one walk along both finds everything.
 */
#include "store/difference.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

struct telling {
	void (*log)(int priority, const char *text);
	size_t told, untold;
};

__attribute__((format(printf, 2, 3))) static void tell(struct telling *telling, const char *format,
						       ...)
{
	char *text;
	va_list args;
	int length;

	if (telling->told >= CV_DIFFERENCE_TOLD) {
		telling->untold++;
		return;
	}
	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0)
		return;
	telling->told++;
	telling->log(LOG_INFO, text);
	free(text);
}

/* One of them is NULL, or both are of one kind and name. */
static void tell_change(struct telling *telling, const struct cv_resource *before,
			const struct cv_resource *after)
{
	if (!after)
		tell(telling, "%s %s: deleted, as %s has it no longer", cv_kind_name(before->kind),
		     before->name, before->origin.file);
	else if (!before)
		tell(telling, "%s %s: created, as %s:%u says", cv_kind_name(after->kind),
		     after->name, after->origin.file, after->origin.line);
	else if (strcmp(before->text, after->text) != 0)
		tell(telling, "%s %s: configured, as %s:%u says", cv_kind_name(after->kind),
		     after->name, after->origin.file, after->origin.line);
}

void cv_difference_tell(const struct cv_snapshot *before, const struct cv_snapshot *after,
			void (*log)(int priority, const char *text))
{
	struct telling telling = {.log = log};
	size_t i = 0, j = 0;

	while (i < before->count || j < after->count) {
		struct cv_resource *old = i < before->count ? before->resources[i] : NULL;
		struct cv_resource *new = j < after->count ? after->resources[j] : NULL;
		int order = !old ? 1 : !new ? -1 : cv_resource_compare(old, new);

		i += order <= 0;
		j += order >= 0;
		/* What is of a file that did not change is the same object. */
		if (old != new)
			tell_change(&telling, order <= 0 ? old : NULL, order >= 0 ? new : NULL);
	}
	if (telling.untold) {
		char text[64];

		snprintf(text, sizeof(text), "… and %zu more resources, by edited files",
			 telling.untold);
		log(LOG_INFO, text);
	}
}
