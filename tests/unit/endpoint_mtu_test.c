/* SPDX-License-Identifier: Apache-2.0 */
/* tunnel/endpoint_mtu: the MTU of new endpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include "tunnel/endpoint_mtu.h"

static const struct cv_prober_path paths[] = {
	{.tunnel = 3, .mtu = 600},
	{.tunnel = 5, .mtu = 1400, .liveness = CV_LIVENESS_UP},
	{.tunnel = 5, .mtu = 1300, .liveness = CV_LIVENESS_DOWN},
	{.tunnel = 5, .mtu = 0},
	{.tunnel = 5, .mtu = 9000, .liveness = CV_LIVENESS_UNKNOWN},
	{.tunnel = 6, .mtu = 80},
	{.tunnel = 9, .mtu = 9000},
};

static uint32_t of(int ifindex, uint32_t device_mtu)
{
	return cv_endpoint_mtu(ifindex, device_mtu, paths, sizeof(paths) / sizeof(paths[0]));
}

static void test_the_narrowest_path_that_is_not_down(void **state)
{
	(void)state;
	assert_int_equal(of(5, 1480), 1380);
	assert_int_equal(of(5, 1380), 1380);
	assert_int_equal(of(5, 1379), 1379);
	assert_int_equal(of(3, 1480), 580);
	assert_int_equal(of(9, 1480), 1480);
	assert_int_equal(of(9, 65515), 8980);
}

static void test_what_no_path_says(void **state)
{
	(void)state;
	/* None of this tunnel; no device; less than IPv4 has. */
	assert_int_equal(of(4, 1480), 1480);
	assert_int_equal(of(10, 1480), 1480);
	assert_int_equal(of(5, 0), 0);
	assert_int_equal(of(6, 1480), 68);
	assert_int_equal(cv_endpoint_mtu(5, 1480, NULL, 0), 1480);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_narrowest_path_that_is_not_down),
		cmocka_unit_test(test_what_no_path_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
