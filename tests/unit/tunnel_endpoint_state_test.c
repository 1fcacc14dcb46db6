/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoints' state file: there and back, damaged files. tunnel_state_test has the rest. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tunnel/endpoint_state.h"

static char dir[] = "/tmp/culvert-endpoint-state-XXXXXX";
static char path[PATH_MAX];
static struct cv_error error;

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/%s", dir, CV_ENDPOINT_STATE_FILE);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static void write_text(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void no_file_is_no_endpoints_and_bypass(void **state)
{
	struct cv_endpoint_state loaded = {.count = 5};

	(void)state;
	assert_int_equal(cv_endpoint_state_load(dir, &loaded, &error), 0);
	assert_int_equal(loaded.count, 0);
	assert_true(loaded.bypass);
	free(loaded.records);
}

static void comes_back_as_it_was_saved(void **state)
{
	struct cv_endpoint_record records[] = {
		{.config = {.dev = "veth0", .count = 2, .bypass = CV_ENDPOINT_BYPASS_OFF},
		 .ifindex = 7},
		{.config = {.dev = "veth1", .count = 1}, .ifindex = 9},
	};
	struct cv_endpoint_state saved = {
		.namespace_id = "here/1", .bypass = false, .records = records, .count = 2};
	struct cv_endpoint_state loaded;
	struct stat st;

	(void)state;
	records[0].config.addresses[0] = inet_addr("10.244.1.2");
	records[0].config.addresses[1] = inet_addr("10.244.1.3");
	records[1].config.addresses[0] = inet_addr("10.244.1.4");
	assert_int_equal(cv_endpoint_state_save(dir, &saved, &error), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(cv_endpoint_state_load(dir, &loaded, &error), 0);
	assert_int_equal(loaded.count, 2);
	assert_false(loaded.bypass);
	assert_string_equal(loaded.namespace_id, "here/1");
	for (size_t i = 0; i < 2; i++) {
		const struct cv_endpoint_config *config = &loaded.records[i].config;

		assert_string_equal(config->dev, records[i].config.dev);
		assert_int_equal(config->bypass, records[i].config.bypass);
		assert_int_equal(config->count, records[i].config.count);
		assert_memory_equal(config->addresses, records[i].config.addresses,
				    config->count * sizeof(config->addresses[0]));
		assert_int_equal(loaded.records[i].ifindex, records[i].ifindex);
	}
	free(loaded.records);
}

#define HEAD	   "{\"version\":1,\"namespace\":\"n\",\"bypass\":\"on\",\"endpoints\":["
#define A	   "\"endpoint\":{\"dev\":\"a\",\"addresses\":[\"10.0.0.1\"]}"
#define B(address) "\"endpoint\":{\"dev\":\"b\",\"addresses\":[\"" address "\"]}"

static void damaged_files_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"{}",
		"[]",
		"{\"version\":2,\"namespace\":\"n\",\"bypass\":\"on\",\"endpoints\":[]}",
		"{\"version\":1,\"namespace\":\"n\",\"bypass\":\"on\"}",
		"{\"version\":1,\"namespace\":\"n\",\"endpoints\":[]}",
		"{\"version\":1,\"bypass\":\"on\",\"endpoints\":[]}",
		"{\"version\":1,\"namespace\":\"n\",\"bypass\":\"default\",\"endpoints\":[]}",
		"{\"version\":1,\"namespace\":\"n\",\"bypass\":true,\"endpoints\":[]}",
		HEAD "7]}",
		HEAD "{" A "}]}",
		HEAD "{" A ",\"ifindex\":0}]}",
		HEAD "{" A ",\"ifindex\":99999999999}]}",
		HEAD "{\"endpoint\":{\"dev\":\"a\"},\"ifindex\":1}]}",
		HEAD "{\"endpoint\":{\"addresses\":[\"10.0.0.1\"]},\"ifindex\":1}]}",
		HEAD "{\"endpoint\":{\"dev\":\"a\",\"addresses\":[]},\"ifindex\":1}]}",
		HEAD "{\"endpoint\":{\"dev\":\"a\",\"addresses\":[\"224.0.0.1\"]},\"ifindex\":1}]}",
		HEAD "{" A ",\"ifindex\":1},{" A ",\"ifindex\":2}]}",
		HEAD "{" A ",\"ifindex\":1},{" B("10.0.0.2") ",\"ifindex\":1}]}",
		HEAD "{" A ",\"ifindex\":1},{" B("10.0.0.1") ",\"ifindex\":2}]}",
	};
	struct cv_endpoint_state loaded = {.count = 5};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_text(texts[i]);
		if (cv_endpoint_state_load(dir, &loaded, &error) != -EBADMSG)
			fail_msg("taken: %s", texts[i]);
		assert_non_null(strstr(error.text, "move it away to start without endpoints"));
		assert_int_equal(loaded.count, 5);
	}
	write_text(HEAD "{" A ",\"ifindex\":1},{" B("10.0.0.2") ",\"ifindex\":2}]}");
	assert_int_equal(cv_endpoint_state_load(dir, &loaded, &error), 0);
	assert_int_equal(loaded.count, 2);
	free(loaded.records);
}

/* Devices exchanged names while the daemon looked: the index says which is which. */
static void a_name_may_be_there_twice(void **state)
{
	struct cv_endpoint_state loaded;

	(void)state;
	write_text(HEAD "{" B("10.0.0.1") ",\"ifindex\":1},{" B("10.0.0.2") ",\"ifindex\":2}]}");
	assert_int_equal(cv_endpoint_state_load(dir, &loaded, &error), 0);
	assert_int_equal(loaded.count, 2);
	assert_string_equal(loaded.records[0].config.dev, loaded.records[1].config.dev);
	free(loaded.records);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_file_is_no_endpoints_and_bypass),
		cmocka_unit_test(comes_back_as_it_was_saved),
		cmocka_unit_test(damaged_files_are_refused),
		cmocka_unit_test(a_name_may_be_there_twice),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
