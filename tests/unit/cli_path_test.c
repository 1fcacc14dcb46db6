/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert path` in words: ages, and the lines of -w. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cli/path_text.h"

#define PATH                                                                                      \
	"\"tunnel\": \"culvert0\", \"remote\": \"192.168.200.2\", \"node\": \"b1\", \"source\": " \
	"\"192.168.100.1\", \"method\": \"tunnel\", \"blocked\": false"

static void prints_ages(void **state)
{
	static const struct {
		double seconds;
		const char *text;
	} cases[] = {
		{0, "0s"},	   {-1, "0s"},	    {0.999, "0s"},    {59.9, "59s"},
		{60, "1m0s"},	   {312, "5m12s"},  {3600, "1h0m"},   {11100, "3h5m"},
		{86399, "23h59m"}, {86400, "1d0h"}, {360000, "4d4h"}, {1e300, "0s"},
	};
	char text[CV_PATH_TEXT_AGE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(cv_path_text_age(cases[i].seconds, text), cases[i].text);
}

/* before, after: PATHs, NULL: none; line: NULL: nothing is told. */
static void expect(const char *before, const char *after, const char *line)
{
	json_t *a = before ? json_loads(before, 0, NULL) : NULL;
	json_t *b = after ? json_loads(after, 0, NULL) : NULL;
	json_t *changes = cv_path_text_changes(a, b);
	char *text;

	assert_true(!before == !a && !after == !b);
	assert_int_equal(json_array_size(changes) != 0, line != NULL);
	if (line) {
		text = cv_path_text_change(a, b, changes);
		assert_string_equal(text, line);
		free(text);
	}
	json_decref(a);
	json_decref(b);
	json_decref(changes);
}

static void tells_changes(void **state)
{
	static const char well[] = "{" PATH ", \"mtu\": 1500, \"how\": \"probe\", \"state\": "
				   "\"complete\", \"liveness\": \"up\", \"since_s\": 3.5}";

	(void)state;
	expect(well, well, NULL);
	expect(well,
	       "{" PATH ", \"mtu\": 1500, \"how\": \"probe\", \"state\": \"complete\", "
	       "\"liveness\": \"up\", \"since_s\": 4.5, \"rtt_p50_us\": 7}",
	       NULL);
	expect(well,
	       "{" PATH ", \"mtu\": 1400, \"how\": \"icmp\", \"state\": \"search\", \"liveness\": "
	       "\"up\"}",
	       "culvert0 192.168.200.2 (b1): mtu 1500 -> 1400 (icmp), how probe -> icmp, state "
	       "complete -> search");
	expect(well,
	       "{" PATH ", \"mtu\": null, \"how\": \"probe\", \"state\": \"complete\", "
	       "\"liveness\": \"down\"}",
	       "culvert0 192.168.200.2 (b1): mtu 1500 -> none (probe), liveness up -> down");
	expect(well, NULL, "culvert0 192.168.200.2 (b1): gone");
	expect(NULL, well, "culvert0 192.168.200.2 (b1): new, mtu 1500, state complete, up");
	expect("{\"tunnel\": \"tun0\", \"remote\": \"10.0.0.1\", \"node\": null, \"blocked\": "
	       "false}",
	       "{\"tunnel\": \"tun0\", \"remote\": \"10.0.0.1\", \"node\": null, \"blocked\": "
	       "true}",
	       "tun0 10.0.0.1: blocked no -> yes");
}

/* The same remote in two tunnels is two paths. */
static void tells_paths_apart(void **state)
{
	json_t *list = json_loads("[{\"tunnel\": \"tun0\", \"remote\": \"10.0.0.1\", \"mtu\": 1},"
				  " {\"tunnel\": \"tun1\", \"remote\": \"10.0.0.1\", \"mtu\": 2}]",
				  0, NULL);
	json_t *index = cv_path_text_index(list), *none = cv_path_text_index(NULL);
	const json_t *path = json_object_get(index, "tun1 10.0.0.1");

	(void)state;
	assert_int_equal(json_object_size(index), 2);
	assert_int_equal(json_integer_value(json_object_get(path, "mtu")), 2);
	assert_int_equal(json_object_size(none), 0);
	json_decref(none);
	json_decref(index);
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_ages),
		cmocka_unit_test(tells_changes),
		cmocka_unit_test(tells_paths_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
