/* SPDX-License-Identifier: Apache-2.0 */
/* What the store says in the log of changes that come by edited files. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <syslog.h>
#include <unistd.h>

#include "store/difference.h"
#include "store_world.h"

#define NODE(name, address)                                                           \
	"---\napiVersion: projectcalico.org/v3\nkind: Node\nmetadata:\n  name: " name \
	"\nspec:\n  bgp:\n    ipv4Address: " address "\n"

static void refresh(void)
{
	world_settle();
	assert_int_equal(cv_store_refresh(world.store), 1);
}

static void each_change_is_named_with_its_place(void **state)
{
	(void)state;
	world_write("a.yaml", NODE("a", "192.0.2.1/24") NODE("b", "192.0.2.2/24"));
	world_write("z.yaml", NODE("z", "192.0.2.9/24"));
	world.store = world_open(world_path("conf"));
	/* What there was is no change. */
	assert_logged(LOG_INFO, "", 0);

	world_write("a.yaml", NODE("aa", "192.0.2.3/24") NODE("b", "192.0.2.4/24"));
	refresh();
	assert_logged(LOG_INFO, "", 3);
	assert_logged(LOG_INFO, "Node aa: created, as ", 1);
	assert_logged(LOG_INFO, "conf/a.yaml:2 says", 1);
	assert_logged(LOG_INFO, "Node b: configured, as ", 1);
	assert_logged(LOG_INFO, "conf/a.yaml:10 says", 1);
	assert_logged(LOG_INFO, "Node a: deleted, as ", 1);
	assert_logged(LOG_INFO, "conf/a.yaml has it no longer", 1);

	assert_int_equal(unlink(world_path("conf/z.yaml")), 0);
	refresh();
	assert_logged(LOG_INFO, "", 4);
	assert_logged(LOG_INFO, "Node z: deleted, as ", 1);
}

static void another_place_is_no_change(void **state)
{
	(void)state;
	world_write("a.yaml", NODE("a", "192.0.2.1/24"));
	world.store = world_open(world_path("conf"));
	world_write("a.yaml", "# a remark\n" NODE("a", "192.0.2.1/24"));
	refresh();
	assert_logged(LOG_INFO, "", 0);
}

static void apply_is_left_to_who_was_asked(void **state)
{
	(void)state;
	world.store = world_open(world_path("conf"));
	assert_int_equal(world_apply(NODE("a", "192.0.2.1/24"), false), 0);
	(void)cv_store_refresh(world.store);
	assert_logged(LOG_INFO, "", 0);
}

static void many_are_a_number(void **state)
{
	char text[8192];
	size_t length = 0;

	(void)state;
	world.store = world_open(world_path("conf"));
	for (int i = 1; i <= CV_DIFFERENCE_TOLD + 5; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length,
					   "---\napiVersion: projectcalico.org/v3\nkind: Node\n"
					   "metadata: {name: n%d}\nspec: {bgp: {ipv4Address: "
					   "192.0.2.%d/24}}\n",
					   i, i);
	world_write("a.yaml", text);
	refresh();
	assert_logged(LOG_INFO, "created, as ", CV_DIFFERENCE_TOLD);
	assert_logged(LOG_INFO, "… and 5 more resources, by edited files", 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_change_is_named_with_its_place),
		TEST(another_place_is_no_change),
		TEST(apply_is_left_to_who_was_asked),
		TEST(many_are_a_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
