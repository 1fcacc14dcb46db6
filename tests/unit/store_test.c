/* SPDX-License-Identifier: Apache-2.0 */
/* The store of files: reading, watching, changing; disks that are full, and deaths at each step. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"
#include "store_world.h"

#define NODE(name, address)                                                           \
	"---\napiVersion: projectcalico.org/v3\nkind: Node\nmetadata:\n  name: " name \
	"\nspec:\n  bgp:\n    ipv4Address: " address "\n"
#define POOL(name, cidr)                                                                \
	"---\napiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata:\n  name: " name \
	"\nspec:\n  cidr: " cidr "\n"

/* ---- reading ------------------------------------------------------------------------- */

static void no_directory_is_no_resources(void **state)
{
	(void)state;
	world.store = world_open(world_path("a/b/c"));
	assert_int_equal(cv_store_snapshot(world.store)->count, 0);
	assert_null(cv_store_problem(world.store));
	assert_int_equal(cv_store_refresh(world.store), 0);
}

static void manifests_are_read_and_nothing_else(void **state)
{
	(void)state;
	world_write("a.yaml", NODE("a", "192.0.2.1/24"));
	world_write("b.yml", NODE("b", "192.0.2.2/24"));
	world_write("c.json", "{\"apiVersion\": \"projectcalico.org/v3\", \"kind\": \"Node\",\n"
			      "\"metadata\": {\"name\": \"c\"}, \"spec\": {\"bgp\":\n"
			      "{\"ipv4Address\": \"192.0.2.3/24\"}}}\n");
	world_write("empty.yaml", "");
	world_write("README", "broken: [");
	world_write("d.yaml~", "broken: [");
	world_write("d.yaml.bak", "broken: [");
	world_write(".e.yaml", "broken: [");
	world_write(".f.yaml.swp", "broken: [");
	world_write("#g.yaml", "broken: [");
	assert_int_equal(symlink("nobody@nowhere", world_path("conf/.#a.yaml")), 0);
	assert_int_equal(mkdir(world_path("conf/sub"), 0755), 0);
	world_write("sub/h.yaml", "broken: [");
	world.store = world_open(world_path("conf"));
	assert_null(cv_store_problem(world.store));
	assert_nodes("a b c");
}

static void problem_names_the_place(void **state)
{
	(void)state;
	world_write("a.yaml", NODE("a", "192.0.2.1/24"));
	world.store = world_open(world_path("conf"));
	world_write("b.yaml", NODE("b", "192.0.2.2/24") "broken: [\n");
	world_settle();
	assert_int_equal(cv_store_refresh(world.store), 0);
	assert_problem("conf/b.yaml:");
	assert_nodes("a");
	assert_logged(LOG_ERR, "conf/b.yaml:", 1);
	/* Once, not at every look. */
	assert_int_equal(cv_store_refresh(world.store), 0);
	assert_logged(LOG_ERR, "", 1);
	/* Another one is told. */
	world_write("a.yaml", "broken: [\n");
	world_settle();
	assert_int_equal(cv_store_refresh(world.store), 0);
	assert_logged(LOG_ERR, "conf/a.yaml:", 1);
	assert_nodes("a");
	world_write("b.yaml", NODE("b", "192.0.2.2/24"));
	world_write("a.yaml", NODE("a", "192.0.2.7/24"));
	world_settle();
	assert_int_equal(cv_store_refresh(world.store), 1);
	assert_null(cv_store_problem(world.store));
	assert_logged(LOG_NOTICE, "in order again", 1);
	assert_nodes("a b");
}

static void twice_in_two_files_is_a_problem(void **state)
{
	(void)state;
	world_write("a.yaml", NODE("a", "192.0.2.1/24"));
	world_write("b.yaml", NODE("a", "192.0.2.2/24"));
	world.store = world_open(world_path("conf"));
	assert_problem("conf/a.yaml");
	assert_problem("conf/b.yaml");
	assert_nodes("");
	assert_int_equal(unlink(world_path("conf/b.yaml")), 0);
	assert_int_equal(cv_store_refresh(world.store), 1);
	assert_nodes("a");
}

