/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of addresses, over a real database: order, what is done together, beginning and end.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <event2/event.h>

#include "agent/addresses.h"

enum {
	JOBS = 200,
	LIMIT_S = 20
};

struct fixture {
	struct event_base *base;
	char directory[64], state[96], file[128];
	struct cv_addresses *addresses;
	/* What callbacks have said, in their order. */
	size_t count;
	int order[4 * JOBS];
	int rc[4 * JOBS];
	__be32 address[4 * JOBS];
};

/* One job's context: where its word goes, and which it is. */
struct ticket {
	struct fixture *fixture;
	int number;
};

static struct ticket tickets[4 * JOBS];

static void *ticket(struct fixture *fixture, int number)
{
	tickets[number] = (struct ticket){fixture, number};
	return &tickets[number];
}

static void note(void *context, int rc, const struct cv_error *error, const void *result)
{
	const struct ticket *mine = context;
	struct fixture *fixture = mine->fixture;

	(void)error;
	(void)result;
	fixture->order[fixture->count] = mine->number;
	fixture->rc[fixture->count++] = rc;
}

static void note_address(void *context, int rc, const struct cv_error *error, const void *result)
{
	const struct cv_ipam_result *assigned = result;
	const struct ticket *mine = context;

	if (!rc)
		mine->fixture->address[mine->number] = assigned->address;
	note(context, rc, error, result);
}

static void run_until(struct fixture *fixture, size_t count)
{
	const struct timeval limit = {.tv_sec = LIMIT_S};

	event_base_loopexit(fixture->base, &limit);
	while (fixture->count < count && !event_base_got_exit(fixture->base))
		event_base_loop(fixture->base, EVLOOP_ONCE);
	assert_int_equal(fixture->count, count);
}

static void open_addresses(struct fixture *fixture)
{
	const struct cv_addresses_options options = {
		.base = fixture->base,
		.state_dir = fixture->state,
	};
	struct cv_error error = {.text = ""};

	assert_int_equal(cv_addresses_create(&options, &fixture->addresses, &error), 0);
}

static void configure(struct fixture *fixture)
{
	struct cv_ipam_world world = {.node = "a1", .pool_count = 1, .declared_count = 1};

	world.pools = calloc(1, sizeof(*world.pools));
	world.declared = calloc(1, sizeof(*world.declared));
	snprintf(world.pools->name, sizeof(world.pools->name), "pods");
	cv_prefix_parse("10.244.0.0/16", &world.pools->cidr);
	world.pools->block_size = 24;
	world.pools->selects_us = world.pools->for_workload = true;
	cv_prefix_parse("10.244.1.0/24", world.declared);
	cv_addresses_configure(fixture->addresses, &world);
	assert_null(world.pools);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/culvert-addresses-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	snprintf(fixture->state, sizeof(fixture->state), "%s/state", fixture->directory);
	snprintf(fixture->file, sizeof(fixture->file), "%s/%s", fixture->state, CV_ADDRESSES_FILE);
	fixture->base = event_base_new();
	open_addresses(fixture);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	char command[512];

	cv_addresses_destroy(fixture->addresses);
	event_base_free(fixture->base);
	snprintf(command, sizeof(command), "rm -rf %s", fixture->directory);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
	free(fixture);
	return 0;
}

static void assign(struct fixture *fixture, int number)
{
	char handle[32];
	const struct cv_ipam_request request = {.handle = handle, .is_repeated = true};

	snprintf(handle, sizeof(handle), "pods.c%d.eth0", number);
	cv_addresses_assign(fixture->addresses, &request, note_address, ticket(fixture, number));
}

static void test_nothing_is_made_before_it_is_needed(void **state)
{
	struct fixture *fixture = *state;
	struct cv_kv_list list = {.count = 1};
	struct cv_error error;

	configure(fixture);
	assert_int_equal(cv_addresses_local_list(fixture->addresses, "attachment/", &list, &error),
			 0);
	assert_int_equal(list.count, 0);
	assert_int_not_equal(access(fixture->state, F_OK), 0);
	cv_addresses_local_put(fixture->addresses, "attachment/x", "{}", note, ticket(fixture, 0));
	run_until(fixture, 1);
	assert_int_equal(access(fixture->file, F_OK), 0);
}

