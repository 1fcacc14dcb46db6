/* SPDX-License-Identifier: Apache-2.0 */
/* Resources in the order of cv_resource_compare. */
#ifndef CV_MODEL_ORDER_H
#define CV_MODEL_ORDER_H

#include <stddef.h>

#include "model/resource.h"

/*
 * Sort, those that are equal as they stand. What is sorted in parts, as several files are that have
 * been sorted before, costs a comparison for each resource and doubling of the parts. 0 or -ENOMEM.
 */
int cv_resources_sort(struct cv_resource **resources, size_t count);

#endif