static void what_is_no_file_is_a_problem_and_never_waited_for(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(world_path("conf/pipe.yaml"), 0600), 0);
	world.store = world_open(world_path("conf"));
	assert_problem("conf/pipe.yaml: is not a file");
	unlink(world_path("conf/pipe.yaml"));
	assert_int_equal(symlink("/dev/zero", world_path("conf/zero.yaml")), 0);
	cv_store_refresh(world.store);
	assert_problem("conf/zero.yaml: is not a file");
	unlink(world_path("conf/zero.yaml"));
	assert_int_equal(mkdir(world_path("conf/dir.yaml"), 0755), 0);
	cv_store_refresh(world.store);
	assert_problem("conf/dir.yaml: is a directory");
	rmdir(world_path("conf/dir.yaml"));
	assert_int_equal(symlink("nowhere", world_path("conf/link.json")), 0);
	cv_store_refresh(world.store);
	assert_problem("conf/link.json: is a symbolic link to nothing");
	unlink(world_path("conf/link.json"));
	world_write("big.yaml", "");
	assert_int_equal(truncate(world_path("conf/big.yaml"), (64 << 20) + 1), 0);
	cv_store_refresh(world.store);
	assert_problem("conf/big.yaml: has more than 64 MiB");
	unlink(world_path("conf/big.yaml"));
	cv_store_refresh(world.store);
	assert_null(cv_store_problem(world.store));
}

static void unchanged_files_are_not_parsed_again(void **state)
{
	const struct cv_resource *a, *b;

	(void)state;
	world_write("a.yaml", NODE("a", "192.0.2.1/24"));
	world_write("b.yaml", NODE("b", "192.0.2.2/24"));
	world.store = world_open(world_path("conf"));
	a = cv_snapshot_find(cv_store_snapshot(world.store), CV_KIND_NODE, "a");
	b = cv_snapshot_find(cv_store_snapshot(world.store), CV_KIND_NODE, "b");
	/* As long as the other, so that the times alone tell. */
	world_settle();
	world_write("b.yaml", NODE("b", "192.0.2.3/24"));
	world_settle();
	assert_int_equal(cv_store_refresh(world.store), 1);
	assert_ptr_equal(cv_snapshot_find(cv_store_snapshot(world.store), CV_KIND_NODE, "a"), a);
	assert_ptr_not_equal(cv_snapshot_find(cv_store_snapshot(world.store), CV_KIND_NODE, "b"),
			     b);
	assert_int_equal(cv_store_refresh(world.store), 0);
}