static void test_callbacks_come_in_the_order_of_the_jobs(void **state)
{
	struct fixture *fixture = *state;
	struct cv_addresses_status status;
	char key[32];

	configure(fixture);
	for (int i = 0; i < JOBS; i++) {
		snprintf(key, sizeof(key), "attachment/%d", i);
		cv_addresses_local_put(fixture->addresses, key, "{}", note, ticket(fixture, 2 * i));
		assign(fixture, 2 * i + 1);
	}
	run_until(fixture, 2 * JOBS);
	for (int i = 0; i < 2 * JOBS; i++) {
		assert_int_equal(fixture->order[i], i);
		assert_int_equal(fixture->rc[i], 0);
	}
	for (int i = 1; i < 2 * JOBS; i += 2) {
		for (int k = 1; k < i; k += 2)
			assert_int_not_equal(fixture->address[i], fixture->address[k]);
	}
	cv_addresses_status(fixture->addresses, &status);
	assert_int_equal(status.assigned, JOBS);
	assert_int_equal(status.waiting, 0);
	assert_string_equal(status.problem, "");
}

/* What is told to be there, is there for the next one. */
static void test_the_next_one_finds_it(void **state)
{
	struct fixture *fixture = *state;
	struct cv_kv_list list = {.count = 0};
	struct cv_error error;
	__be32 first;

	configure(fixture);
	cv_addresses_local_put(fixture->addresses, "attachment/1", "{\"a\": 1}", note,
			       ticket(fixture, 0));
	cv_addresses_local_put(fixture->addresses, "attachment/1", "{\"a\": 2}", note,
			       ticket(fixture, 1));
	cv_addresses_local_put(fixture->addresses, "attachment/2", "{}", note, ticket(fixture, 2));
	cv_addresses_local_put(fixture->addresses, "attachment/2", NULL, note, ticket(fixture, 3));
	assign(fixture, 4);
	run_until(fixture, 5);
	first = fixture->address[4];
	cv_addresses_destroy(fixture->addresses);
	open_addresses(fixture);
	configure(fixture);
	assert_int_equal(cv_addresses_local_list(fixture->addresses, "attachment/", &list, &error),
			 0);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].value, "{\"a\": 2}");
	cv_kv_list_fini(&list);
	fixture->count = 0;
	assign(fixture, 4);
	run_until(fixture, 1);
	assert_int_equal(fixture->address[4], first);
}

static void test_what_waits_at_the_end_is_cancelled_or_done(void **state)
{
	struct fixture *fixture = *state;
	size_t done = 0;

	configure(fixture);
	for (int i = 0; i < JOBS; i++)
		assign(fixture, i);
	cv_addresses_destroy(fixture->addresses);
	fixture->addresses = NULL;
	assert_int_equal(fixture->count, JOBS);
	for (int i = 0; i < JOBS; i++) {
		assert_int_equal(fixture->order[i], i);
		assert_true(!fixture->rc[i] || fixture->rc[i] == -ECANCELED);
		done += !fixture->rc[i];
	}
	/* Each of these has an address: told, or not. */
	fixture->count = 0;
	open_addresses(fixture);
	configure(fixture);
	for (int i = 0; i < JOBS; i++) {
		__be32 before = fixture->address[i];

		fixture->count = 0;
		assign(fixture, i);
		run_until(fixture, 1);
		if (before)
			assert_int_equal(fixture->address[i], before);
	}
	assert_true(done <= JOBS);
}

static size_t count_local(struct fixture *fixture, const char *prefix)
{
	struct cv_kv_list list = {.count = 0};
	struct cv_error error;
	size_t count;

	assert_int_equal(cv_addresses_local_list(fixture->addresses, prefix, &list, &error), 0);
	count = list.count;
	cv_kv_list_fini(&list);
	return count;
}

