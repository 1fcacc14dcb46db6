/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the store share. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/directory.h"
#include "store_world.h"

struct store_world world;

enum {
	LINES_MAX = 64
};
static struct {
	int priority;
	char text[512];
} lines[LINES_MAX];
static int line_count;

static void take_line(int priority, const char *text)
{
	if (line_count == LINES_MAX)
		return;
	lines[line_count].priority = priority;
	snprintf(lines[line_count++].text, sizeof(lines[0].text), "%s", text);
}

int world_set_up(void **state)
{
	(void)state;
	world = (struct store_world){.root = "/tmp/culvert-store-XXXXXX"};
	line_count = 0;
	if (!mkdtemp(world.root))
		return -1;
	return mkdir(world_path("conf"), 0755);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int world_tear_down(void **state)
{
	(void)state;
	cv_store_changes_fini(&world.changes);
	cv_store_destroy(world.store);
	return nftw(world.root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *world_path(const char *name)
{
	static char paths[8][PATH_MAX];
	static unsigned int next;
	char *path = paths[next++ % 8];

	snprintf(path, PATH_MAX, "%s/%s", world.root, name);
	return path;
}

struct cv_store *world_open(const char *directory)
{
	const struct cv_store_options options = {.directory = directory, .log = take_line};
	struct cv_store *store = NULL;

	if (cv_store_create(&options, &store, &world.error))
		fail_msg("%s", world.error.text);
	return store;
}

static const char *conf_path(const char *name)
{
	char below[256];

	(void)snprintf(below, sizeof(below), "conf/%s", name);
	return world_path(below);
}

void world_write(const char *name, const char *text)
{
	FILE *file = fopen(conf_path(name), "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

void world_read(const char *name, char *text, size_t size)
{
	FILE *file = fopen(conf_path(name), "re");
	size_t length;

	assert_non_null(file);
	length = fread(text, 1, size - 1, file);
	text[length] = '\0';
	fclose(file);
}

void world_settle(void)
{
	const struct timespec time = {.tv_nsec = (CV_DIRECTORY_SETTLE_MS + 15) * 1000000L};

	nanosleep(&time, NULL);
}

bool world_is_readable(int timeout_ms)
{
	struct pollfd fd = {.fd = cv_store_fd(world.store), .events = POLLIN};

	return poll(&fd, 1, timeout_ms) == 1;
}

int world_apply(const char *text, bool dry_run)
{
	struct cv_manifest manifest;
	int rc;

	if (cv_manifest_parse("in.yaml", text, strlen(text), &manifest, &world.error))
		fail_msg("%s", world.error.text);
	cv_store_changes_fini(&world.changes);
	world.error.text[0] = '\0';
	rc = cv_store_apply(world.store, manifest.resources, manifest.count, dry_run,
			    &world.changes, &world.error);
	cv_manifest_fini(&manifest);
	if (rc)
		assert_true(*world.error.text);
	return rc;
}

int world_delete(const struct cv_store_name *names, size_t count, bool dry_run)
{
	cv_store_changes_fini(&world.changes);
	return cv_store_delete(world.store, names, count, dry_run, &world.changes, &world.error);
}

/* ---- assertions ------------------------------------------------------------------------ */

void assert_nodes(const char *names)
{
	const struct cv_snapshot *snapshot = cv_store_snapshot(world.store);
	char text[4096] = "";
	size_t length = 0;

	for (size_t i = 0; i < snapshot->count; i++) {
		if (snapshot->resources[i]->kind == CV_KIND_NODE)
			length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s",
						   length ? " " : "", snapshot->resources[i]->name);
	}
	assert_string_equal(text, names);
}

void assert_changes(const char *expected)
{
	static const char *const actions[] = {
		[CV_STORE_CREATED] = "created",
		[CV_STORE_CONFIGURED] = "configured",
		[CV_STORE_UNCHANGED] = "unchanged",
		[CV_STORE_DELETED] = "deleted",
	};
	char text[4096] = "";
	size_t length = 0;

	for (size_t i = 0; i < world.changes.count; i++) {
		const struct cv_store_change *change = &world.changes.items[i];
		const struct cv_resource *resource = change->after ? change->after : change->before;

		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s %s %s",
					   i ? ", " : "", cv_kind_name(resource->kind),
					   resource->name, actions[change->action]);
	}
	assert_string_equal(text, expected);
}

void assert_problem(const char *part)
{
	const char *problem = cv_store_problem(world.store);

	if (!problem || !strstr(problem, part))
		fail_msg("the problem is \"%s\", without \"%s\"", problem ? problem : "", part);
}

void assert_noticed(int rc)
{
	int got;

	if (!world_is_readable(1000))
		fail_msg("the store did not notice");
	/* As the header tells callers to do. */
	world_settle();
	got = cv_store_refresh(world.store);
	if (rc >= 0)
		assert_int_equal(got, rc);
}

void assert_logged(int priority, const char *part, int count)
{
	int found = 0;

	for (int i = 0; i < line_count; i++)
		found += lines[i].priority == priority && strstr(lines[i].text, part);
	if (found != count)
		fail_msg("%d lines with \"%s\", not %d; the last: %s", found, part, count,
			 line_count ? lines[line_count - 1].text : "");
}

void assert_only(const char *directory, const char *name)
{
	DIR *d = opendir(directory);
	const struct dirent *entry;
	bool found = false;

	assert_non_null(d);
	while ((entry = readdir(d))) {
		if (!strcmp(entry->d_name, name))
			found = true;
		else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			fail_msg("%s/%s was left behind", directory, entry->d_name);
	}
	closedir(d);
	assert_true(found);
}