static void half_a_file_is_not_taken(void **state)
{
	int fd;

	(void)state;
	world_write("a.yaml", NODE("a", "192.0.2.1/24") NODE("b", "192.0.2.2/24"));
	world.store = world_open(world_path("conf"));
	world_settle();
	fd = open(world_path("conf/a.yaml"), O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(write(fd, NODE("a", "192.0.2.1/24"), sizeof(NODE("a", "192.0.2.1/24")) - 1) >
		    0);
	/* Just now written; and later still open. */
	assert_int_equal(cv_store_refresh(world.store), 0);
	world_settle();
	assert_int_equal(cv_store_refresh(world.store), 0);
	assert_nodes("a b");
	/* The store itself sees to it that it is asked again. */
	assert_true(world_is_readable(200));
	assert_true(write(fd, NODE("b", "192.0.2.2/24"), sizeof(NODE("b", "192.0.2.2/24")) - 1) >
		    0);
	assert_true(write(fd, NODE("c", "192.0.2.3/24"), sizeof(NODE("c", "192.0.2.3/24")) - 1) >
		    0);
	close(fd);
	world_settle();
	assert_int_equal(cv_store_refresh(world.store), 1);
	assert_nodes("a b c");
}

static void file_that_has_just_been_written_may_grow(void **state)
{
	(void)state;
	world_write("a.yaml", NODE("a", "192.0.2.1/24") NODE("b", "192.0.2.2/24"));
	world.store = world_open(world_path("conf"));
	world_settle();
	/* Closed, but a second part may follow at once. */
	world_write("a.yaml", NODE("a", "192.0.2.7/24"));
	assert_int_equal(cv_store_refresh(world.store), 0);
	assert_nodes("a b");
	world_settle();
	assert_int_equal(cv_store_refresh(world.store), 1);
	assert_nodes("a");
}

static void what_must_not_change_keeps_the_last_good_state(void **state)
{
	(void)state;
	world_write("p.yaml", POOL("p", "10.0.0.0/16"));
	world.store = world_open(world_path("conf"));
	world_write("p.yaml", POOL("p", "10.1.0.0/16"));
	world_settle();
	assert_int_equal(cv_store_refresh(world.store), 0);
	assert_non_null(cv_store_problem(world.store));
	world_write("p.yaml", POOL("p", "10.0.0.0/16"));
	world_settle();
	assert_int_equal(cv_store_refresh(world.store), 1);
	assert_null(cv_store_problem(world.store));
}

/* ---- watching ------------------------------------------------------------------------ */

static void each_way_to_edit_is_noticed(void **state)
{
	(void)state;
	world.store = world_open(world_path("conf"));
	world_write("a.yaml", NODE("a", "192.0.2.1/24"));
	assert_noticed(1);
	assert_nodes("a");
	/* As editors do. */
	world_write(".new", NODE("b", "192.0.2.1/24"));
	world_settle();
	cv_store_refresh(world.store);
	assert_int_equal(rename(world_path("conf/.new"), world_path("conf/a.yaml")), 0);
	assert_noticed(1);
	assert_nodes("b");
	assert_int_equal(rename(world_path("conf/a.yaml"), world_path("conf/b.json")), 0);
	assert_noticed(1);
	assert_int_equal(unlink(world_path("conf/b.json")), 0);
	assert_noticed(1);
	assert_nodes("");
	assert_false(world_is_readable(0));
}

static void directory_that_comes_later_is_noticed(void **state)
{
	(void)state;
	world.store = world_open(world_path("x/y/z"));
	assert_int_equal(mkdir(world_path("x"), 0755), 0);
	assert_noticed(0);
	assert_int_equal(mkdir(world_path("x/y"), 0755), 0);
	assert_noticed(0);
	assert_int_equal(mkdir(world_path("x/y/z"), 0755), 0);
	assert_noticed(-1);
	world_write("../x/y/z/a.yaml", NODE("a", "192.0.2.1/24"));
	assert_noticed(1);
	assert_nodes("a");
}

static void swapped_directory_is_noticed(void **state)
{
	(void)state;
	assert_int_equal(mkdir(world_path("next"), 0755), 0);
	world_write("a.yaml", NODE("a", "192.0.2.1/24"));
	world_write("../next/b.yaml", NODE("b", "192.0.2.2/24"));
	world.store = world_open(world_path("conf"));
	assert_int_equal(renameat2(AT_FDCWD, world_path("next"), AT_FDCWD, world_path("conf"),
				   RENAME_EXCHANGE),
			 0);
	assert_noticed(1);
	assert_nodes("b");
	/* One that goes takes nothing with it. */
	assert_int_equal(rename(world_path("conf"), world_path("gone")), 0);
	assert_noticed(0);
	assert_nodes("b");
	assert_problem("conf is gone");
	assert_false(world_is_readable(0));
	assert_int_equal(rename(world_path("next"), world_path("conf")), 0);
	assert_noticed(1);
	assert_nodes("a");
	/* The one that is now watched is the new one. */
	world_write("c.yaml", NODE("c", "192.0.2.3/24"));
	assert_noticed(1);
	assert_nodes("a c");
}

static void linked_directory_is_noticed(void **state)
{
	(void)state;
	assert_int_equal(mkdir(world_path("real"), 0755), 0);
	assert_int_equal(mkdir(world_path("real/1"), 0755), 0);
	assert_int_equal(symlink("real/1", world_path("link")), 0);
	world.store = world_open(world_path("link"));
	world_write("../real/1/a.yaml", NODE("a", "192.0.2.1/24"));
	assert_noticed(1);
	assert_nodes("a");
	/* Its target is replaced … */
	assert_int_equal(mkdir(world_path("real/2"), 0755), 0);
	world_write("../real/2/b.yaml", NODE("b", "192.0.2.2/24"));
	world_settle();
	cv_store_refresh(world.store);
	assert_int_equal(renameat2(AT_FDCWD, world_path("real/2"), AT_FDCWD, world_path("real/1"),
				   RENAME_EXCHANGE),
			 0);
	assert_noticed(1);
	assert_nodes("b");
	/* … and the link. */
	assert_int_equal(symlink("real/2", world_path("link.new")), 0);
	world_settle();
	cv_store_refresh(world.store);
	assert_int_equal(rename(world_path("link.new"), world_path("link")), 0);
	assert_noticed(1);
	assert_nodes("a");
	/* What it points to goes and comes. */
	assert_int_equal(rename(world_path("real/2"), world_path("real/3")), 0);
	assert_noticed(0);
	assert_problem("link is gone");
	assert_false(world_is_readable(0));
	assert_int_equal(rename(world_path("real/3"), world_path("real/2")), 0);
	assert_noticed(1);
	assert_nodes("a");
}

/* conf/a.yaml -> ..data/a.yaml, conf/..data -> ..1, then ..2: how kubelet mounts a ConfigMap. */
static void config_map_is_noticed(void **state)
{
	(void)state;
	assert_int_equal(mkdir(world_path("conf/..1"), 0755), 0);
	assert_int_equal(mkdir(world_path("conf/..2"), 0755), 0);
	world_write("..1/a.yaml", NODE("a", "192.0.2.1/24"));
	world_write("..2/a.yaml", NODE("b", "192.0.2.2/24"));
	assert_int_equal(symlink("..1", world_path("conf/..data")), 0);
	assert_int_equal(symlink("..data/a.yaml", world_path("conf/a.yaml")), 0);
	world.store = world_open(world_path("conf"));
	assert_nodes("a");
	assert_int_equal(symlink("..2", world_path("conf/..data_tmp")), 0);
	assert_int_equal(rename(world_path("conf/..data_tmp"), world_path("conf/..data")), 0);
	assert_noticed(1);
	assert_nodes("b");
}

static void linked_file_is_noticed(void **state)
{
	(void)state;
	assert_int_equal(mkdir(world_path("far"), 0755), 0);
	world_write("../far/a.yaml", NODE("a", "192.0.2.1/24"));
	assert_int_equal(symlink("../far/a.yaml", world_path("conf/a.yaml")), 0);
	world.store = world_open(world_path("conf"));
	assert_nodes("a");
	world_write("../far/a.yaml", NODE("b", "192.0.2.1/24"));
	assert_noticed(1);
	assert_nodes("b");
	world_write("../far/new", NODE("c", "192.0.2.1/24"));
	assert_int_equal(rename(world_path("far/new"), world_path("far/a.yaml")), 0);
	assert_noticed(1);
	assert_nodes("c");
}

/* ---- changing ------------------------------------------------------------------------ */

static void apply_makes_the_directory_and_the_file(void **state)
{
	struct stat st;

	(void)state;
	world.store = world_open(world_path("a/b/c"));
	assert_int_equal(world_apply(NODE("n2", "192.0.2.2/24") NODE("n1", "192.0.2.1/24"), true),
			 0);
	assert_int_equal(access(world_path("a"), F_OK), -1);
	assert_changes("Node n2 created, Node n1 created");
	assert_int_equal(world_apply(NODE("n2", "192.0.2.2/24") NODE("n1", "192.0.2.1/24"), false),
			 0);
	assert_changes("Node n2 created, Node n1 created");
	assert_nodes("n1 n2");
	assert_int_equal(stat(world_path("a/b/c"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(stat(world_path("a/b/c/applied.yaml"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_only(world_path("a/b/c"), "applied.yaml");
	/* What we wrote ourselves is not news, but comes back at the next start. */
	assert_int_equal(cv_store_refresh(world.store), 0);
	cv_store_destroy(world.store);
	world.store = world_open(world_path("a/b/c"));
	assert_nodes("n1 n2");
}

static void apply_and_delete_change_what_they_name(void **state)
{
	static const struct cv_store_name names[] = {
		{CV_KIND_NODE, "n3", false},
		{CV_KIND_NODE, "none", false},
		{CV_KIND_NODE, "n1", false},
		{CV_KIND_NODE, "n3", false},
	};
	static const struct cv_store_name strict[] = {
		{CV_KIND_NODE, "n3", false},
		{CV_KIND_NODE, "none", true},
	};
	struct stat before, after;

	(void)state;
	world.store = world_open(world_path("conf"));
	assert_int_equal(world_apply(NODE("n1", "192.0.2.1/24") NODE("n2", "192.0.2.2/24"), false),
			 0);
	assert_int_equal(world_apply(NODE("n1", "192.0.2.1/24") NODE("n2", "192.0.2.9/24")
					     NODE("n3", "192.0.2.3/24"),
				     false),
			 0);
	assert_changes("Node n1 unchanged, Node n2 configured, Node n3 created");
	assert_nodes("n1 n2 n3");
	assert_int_equal(stat(world_path("conf/applied.yaml"), &before), 0);
	assert_int_equal(world_apply(NODE("n2", "192.0.2.9/24"), false), 0);
	assert_changes("Node n2 unchanged");
	assert_int_equal(stat(world_path("conf/applied.yaml"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(world_delete(strict, 2, false), -ENOENT);
	assert_int_equal(world_delete(names, 4, true), 0);
	assert_nodes("n1 n2 n3");
	assert_int_equal(world_delete(names, 4, false), 0);
	assert_changes("Node n1 deleted, Node n3 deleted");
	assert_nodes("n2");
	assert_int_equal(world_delete(names, 4, false), -ENOENT);
	assert_only(world_path("conf"), "applied.yaml");
}

/* All resources know the line where they are now, as if the file had been read again. */
static void places_are_those_of_the_file(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	unsigned int lines[4];

	(void)state;
	world.store = world_open(world_path("conf"));
	assert_int_equal(world_apply(NODE("d", "192.0.2.4/24") NODE("b", "192.0.2.2/24"), false),
			 0);
	assert_int_equal(world_apply(NODE("c", "192.0.2.3/24") NODE("a", "192.0.2.1/24"), false),
			 0);
	assert_int_equal(world_apply(NODE("b", "192.0.2.7/24"), false), 0);
	for (int i = 0; i < 4; i++) {
		const struct cv_resource *node =
			cv_snapshot_find(cv_store_snapshot(world.store), CV_KIND_NODE, names[i]);

		assert_string_equal(node->origin.file, world_path("conf/applied.yaml"));
		lines[i] = node->origin.line;
	}
	cv_store_destroy(world.store);
	world.store = world_open(world_path("conf"));
	for (int i = 0; i < 4; i++)
		assert_int_equal(
			cv_snapshot_find(cv_store_snapshot(world.store), CV_KIND_NODE, names[i])
				->origin.line,
			lines[i]);
}

static void warnings_go_with_their_documents(void **state)
{
	static const struct cv_store_name name = {CV_KIND_NODE, "b", false};
	char first[1024], again[1024];

	(void)state;
	world.store = world_open(world_path("conf"));
	world_write("applied.yaml", NODE("b", "192.0.2.2/24") "    ipv6Address: fd00::1\n" NODE(
					    "a", "192.0.2.1/24") "    ipv6Address: fd00::1\n");
	world_settle();
	assert_int_equal(cv_store_refresh(world.store), 1);
	assert_int_equal(cv_store_warnings(world.store)->count, 2);
	/* Copied, moved, and still known by their lines. */
	assert_int_equal(world_apply(NODE("aa", "192.0.2.3/24"), false), 0);
	assert_int_equal(cv_store_warnings(world.store)->count, 2);
	assert_int_equal(world_delete(&name, 1, false), 0);
	assert_int_equal(cv_store_warnings(world.store)->count, 1);
	snprintf(first, sizeof(first), "%s", cv_store_warnings(world.store)->texts[0]);
	cv_store_destroy(world.store);
	world.store = world_open(world_path("conf"));
	assert_int_equal(cv_store_warnings(world.store)->count, 1);
	snprintf(again, sizeof(again), "%s", cv_store_warnings(world.store)->texts[0]);
	assert_string_equal(first, again);
}

static void own_file_may_be_edited(void **state)
{
	char text[4096];

	(void)state;
	world.store = world_open(world_path("conf"));
	assert_int_equal(world_apply(NODE("a", "192.0.2.1/24"), false), 0);
	/* Everything that is not the form in which it is written. */
	world_write("applied.yaml", "apiVersion: projectcalico.org/v3\nkind: Node\nmetadata:\n"
				    "  name: x\nspec:\n  bgp:\n    ipv4Address: 192.0.2.8/24\n"
				    "...\n" NODE("a", "192.0.2.1/24"));
	assert_int_equal(world_apply(NODE("b", "192.0.2.2/24"), false), 0);
	assert_nodes("a b x");
	/* The edit was met by the apply: the next look tells of it. */
	assert_true(world_is_readable(0));
	assert_int_equal(cv_store_refresh(world.store), 1);
	assert_int_equal(cv_store_refresh(world.store), 0);
	/* A comment within a document stays. */
	world_write("applied.yaml",
		    NODE("b", "192.0.2.2/24") NODE("a", "192.0.2.1/24  # of the first rack"));
	assert_int_equal(world_apply(NODE("c", "192.0.2.3/24"), false), 0);
	world_read("applied.yaml", text, sizeof(text));
	assert_non_null(strstr(text, "# of the first rack"));
	assert_non_null(strstr(text, "# What `culvert apply` brought"));
	assert_true(strstr(text, "name: a") < strstr(text, "name: b"));
	cv_store_destroy(world.store);
	world.store = world_open(world_path("conf"));
	assert_nodes("a b c");
}

/* ---- the oracle: a store that reads the same directory anew -------------------------------- */

static void assert_as_read_anew(void)
{
	const struct cv_snapshot *snapshot = cv_store_snapshot(world.store), *fresh;
	const struct cv_messages *warnings = cv_store_warnings(world.store), *fresh_warnings;
	struct cv_store *other = world_open(world_path("conf"));

	fresh = cv_store_snapshot(other);
	fresh_warnings = cv_store_warnings(other);
	assert_null(cv_store_problem(other));
	assert_string_equal(cv_snapshot_digest(snapshot), cv_snapshot_digest(fresh));
	assert_int_equal(snapshot->count, fresh->count);
	for (size_t i = 0; i < fresh->count; i++) {
		const struct cv_resource *a = snapshot->resources[i], *b = fresh->resources[i];

		assert_string_equal(a->text, b->text);
		assert_string_equal(a->origin.file, b->origin.file);
		assert_int_equal(a->origin.line, b->origin.line);
	}
	assert_int_equal(warnings->count, fresh_warnings->count);
	for (size_t i = 0; i < warnings->count; i++)
		assert_string_equal(warnings->texts[i], fresh_warnings->texts[i]);
	cv_store_destroy(other);
}

/* Node i with one of some addresses that no other node has. */
static void add_node(FILE *out, int i)
{
	fprintf(out, NODE("n%d", "192.0.2.%d/24"), i, i * 20 + 1 + rand() % 15);
}

static void apply_some(void)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	int first = rand() % 10;

	for (int i = first; i < 10 && i < first + 3; i++)
		add_node(out, i);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(world_apply(text, false), 0);
	free(text);
}

static void delete_some(void)
{
	char names[2][8];
	struct cv_store_name delete[2];
	int rc;

	for (int i = 0; i < 2; i++) {
		snprintf(names[i], sizeof(names[i]), "n%d", rand() % 10);
		delete[i] = (struct cv_store_name){CV_KIND_NODE, names[i], false};
	}
	rc = world_delete(delete, 2, false);
	assert_true(rc == 0 || rc == -ENOENT);
}

/* As people and programs do: other order, comments, fields that only warn, all in one JSON list. */
static void edit_own_file(void)
{
	size_t count;
	struct cv_resource *const *nodes =
		cv_snapshot_kind(cv_store_snapshot(world.store), CV_KIND_NODE, &count);
	FILE *out = fopen(world_path("conf/applied.yaml"), "we");
	int how = rand() % 4;

	assert_non_null(out);
	if (!how) {
		char *text = cv_manifest_print_json(nodes, count);

		fputs(count ? text : "", out);
		free(text);
	}
	for (int i = 9; how && i >= 0; i--) {
		if (rand() % 2)
			continue;
		fputs(how == 1 ? "---\n# nothing but a comment\n" : "# before\n", out);
		add_node(out, i);
		fputs(how == 2 ? "    ipv6Address: 2001:db8::1  # for later\n" : "", out);
		fputs(how == 3 && !i ? "---    # the end" : "\n\n", out);
	}
	assert_int_equal(fclose(out), 0);
	world_settle();
	assert_int_equal(cv_store_refresh(world.store), 1);
	assert_null(cv_store_problem(world.store));
}

static void any_changes_are_as_read_anew(void **state)
{
	(void)state;
	srand(20);
	world_write("mine.yaml", POOL("p", "10.0.0.0/16"));
	world.store = world_open(world_path("conf"));
	for (int i = 0; i < 150; i++) {
		int what = rand() % 10;

		if (what < 6)
			apply_some();
		else if (what < 9)
			delete_some();
		else
			edit_own_file();
		assert_as_read_anew();
	}
}

/* ---- refusals -------------------------------------------------------------------------- */

static void files_of_others_are_not_written(void **state)
{
	static const struct cv_store_name name = {CV_KIND_NODE, "a", false};

	(void)state;
	world_write("mine.yaml", "# mine\n" NODE("a", "192.0.2.1/24"));
	world.store = world_open(world_path("conf"));
	assert_int_equal(world_apply(NODE("b", "192.0.2.2/24") NODE("a", "192.0.2.3/24"), false),
			 -EPERM);
	assert_non_null(strstr(world.error.text, "conf/mine.yaml:"));
	assert_int_equal(world_apply(NODE("a", "192.0.2.3/24"), true), -EPERM);
	assert_int_equal(world_delete(&name, 1, false), -EPERM);
	assert_non_null(strstr(world.error.text, "conf/mine.yaml:"));
	assert_nodes("a");
	assert_only(world_path("conf"), "mine.yaml");
	assert_int_equal(world_apply(NODE("a", "192.0.2.1/24"), false), 0);
	assert_changes("Node a unchanged");
	assert_only(world_path("conf"), "mine.yaml");
}

static void bad_changes_change_nothing(void **state)
{
	(void)state;
	world.store = world_open(world_path("conf"));
	assert_int_equal(world_apply(POOL("p", "10.0.0.0/16") NODE("a", "192.0.2.1/24"), false), 0);
	for (int dry_run = 0; dry_run < 2; dry_run++) {
		assert_int_equal(
			world_apply(NODE("b", "192.0.2.2/24") POOL("p", "10.1.0.0/16"), dry_run),
			-EINVAL);
		assert_non_null(strstr(world.error.text, "10.1.0.0/16"));
		assert_int_equal(
			world_apply(NODE("b", "192.0.2.2/24") NODE("b", "192.0.2.3/24"), dry_run),
			-EEXIST);
		assert_non_null(strstr(world.error.text, "in.yaml:"));
		/* Another node's address. */
		assert_int_equal(world_apply(NODE("b", "192.0.2.1/24"), dry_run), -EINVAL);
		assert_non_null(strstr(world.error.text, "in.yaml:"));
	}
	assert_nodes("a");
	assert_null(cv_store_problem(world.store));
	assert_int_equal(cv_store_refresh(world.store), 0);
}

static void nothing_is_applied_to_a_broken_directory(void **state)
{
	static const struct cv_store_name name = {CV_KIND_NODE, "a", false};

	(void)state;
	world.store = world_open(world_path("conf"));
	assert_int_equal(world_apply(NODE("a", "192.0.2.1/24"), false), 0);
	world_write("b.yaml", "broken: [\n");
	assert_int_equal(world_apply(NODE("c", "192.0.2.3/24"), false), -EUCLEAN);
	assert_non_null(strstr(world.error.text, "conf/b.yaml"));
	assert_int_equal(world_delete(&name, 1, false), -EUCLEAN);
	assert_int_equal(unlink(world_path("conf/b.yaml")), 0);
	/* A directory that is gone is not made again behind its owner's back. */
	assert_int_equal(rename(world_path("conf"), world_path("away")), 0);
	assert_int_equal(world_apply(NODE("c", "192.0.2.3/24"), false), -EUCLEAN);
	assert_non_null(strstr(world.error.text, "conf is gone"));
	assert_int_equal(access(world_path("conf"), F_OK), -1);
	assert_nodes("a");
	assert_int_equal(rename(world_path("away"), world_path("conf")), 0);
	assert_int_equal(world_apply(NODE("c", "192.0.2.3/24"), false), 0);
	assert_nodes("a c");
}

static void two_stores_lose_nothing(void **state)
{
	struct cv_store *other, *one;

	(void)state;
	one = world.store = world_open(world_path("conf"));
	other = world_open(world_path("conf"));
	for (int i = 0; i < 10; i++) {
		char text[256];

		world.store = i & 1 ? other : one;
		snprintf(text, sizeof(text), NODE("n%d", "192.0.2.%d/24"), i, i + 1);
		assert_int_equal(world_apply(text, false), 0);
	}
	assert_nodes("n0 n1 n2 n3 n4 n5 n6 n7 n8 n9");
	cv_store_destroy(other);
	world.store = one;
	world_settle();
	assert_int_equal(cv_store_refresh(world.store), 1);
	assert_nodes("n0 n1 n2 n3 n4 n5 n6 n7 n8 n9");
}

static void a_lock_is_waited_for_and_not_for_ever(void **state)
{
	int fd;

	(void)state;
	world.store = world_open(world_path("conf"));
	fd = open(world_path("conf"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(world_apply(NODE("a", "192.0.2.1/24"), false), -EBUSY);
	/* To say what would be needs no lock. */
	assert_int_equal(world_apply(NODE("a", "192.0.2.1/24"), true), 0);
	close(fd);
	assert_int_equal(world_apply(NODE("a", "192.0.2.1/24"), false), 0);
}

static void own_file_that_is_open_for_writing_is_not_replaced(void **state)
{
	int fd;

	(void)state;
	world.store = world_open(world_path("conf"));
	assert_int_equal(world_apply(NODE("a", "192.0.2.1/24"), false), 0);
	fd = open(world_path("conf/applied.yaml"), O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(world_apply(NODE("b", "192.0.2.2/24"), false), -EBUSY);
	assert_only(world_path("conf"), "applied.yaml");
	assert_true(write(fd, NODE("c", "192.0.2.3/24"), sizeof(NODE("c", "192.0.2.3/24")) - 1) >
		    0);
	close(fd);
	assert_int_equal(world_apply(NODE("b", "192.0.2.2/24"), false), 0);
	assert_nodes("a b c");
}

static void own_file_that_is_a_link_is_refused(void **state)
{
	(void)state;
	world_write("../elsewhere", NODE("a", "192.0.2.1/24"));
	assert_int_equal(symlink("../elsewhere", world_path("conf/applied.yaml")), 0);
	world.store = world_open(world_path("conf"));
	assert_nodes("a");
	assert_int_equal(world_apply(NODE("b", "192.0.2.2/24"), false), -EPERM);
	assert_non_null(strstr(world.error.text, "symbolic link"));
}

static void mode_of_the_file_stays(void **state)
{
	struct stat st;

	(void)state;
	world.store = world_open(world_path("conf"));
	assert_int_equal(world_apply(NODE("a", "192.0.2.1/24"), false), 0);
	assert_int_equal(chmod(world_path("conf/applied.yaml"), 0640), 0);
	assert_int_equal(world_apply(NODE("b", "192.0.2.2/24"), false), 0);
	assert_int_equal(stat(world_path("conf/applied.yaml"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_directory_is_no_resources),
		TEST(manifests_are_read_and_nothing_else),
		TEST(problem_names_the_place),
		TEST(twice_in_two_files_is_a_problem),
		TEST(what_is_no_file_is_a_problem_and_never_waited_for),
		TEST(unchanged_files_are_not_parsed_again),
		TEST(half_a_file_is_not_taken),
		TEST(file_that_has_just_been_written_may_grow),
		TEST(what_must_not_change_keeps_the_last_good_state),
		TEST(each_way_to_edit_is_noticed),
		TEST(directory_that_comes_later_is_noticed),
		TEST(swapped_directory_is_noticed),
		TEST(linked_directory_is_noticed),
		TEST(config_map_is_noticed),
		TEST(linked_file_is_noticed),
		TEST(apply_makes_the_directory_and_the_file),
		TEST(apply_and_delete_change_what_they_name),
		TEST(places_are_those_of_the_file),
		TEST(warnings_go_with_their_documents),
		TEST(own_file_may_be_edited),
		TEST(any_changes_are_as_read_anew),
		TEST(files_of_others_are_not_written),
		TEST(bad_changes_change_nothing),
		TEST(nothing_is_applied_to_a_broken_directory),
		TEST(two_stores_lose_nothing),
		TEST(a_lock_is_waited_for_and_not_for_ever),
		TEST(own_file_that_is_open_for_writing_is_not_replaced),
		TEST(own_file_that_is_a_link_is_refused),
		TEST(mode_of_the_file_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
