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

static void tell_gone(struct telling *telling, const struct cv_resource *resource)
{
	tell(telling, "%s %s: deleted, as %s has it no longer", cv_kind_name(resource->kind),
	     resource->name, resource->origin.file);
}

static void tell_there(struct telling *telling, const struct cv_resource *resource, const char *how)
{
	tell(telling, "%s %s: %s, as %s:%u says", cv_kind_name(resource->kind), resource->name, how,
	     resource->origin.file, resource->origin.line);
}

void cv_difference_tell(const struct cv_snapshot *before, const struct cv_snapshot *after,
			void (*log)(int priority, const char *text))
{
	struct telling telling = {.log = log};
	size_t i = 0, j = 0;

	while (i < before->count && j < after->count) {
		struct cv_resource *old = before->resources[i], *new = after->resources[j];
		int order = cv_resource_compare(old, new);

		i += order <= 0;
		j += order >= 0;
		if (order < 0)
			tell_gone(&telling, old);
		else if (order > 0)
			tell_there(&telling, new, "created");
		/* What is of a file that did not change is the same object. */
		else if (old != new &&strcmp(old->text, new->text) != 0)
			tell_there(&telling, new, "configured");
	}
	for (; i < before->count; i++)
		tell_gone(&telling, before->resources[i]);
	for (; j < after->count; j++)
		tell_there(&telling, after->resources[j], "created");
	if (telling.untold) {
		char text[64];

		snprintf(text, sizeof(text), "… and %zu more resources, by edited files",
			 telling.untold);
		log(LOG_INFO, text);
	}
}