static void release_some(struct fixture *fixture)
{
	/* One of them twice, one that is nobody's; by address, and one that is not so. */
	cv_addresses_release(fixture->addresses, "pods.c1.eth0", NULL, note, ticket(fixture, 10));
	cv_addresses_release(fixture->addresses, "pods.c1.eth0", NULL, note, ticket(fixture, 11));
	cv_addresses_release(fixture->addresses, "pods.c9.eth0", NULL, note, ticket(fixture, 12));
	cv_addresses_release_address(fixture->addresses, fixture->address[2], "pods.c2.eth0", note,
				     ticket(fixture, 13));
	cv_addresses_release_address(fixture->addresses, fixture->address[3], "pods.c1.eth0", note,
				     ticket(fixture, 14));
	fixture->count = 0;
	run_until(fixture, 5);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(fixture->rc[i], 0);
	assert_int_equal(fixture->rc[4], -EPERM);
}

/* Each release while addresses move is noted, until that has come to nothing. */
static void test_releases_are_owed_while_addresses_move(void **state)
{
	struct fixture *fixture = *state;

	configure(fixture);
	for (int i = 1; i < 4; i++)
		assign(fixture, i);
	run_until(fixture, 3);
	cv_addresses_set_moving(fixture->addresses, true);
	release_some(fixture);
	assert_int_equal(count_local(fixture, "released/"), 3);
	assert_int_equal(count_local(fixture, "released/pods.c1.eth0"), 1);
	assert_int_equal(count_local(fixture, "released/pods.c2.eth0/10.244.1."), 1);
	cv_addresses_set_moving(fixture->addresses, false);
	assert_int_equal(count_local(fixture, "released/"), 0);
	for (int i = 1; i < 4; i++)
		assign(fixture, i);
	fixture->count = 0;
	run_until(fixture, 3);
	release_some(fixture);
	assert_int_equal(count_local(fixture, "released/"), 0);
}

/* With the file in force again, nothing is owed that a daemon before noted. */
static void test_nothing_is_owed_to_a_file(void **state)
{
	struct fixture *fixture = *state;

	configure(fixture);
	cv_addresses_set_moving(fixture->addresses, true);
	cv_addresses_release(fixture->addresses, "pods.c1.eth0", NULL, note, ticket(fixture, 0));
	run_until(fixture, 1);
	assert_int_equal(count_local(fixture, "released/"), 1);
	cv_addresses_destroy(fixture->addresses);
	open_addresses(fixture);
	configure(fixture);
	assert_int_equal(count_local(fixture, "released/"), 1);
	fixture->count = 0;
	assign(fixture, 1);
	run_until(fixture, 1);
	assert_int_equal(fixture->rc[0], 0);
	assert_int_equal(count_local(fixture, "released/"), 0);
}

static void test_a_directory_of_others_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct cv_addresses_status status;
	char command[512];

	snprintf(command, sizeof(command), "mkdir -m 777 %s", fixture->state);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
	cv_addresses_local_put(fixture->addresses, "attachment/x", "{}", note, ticket(fixture, 0));
	run_until(fixture, 1);
	assert_int_equal(fixture->rc[0], -EPERM);
	cv_addresses_status(fixture->addresses, &status);
	assert_int_equal(status.failed, 1);
	snprintf(command, sizeof(command), "chmod 700 %s", fixture->state);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
	cv_addresses_local_put(fixture->addresses, "attachment/x", "{}", note, ticket(fixture, 1));
	run_until(fixture, 2);
	assert_int_equal(fixture->rc[1], 0);
}

static void test_a_damaged_file_is_left_as_it_is(void **state)
{
	struct fixture *fixture = *state;
	const struct cv_addresses_options options = {
		.base = fixture->base,
		.state_dir = fixture->state,
	};
	struct cv_addresses *addresses = NULL;
	struct cv_error error = {.text = ""};
	char command[512];

	snprintf(command, sizeof(command), "mkdir -m 700 %s && yes damaged | head -c 9000 > %s",
		 fixture->state, fixture->file);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
	assert_int_equal(cv_addresses_create(&options, &addresses, &error), -EUCLEAN);
	assert_null(addresses);
	assert_true(strlen(error.text) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_is_made_before_it_is_needed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_callbacks_come_in_the_order_of_the_jobs,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_next_one_finds_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_waits_at_the_end_is_cancelled_or_done,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_releases_are_owed_while_addresses_move, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_is_owed_to_a_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_directory_of_others_is_refused, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_damaged_file_is_left_as_it_is, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
