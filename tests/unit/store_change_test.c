/* SPDX-License-Identifier: Apache-2.0 */
/* What a change would do, before anything is written: the refusals and their words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "store/change.h"
#include "resources.h"

static struct cv_resource *resources[2];
static struct cv_snapshot *snapshot;
static struct cv_store_changes changes;
static struct cv_error error;

static int set_up(void **state)
{
	(void)state;
	resources[0] = cv_test_node("a1", "192.0.2.1/24", NULL);
	resources[1] = cv_test_node("a1", "192.0.2.2/24", NULL);
	return cv_snapshot_create(NULL, 0, &snapshot, &error);
}

static int tear_down(void **state)
{
	(void)state;
	cv_snapshot_put(snapshot);
	cv_store_changes_fini(&changes);
	cv_test_put_all(resources, 2);
	return 0;
}

static int plan(void)
{
	return cv_change_plan_apply(snapshot, "conf/applied.yaml", resources, 2, &changes, &error);
}

/* What is refused is the later one, as people read: by file, then by line. */
static void test_refuses_one_twice(void **state)
{
	(void)state;
	cv_test_place(resources[0], "in.yaml", 9);
	cv_test_place(resources[1], "in.yaml", 2);
	assert_int_equal(plan(), -EEXIST);
	assert_string_equal(error.text, "in.yaml:9:1: Node a1 is there already, at in.yaml:2; "
					"remove one of them");
	cv_test_place(resources[0], "a.yaml", 9);
	cv_test_place(resources[1], "b.yaml", 2);
	assert_int_equal(plan(), -EEXIST);
	assert_string_equal(error.text, "b.yaml:2:1: Node a1 is there already, at a.yaml:9; "
					"remove one of them");
}

/* The remedy is there, however long the names of files are. */
static void test_long_names(void **state)
{
	char file[300];

	(void)state;
	memset(file, 'd', sizeof(file) - 1);
	file[sizeof(file) - 1] = '\0';
	cv_test_place(resources[0], file, 9);
	cv_test_place(resources[1], file, 2);
	assert_int_equal(plan(), -EEXIST);
	assert_non_null(strstr(error.text, "d:2; remove one of them"));
}

/* Of somebody's own file nothing is changed. */
static void test_refuses_the_files_of_others(void **state)
{
	struct cv_store_name name = {CV_KIND_NODE, "a1", true};

	(void)state;
	cv_snapshot_put(snapshot);
	cv_test_place(resources[0], "conf/mine.yaml", 4);
	assert_int_equal(cv_snapshot_create(resources, 1, &snapshot, &error), 0);
	assert_int_equal(cv_change_plan_apply(snapshot, "conf/applied.yaml", resources + 1, 1,
					      &changes, &error),
			 -EPERM);
	assert_string_equal(error.text, "Node a1 is in conf/mine.yaml:4, which is a file of yours "
					"that Culvert does not write; change it there");
	assert_int_equal(
		cv_change_plan_delete(snapshot, "conf/applied.yaml", &name, 1, &changes, &error),
		-EPERM);
	assert_string_equal(error.text, "Node a1 is in conf/mine.yaml:4, which is a file of yours "
					"that Culvert does not write; remove it there");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_refuses_one_twice),
		TEST(test_long_names),
		TEST(test_refuses_the_files_of_others),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
