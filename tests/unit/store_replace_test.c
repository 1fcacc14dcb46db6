/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applying when things go wrong: a death at each system call, disks that are full or read-only,
 * people who edit at the same moment. Calls are made to fail, or to kill, by seccomp filters in a
 * child.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/replace.h"
#include "store_world.h"

enum {
	NODES = 50,
	ROUNDS = 25,
};

/* NODES nodes, whose names and addresses all have the generation in them. */
static const char *manifest(unsigned int generation)
{
	static char text[NODES * 160];
	size_t length = 0;

	for (unsigned int i = 0; i < NODES; i++)
		length += (size_t)snprintf(
			text + length, sizeof(text) - length,
			"---\napiVersion: projectcalico.org/v3\nkind: Node\nmetadata:\n  name: "
			"n%u\nspec:\n  bgp:\n    ipv4Address: 10.%u.%u.%u/32\n",
			i, generation >> 8 & 0xff, generation & 0xff, i + 1);
	return text;
}

/* Which generation the store has, all of it; 0: none. */
static unsigned int generation_of(struct cv_store *store)
{
	const struct cv_snapshot *snapshot = cv_store_snapshot(store);
	unsigned int generation = 0;

	assert_null(cv_store_problem(store));
	if (!snapshot->count)
		return 0;
	assert_int_equal(snapshot->count, NODES);
	for (size_t i = 0; i < NODES; i++) {
		uint32_t address = ntohl((uint32_t)snapshot->resources[i]->node.address);
		unsigned int of = address >> 8 & 0xffff;

		if (i)
			assert_int_equal(of, generation);
		generation = of;
	}
	return generation;
}

/* ---- system calls that fail ------------------------------------------------------------ */

static void filter(unsigned int call, unsigned int action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0))
		_exit(255);
}

static struct cv_error *shared_error;

/* Apply in a child whose calls are filtered; its exit status, -signal if that killed it. */
static int apply_filtered(unsigned int generation, unsigned int call, unsigned int action)
{
	int status;
	pid_t pid;

	shared_error->text[0] = '\0';
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct cv_store_changes changes;
		struct cv_manifest parsed;
		struct cv_store *store = world_open(world_path("conf"));
		const char *text = manifest(generation);

		if (cv_manifest_parse("in.yaml", text, strlen(text), &parsed, shared_error))
			_exit(254);
		filter(call, action);
		_exit(-cv_store_apply(store, parsed.resources, parsed.count, false, &changes,
				      shared_error));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* What the next daemon finds; nothing may be left over. */
static unsigned int reopened_generation(void)
{
	unsigned int generation;

	cv_store_destroy(world.store);
	world.store = world_open(world_path("conf"));
	generation = generation_of(world.store);
	if (generation)
		assert_only(world_path("conf"), "applied.yaml");
	return generation;
}

static void death_at_each_step_leaves_old_or_new(void **state)
{
	static const struct {
		unsigned int call;
		bool may_be_new;
	} steps[] = {
		{SYS_flock, false},	{SYS_write, false},	{SYS_fchmod, false},
		{SYS_fsync, false},	{SYS_renameat2, false}, {SYS_unlinkat, true},
		{SYS_getrandom, false},
	};
	unsigned int generation = 0;

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
			unsigned int found;

			assert_int_equal(apply_filtered(generation + 1, steps[i].call,
							SECCOMP_RET_KILL_PROCESS),
					 -SIGSYS);
			found = reopened_generation();
			assert_int_equal(found, generation + (steps[i].may_be_new ? 1 : 0));
			generation = found;
		}
	}
	/* And without a death, it works. */
	assert_int_equal(apply_filtered(generation + 1, SYS_ptrace, SECCOMP_RET_KILL_PROCESS), 0);
	assert_int_equal(reopened_generation(), generation + 1);
}

static void errors_change_nothing_and_say_what_to_do(void **state)
{
	static const struct {
		unsigned int call;
		int error;
		const char *text;
	} cases[] = {
		{SYS_write, ENOSPC, "make room"},    {SYS_write, EDQUOT, "make room"},
		{SYS_write, EIO, "cannot write"},    {SYS_fsync, EIO, "cannot write"},
		{SYS_fsync, ENOSPC, "make room"},    {SYS_renameat2, EROFS, "read-only"},
		{SYS_renameat2, EACCES, "writable"},
	};

	(void)state;
	world.store = world_open(world_path("conf"));
	for (unsigned int generation = 0; generation < 2; generation++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			assert_int_equal(
				apply_filtered(7, cases[i].call,
					       SECCOMP_RET_ERRNO | (unsigned int)cases[i].error),
				cases[i].error);
			assert_non_null(strstr(shared_error->text, cases[i].text));
			assert_non_null(strstr(shared_error->text, "conf/applied.yaml"));
			assert_int_equal(reopened_generation(), generation);
		}
		assert_int_equal(world_apply(manifest(1), false), 0);
	}
}

