/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address management over SQLite: a process that is killed at any instant leaves documents that fit
 * together, and every address that it was told is its owner's.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "ipam_world.h"
#include "kv_directory.h"

enum {
	HANDLES = 40,
	ROUNDS = 12
};

static struct cv_ipam *open_ipam(struct cv_kv *kv)
{
	struct cv_ipam_world world = ipam_world("node-1", "10.244.0.0/16", 28, false);

	ipam_world_declare(&world, "10.244.1.0/24");
	return ipam_open(kv, world);
}

/* What a handle was told: 0 has been released. */
struct told {
	int handle;
	__be32 address;
	bool is_begun; /* asked for; the answer follows */
};

static void tell(int out, int handle, __be32 address, bool is_begun)
{
	struct told told;

	memset(&told, 0, sizeof(told));
	told.handle = handle;
	told.address = address;
	told.is_begun = is_begun;
	if (write(out, &told, sizeof(told)) != sizeof(told))
		_exit(1);
}

static void work_for_ever(int out, const bool *has)
{
	struct cv_ipam *ipam = open_ipam(kv_directory_open());
	bool is_held[HANDLES];

	memcpy(is_held, has, sizeof(is_held));
	for (;;) {
		int handle = (int)(random() % HANDLES);
		struct cv_ipam_result result = {0};
		char name[16];
		const char *names[] = {name};
		struct cv_ipam_request request = {.handle = name};

		snprintf(name, sizeof(name), "h%d", handle);
		tell(out, handle, 0, true);
		if (is_held[handle] ? cv_ipam_release(ipam, names, 1, NULL, NULL) != 0
				    : cv_ipam_assign(ipam, &request, 1, &result) != 0)
			_exit(1);
		is_held[handle] = !is_held[handle];
		tell(out, handle, result.address, false);
	}
}

/* Kill it after a while; addresses: what the handles have. Returns the handle that was in the
 * middle of something, or -1. */
static int kill_one(useconds_t after_us, const bool *has, __be32 *addresses)
{
	struct told told;
	int pipes[2], status, begun = -1;
	pid_t child;

	assert_int_equal(pipe(pipes), 0);
	child = fork();
	if (!child) {
		close(pipes[0]);
		work_for_ever(pipes[1], has);
	}
	close(pipes[1]);
	usleep(after_us);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	while (read(pipes[0], &told, sizeof(told)) == sizeof(told)) {
		begun = told.is_begun ? told.handle : -1;
		if (!told.is_begun)
			addresses[told.handle] = told.address;
	}
	close(pipes[0]);
	return begun;
}

static void compare(const struct cv_ipam_view *view, __be32 *addresses, int begun)
{
	__be32 found[HANDLES] = {0};

	for (size_t i = 0; i < view->fault_count; i++)
		fail_msg("%s: %s", view->faults[i].key, view->faults[i].text);
	for (size_t i = 0; i < view->block_count; i++) {
		for (size_t j = 0; j < view->blocks[i].assignment_count; j++) {
			const struct cv_ipam_assignment *item = &view->blocks[i].assignments[j];
			long handle = strtol(item->handle + 1, NULL, 10);

			assert_in_range(handle, 0, HANDLES - 1);
			assert_int_equal(found[handle], 0); /* one each */
			found[handle] = item->address;
		}
	}
	for (int i = 0; i < HANDLES; i++) {
		if (i == begun)
			addresses[i] = found[i]; /* done, or not */
		assert_int_equal(found[i], addresses[i]);
	}
}

static void test_killed(void **state)
{
	__be32 addresses[HANDLES] = {0};
	bool has[HANDLES] = {false};
	size_t done = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct cv_ipam_view view;
		struct cv_ipam *ipam;
		struct cv_kv *kv;
		int begun = kill_one((useconds_t)(20000 + round * 5700), has, addresses);

		kv = kv_directory_open();
		ipam = open_ipam(kv);
		assert_int_equal(cv_ipam_look(ipam, &view, NULL), 0);
		compare(&view, addresses, begun);
		cv_ipam_view_fini(&view);
		cv_ipam_destroy(ipam);
		cv_kv_destroy(kv);
		for (int i = 0; i < HANDLES; i++) {
			has[i] = addresses[i];
			done += has[i];
		}
	}
	assert_true(done > 0);
}

/* The same documents as over any store: a disk that is full is told apart from a block that is. */
static void test_lives_on(void **state)
{
	struct cv_kv *kv = kv_directory_open();
	struct cv_ipam *ipam = open_ipam(kv);
	char address[CV_ADDRESS_TEXT_MAX];

	(void)state;
	for (int i = 0; i < 256; i++) {
		snprintf(address, sizeof(address), "10.244.1.%d", i);
		ipam_expect(ipam, "all", address);
	}
	assert_int_equal(ipam_assign(ipam, "all", NULL), -ENOSPC);
	cv_ipam_destroy(ipam);
	cv_kv_destroy(kv);
	kv = kv_directory_open();
	ipam = open_ipam(kv);
	assert_int_equal(ipam_assign(ipam, "all", NULL), -ENOSPC);
	ipam_expect_released(ipam, "all", 256);
	ipam_expect(ipam, "again", "10.244.1.0");
	cv_ipam_destroy(ipam);
	cv_kv_destroy(kv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_killed, kv_directory_set_up,
						kv_directory_tear_down),
		cmocka_unit_test_setup_teardown(test_lives_on, kv_directory_set_up,
						kv_directory_tear_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
