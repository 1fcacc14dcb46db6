/* SPDX-License-Identifier: Apache-2.0 */
/* A directory below /tmp with a store in it, for the tests of the store. */
#ifndef CV_TESTS_STORE_WORLD_H
#define CV_TESTS_STORE_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#include "store/store.h"

struct store_world {
	char root[64];
	struct cv_store *store; /* destroyed by world_tear_down */
	struct cv_error error;	/* of the last apply or delete */
	struct cv_store_changes changes;
};
extern struct store_world world;

/* With an empty directory "conf" below the root. */
int world_set_up(void **state);
int world_tear_down(void **state);

/* "ROOT/name"; valid for some calls. */
const char *world_path(const char *name);

struct cv_store *world_open(const char *directory);

/* Write, in place, a file of conf; read it. */
void world_write(const char *name, const char *text);
void world_read(const char *name, char *text, size_t size);

/* Wait until files are old enough to be read. */
void world_settle(void);

/* Whether the store's descriptor becomes readable. */
bool world_is_readable(int timeout_ms);

/* Apply a manifest "in.yaml"; the changes are in the world. */
int world_apply(const char *text, bool dry_run);
int world_delete(const struct cv_store_name *names, size_t count, bool dry_run);

/* The names of the snapshot's nodes, with blanks between. */
void assert_nodes(const char *names);

/* "Node a created, Node b unchanged". */
void assert_changes(const char *text);
void assert_problem(const char *part);

/* The store's descriptor is readable, and a refresh returns rc (-1: whatever). */
void assert_noticed(int rc);

/* So many lines of a priority with that part were logged since the last time; that forgets them. */
void assert_logged(int priority, const char *part, int count);

/* There is one file in a directory, and no other. */
void assert_only(const char *directory, const char *name);

#endif