/* NFS has no RENAME_EXCHANGE, and some no locks. */
static void old_file_systems_will_do(void **state)
{
	(void)state;
	for (unsigned int generation = 1; generation < 3; generation++) {
		assert_int_equal(
			apply_filtered(generation, SYS_renameat2, SECCOMP_RET_ERRNO | EINVAL), 0);
		assert_int_equal(reopened_generation(), generation);
	}
	assert_int_equal(apply_filtered(3, SYS_flock, SECCOMP_RET_ERRNO | ENOLCK), 0);
	assert_int_equal(reopened_generation(), 3);
}

/* ---- deaths at any moment ---------------------------------------------------------------- */

static _Noreturn void apply_without_end(unsigned int generation, int report)
{
	world.store = world_open(world_path("conf"));
	for (;; generation++) {
		if (world_apply(manifest(generation), false) ||
		    write(report, &generation, sizeof(generation)) != sizeof(generation))
			_exit(1);
	}
}

static void death_at_any_moment_leaves_old_or_new(void **state)
{
	unsigned int generation = 1;

	(void)state;
	srand(4);
	for (int i = 0; i < ROUNDS; i++) {
		const struct timespec moment = {.tv_nsec = rand() % 15000000};
		unsigned int done = 0, told;
		int pipes[2], status;
		pid_t pid;

		assert_int_equal(pipe(pipes), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			apply_without_end(generation, pipes[1]);
		close(pipes[1]);
		/* Once it is at work. */
		assert_int_equal(read(pipes[0], &done, sizeof(done)), sizeof(done));
		nanosleep(&moment, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		while (read(pipes[0], &told, sizeof(told)) == sizeof(told))
			done = told;
		close(pipes[0]);
		/* What was answered is there; what was about to be answered may be. */
		told = reopened_generation();
		assert_in_range(told, done, done + 1);
		generation = told + 1;
	}
}

/* ---- disks --------------------------------------------------------------------------------- */

static void full_disk_changes_nothing(void **state)
{
	char block[4096] = "";
	int fd;

	(void)state;
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", world_path("conf"), "tmpfs", 0, "size=64k"))
		skip();
	world.store = world_open(world_path("conf"));
	assert_int_equal(world_apply(manifest(1), false), 0);
	fd = open(world_path("conf/filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
	assert_int_equal(world_apply(manifest(2), false), -ENOSPC);
	assert_non_null(strstr(world.error.text, "make room"));
	assert_int_equal(generation_of(world.store), 1);
	assert_int_equal(cv_store_refresh(world.store), 0);
	assert_int_equal(unlink(world_path("conf/filler")), 0);
	assert_only(world_path("conf"), "applied.yaml");
	assert_int_equal(world_apply(manifest(2), false), 0);
	assert_int_equal(reopened_generation(), 2);

	assert_int_equal(mount(NULL, world_path("conf"), NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_int_equal(world_apply(manifest(3), false), -EROFS);
	assert_non_null(strstr(world.error.text, "read-only"));
	assert_int_equal(world_apply(manifest(3), true), 0);
	assert_int_equal(reopened_generation(), 2);
	assert_int_equal(umount2(world_path("conf"), MNT_DETACH), 0);
}

static void directory_that_may_not_be_written_is_named(void **state)
{
	int rc;

	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(chmod(world_path("."), 0755), 0);
	world.store = world_open(world_path("conf"));
	assert_int_equal(seteuid(65534), 0);
	rc = world_apply(manifest(1), false);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(rc, -EACCES);
	assert_non_null(strstr(world.error.text, "writable"));
	cv_store_destroy(world.store);
	world.store = world_open(world_path("new/conf"));
	assert_int_equal(seteuid(65534), 0);
	rc = world_apply(manifest(1), false);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(rc, -EACCES);
	assert_non_null(strstr(world.error.text, "new/conf"));
}

/* ---- others -------------------------------------------------------------------------------- */

/* Two daemons with one directory, each of which applies its own nodes one by one. */
static _Noreturn void apply_own_nodes(int daemon)
{
	int rc = 0;

	world.store = world_open(world_path("conf"));
	for (int i = 0; i < 6 && !rc; i++) {
		char text[256];

		snprintf(text, sizeof(text),
			 "apiVersion: projectcalico.org/v3\nkind: Node\nmetadata:\n  name: n%d-%d\n"
			 "spec:\n  bgp:\n    ipv4Address: 10.0.%d.%d/16\n",
			 daemon, i, daemon, i + 1);
		rc = world_apply(text, false);
	}
	_exit(rc != 0);
}

static void daemons_at_the_same_time_lose_nothing(void **state)
{
	pid_t daemons[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		daemons[i] = fork();
		assert_true(daemons[i] >= 0);
		if (!daemons[i])
			apply_own_nodes(i);
	}
	for (int i = 0; i < 2; i++) {
		int status;

		assert_int_equal(waitpid(daemons[i], &status, 0), daemons[i]);
		assert_int_equal(status, 0);
	}
	world.store = world_open(world_path("conf"));
	assert_nodes("n0-0 n0-1 n0-2 n0-3 n0-4 n0-5 n1-0 n1-1 n1-2 n1-3 n1-4 n1-5");
	assert_only(world_path("conf"), "applied.yaml");
}

/* ---- people ---------------------------------------------------------------------------------- */

static int editor = -1;

/* While we write aside, somebody else saves the file: by rename, or has it open in place. */
static int write_and_rename(FILE *out, void *data)
{
	(void)data;
	assert_int_equal(rename(world_path("conf/theirs"), world_path("conf/x")), 0);
	return fputs("ours", out) == EOF ? -EIO : 0;
}

static int write_and_open(FILE *out, void *data)
{
	(void)data;
	editor = open(world_path("conf/x"), O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(editor >= 0);
	return fputs("ours", out) == EOF ? -EIO : 0;
}

static int write_only(FILE *out, void *data)
{
	(void)data;
	return fputs("ours", out) == EOF ? -EIO : 0;
}

static int replace(const struct cv_signature *expect, int (*write)(FILE *out, void *data))
{
	int fd = cv_replace_lock(world_path("conf"), false, &world.error);
	const struct cv_replace replacing = {
		.directory = fd,
		.path = world_path("conf"),
		.name = "x",
		.expect = expect,
		.write = write,
	};
	struct cv_signature signature;
	int rc;

	assert_true(fd >= 0);
	rc = cv_replace_file(&replacing, &signature, &world.error);
	close(fd);
	return rc;
}

static void edit_at_the_same_moment_wins(void **state)
{
	struct cv_signature signature;
	struct stat st;
	char text[64];

	(void)state;
	world_write("theirs", "theirs");
	/* A file where there was none. */
	assert_int_equal(replace(NULL, write_and_rename), -EAGAIN);
	world_read("x", text, sizeof(text));
	assert_string_equal(text, "theirs");
	/* Another one in the place of ours. */
	assert_int_equal(stat(world_path("conf/x"), &st), 0);
	signature = cv_signature_of(&st);
	world_write("theirs", "their other");
	assert_int_equal(replace(&signature, write_and_rename), -EAGAIN);
	world_read("x", text, sizeof(text));
	assert_string_equal(text, "their other");
	/* One that is about to be written in place. */
	assert_int_equal(stat(world_path("conf/x"), &st), 0);
	signature = cv_signature_of(&st);
	assert_int_equal(replace(&signature, write_and_open), -EAGAIN);
	assert_int_equal(write(editor, " end", 4), 4);
	close(editor);
	world_read("x", text, sizeof(text));
	assert_string_equal(text, "their other end");
	assert_int_equal(replace(&signature, write_only), -EAGAIN);
	assert_only(world_path("conf"), "x");
	/* When it is known, it is replaced. */
	assert_int_equal(stat(world_path("conf/x"), &st), 0);
	signature = cv_signature_of(&st);
	assert_int_equal(replace(&signature, write_only), 0);
	world_read("x", text, sizeof(text));
	assert_string_equal(text, "ours");
	assert_only(world_path("conf"), "x");
}

/* ---- a directory that is swapped --------------------------------------------------------- */

static const char *missing_once; /* it is not there when it is opened the next time; NULL: none */

/* open(2), for all of this program. */
int open_or_miss(const char *path, int flags, ...) __asm__("open");

int open_or_miss(const char *path, int flags, ...)
{
	unsigned int mode;
	va_list args;

	va_start(args, flags);
	mode = va_arg(args, unsigned int);
	va_end(args);
	if (missing_once && !strcmp(path, missing_once)) {
		missing_once = NULL;
		errno = ENOENT;
		return -1;
	}
	return openat(AT_FDCWD, path, flags, mode);
}

/* Gone when it is to be locked, there again when it is looked at. */
static void directory_that_is_back_is_written(void **state)
{
	(void)state;
	world.store = world_open(world_path("conf"));
	assert_int_equal(world_apply(manifest(1), false), 0);
	missing_once = cv_store_directory(world.store);
	assert_int_equal(world_apply(manifest(2), false), 0);
	assert_null(missing_once);
	assert_int_equal(generation_of(world.store), 2);
	assert_int_not_equal(fcntl(0, F_GETFD), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(death_at_each_step_leaves_old_or_new),
		TEST(errors_change_nothing_and_say_what_to_do),
		TEST(old_file_systems_will_do),
		TEST(death_at_any_moment_leaves_old_or_new),
		TEST(directory_that_may_not_be_written_is_named),
		TEST(daemons_at_the_same_time_lose_nothing),
		TEST(edit_at_the_same_moment_wins),
		TEST(directory_that_is_back_is_written),
		/* Last: it leaves the mount namespace. */
		TEST(full_disk_changes_nothing),
	};

	shared_error = mmap(NULL, sizeof(*shared_error), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared_error == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
