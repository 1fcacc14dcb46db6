/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a map of one layout to that of another. "cv_flows_1" and "cv_flows_2" are the same map in
 * two layouts: the number behind the last underscore is the layout's.
 */
#ifndef CV_FASTPATH_MIGRATE_H
#define CV_FASTPATH_MIGRATE_H

#include <stdbool.h>

#include "fastpath/pins.h"

/* True if both descriptors are of one map. */
bool cv_migrate_is_same(int fd, int other);

/*
 * Copy into map (its name: name) the entries of every pinned map that is the same one in
 * another layout, or was pinned under this name with other sizes. overwrite: also what is there
 * already. Values: what is common to both, the rest zero; entries that do not fit are left out. How
 * many were copied.
 */
unsigned int cv_migrate(const struct cv_pins *pins, const char *name, int map, bool overwrite);

/* Unpin the other layouts of a map. */
void cv_migrate_forget(const struct cv_pins *pins, const char *name);

#endif
