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

/* When entries move, and with that which. */
enum cv_migrate {
	/*
	 * The map is new, and no program uses it yet: everything, but no counters (maps with a
	 * value for each CPU).
	 */
	CV_MIGRATE_NEW,
	/*
	 * An earlier upgrade was interrupted: some programs may use it, and some another layout.
	 * Of tables, what is not there yet.
	 */
	CV_MIGRATE_MERGE,
	/*
	 * No program uses another layout any more: of tables what these have written meanwhile;
	 * counters are added. Each may move once only: cv_migrate_forget at once.
	 */
	CV_MIGRATE_REST,
};

/*
 * Copy into map (its name: name) entries of every pinned map that is the same one in
 * another layout. Values: what is common to both, the rest zero; entries that do not fit
 * are left out, and none is overwritten that is there. How many were copied.
 */
unsigned int cv_migrate(const struct cv_pins *pins, const char *name, int map,
			enum cv_migrate what);

/*
 * A map of this name but other sizes is pinned: name it as layout 0, so that it is another one.
 * 0 or -errno.
 */
int cv_migrate_put_aside(struct cv_pins *pins, const char *name);

/* Unpin the other layouts of a map. */
void cv_migrate_forget(const struct cv_pins *pins, const char *name);

#endif
