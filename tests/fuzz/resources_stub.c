/* SPDX-License-Identifier: Apache-2.0 */
/* TO BE DELETED when src/model/resource.c is there: see tests/unit/resources_stub.c. */
#include <string.h>

#include "model/resource.h"

__attribute__((weak)) const char *cv_resource_label(const struct cv_resource *resource,
						    const char *name)
{
	for (size_t i = 0; i < resource->label_count; i++) {
		if (!strcmp(resource->labels[i].name, name))
			return resource->labels[i].value;
	}
	return NULL;
}
