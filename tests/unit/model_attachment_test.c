/* SPDX-License-Identifier: Apache-2.0 */
/* Names of attachments, and tombstones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/attachment.h"
#include "model/tombstone.h"

static void test_names_follow_cnis_rules(void **state)
{
	static const char *const good[] = {"a", "A1", "pods", "a.b_c-d", "0123456789abcdef"};
	static const char *const bad[] = {"",	 ".a",	"-a",	    "_a", "a b",
					  "a/b", "a:b", "\xc3\xa4", "a\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(cv_attachment_name_is_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(cv_attachment_name_is_valid(bad[i]));
}

static void test_interfaces_follow_the_kernels_rules(void **state)
{
	static const char *const good[] = {"eth0", "a", "123456789012345", ".a", "a.b"};
	static const char *const bad[] = {"",	 ".",	"..",  "1234567890123456",
					  "a/b", "a:b", "a b", "a\tb"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(cv_attachment_interface_is_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(cv_attachment_interface_is_valid(bad[i]));
}

/* These must stay what they are: devices of an older release are found by them. */
static void test_a_name_is_for_ever(void **state)
{
	struct cv_attachment a;
	char text[CV_ATTACHMENT_MAC_TEXT];

	(void)state;
	cv_attachment_name("pods", "c1", "eth0", &a);
	/* printf 'pods\0c1\0eth0\0' | sha256sum */
	assert_string_equal(a.hash,
			    "c4e7a2d3fc85d4543209438bc9ab5a22583eade97ac429dee51044e08949eaef");
	assert_string_equal(a.device, "cvc4e7a2d3fc8");
	assert_string_equal(a.alias, "culvert:pods/c1/eth0");
	assert_string_equal(cv_attachment_mac_format(a.host_mac, text), "32:09:43:8b:c9:ab");
	assert_string_equal(cv_attachment_mac_format(a.pod_mac, text), "5a:3e:ad:e9:7a:c4");
}

static void test_where_a_word_ends_counts(void **state)
{
	struct cv_attachment a, b;

	(void)state;
	cv_attachment_name("a", "bc", "eth0", &a);
	cv_attachment_name("ab", "c", "eth0", &b);
	assert_string_not_equal(a.hash, b.hash);
	assert_string_not_equal(a.device, b.device);
}

static void test_an_alias_has_an_end(void **state)
{
	char network[300];
	struct cv_attachment a;

	(void)state;
	memset(network, 'n', sizeof(network) - 1);
	network[sizeof(network) - 1] = '\0';
	cv_attachment_name(network, "c1", "eth0", &a);
	assert_int_equal(strncmp(a.alias, "culvert:#", 9), 0);
	assert_string_equal(a.alias + 9, a.hash);
}

static void test_only_our_device_is_ours(void **state)
{
	struct cv_link link = {.kind = "veth"};
	struct cv_attachment a;

	(void)state;
	cv_attachment_name("pods", "c1", "eth0", &a);
	strcpy(link.name, a.device);
	assert_false(cv_attachment_is_device(&a, &link));
	memcpy(link.mac, a.host_mac, sizeof(link.mac));
	assert_true(cv_attachment_is_device(&a, &link)); /* half made */
	strcpy(link.alias, "somebody's");
	assert_false(cv_attachment_is_device(&a, &link));
	strcpy(link.alias, a.alias);
	memset(link.mac, 1, sizeof(link.mac)); /* `tuning` may have given it another one */
	assert_true(cv_attachment_is_device(&a, &link));
	strcpy(link.kind, "dummy");
	assert_false(cv_attachment_is_device(&a, &link));
	strcpy(link.kind, "veth");
	strcpy(link.name, "cv0");
	assert_false(cv_attachment_is_device(&a, &link));
}

static void test_macs(void **state)
{
	static const char *const bad[] = {"",
					  "02:00:00:00:00",
					  "02:00:00:00:00:0g",
					  "02:00-00:00:00:01",
					  "02.00.00.00.00.01",
					  "03:00:00:00:00:01",
					  "00:00:00:00:00:00",
					  "02:00:00:00:00:01:",
					  "ff:ff:ff:ff:ff:ff"};
	uint8_t mac[CV_ATTACHMENT_MAC];
	char text[CV_ATTACHMENT_MAC_TEXT];

	(void)state;
	assert_true(cv_attachment_mac_parse("02:Aa:bB:00:00:01", mac));
	assert_string_equal(cv_attachment_mac_format(mac, text), "02:aa:bb:00:00:01");
	assert_true(cv_attachment_mac_parse("02-AA-BB-00-00-02", mac));
	assert_string_equal(cv_attachment_mac_format(mac, text), "02:aa:bb:00:00:02");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(cv_attachment_mac_parse(bad[i], mac));
	assert_string_equal(cv_attachment_mac_format(mac, text), "02:aa:bb:00:00:02");
}

/* ---- tombstones --------------------------------------------------------------------- */

static char run_dir[] = "/tmp/culvert-tombstone-XXXXXX";

static int setup_run_dir(void **state)
{
	(void)state;
	strcpy(run_dir + sizeof(run_dir) - 7, "XXXXXX");
	return mkdtemp(run_dir) ? 0 : -1;
}

static int teardown_run_dir(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", run_dir);
	return system(command);
}

static void name_of(const char *container, char ret_name[80])
{
	struct cv_attachment a;

	cv_attachment_name("pods", container, "eth0", &a);
	snprintf(ret_name, 80, "%s.json", a.hash);
}

static void test_a_tombstone_is_read_again(void **state)
{
	struct cv_tombstone tombstone;
	struct cv_error error;
	char name[80];

	(void)state;
	name_of("c1", name);
	assert_int_equal(cv_tombstone_read(run_dir, name, &tombstone, &error), -ENOENT);
	assert_int_equal(cv_tombstone_remove(run_dir, "pods", "c1", "eth0"), 0);
	for (int twice = 0; twice < 2; twice++)
		assert_int_equal(cv_tombstone_write(run_dir, "pods", "c1", "eth0", &error), 0);
	assert_true(cv_tombstone_is_name(name));
	assert_int_equal(cv_tombstone_read(run_dir, name, &tombstone, &error), 0);
	assert_string_equal(tombstone.network, "pods");
	assert_string_equal(tombstone.container, "c1");
	assert_string_equal(tombstone.interface, "eth0");
	cv_tombstone_fini(&tombstone);
	assert_int_equal(cv_tombstone_remove(run_dir, "pods", "c1", "eth0"), 0);
	assert_int_equal(cv_tombstone_read(run_dir, name, &tombstone, &error), -ENOENT);
}

static void test_the_directory_is_made(void **state)
{
	char deeper[64], path[128];
	struct cv_error error;
	struct stat st;

	(void)state;
	snprintf(deeper, sizeof(deeper), "%s/a/b", run_dir);
	assert_int_equal(cv_tombstone_write(deeper, "pods", "c1", "eth0", &error), 0);
	snprintf(path, sizeof(path), "%s/tombstones", deeper);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_what_is_no_tombstone(void **state)
{
	static const char *const texts[] = {
		"", "{", "[]", "{\"network\": \"pods\", \"container\": \"c1\"}",
		"{\"network\": \"pods\", \"container\": \"c1\", \"interface\": 1}",
		/* another one's */
		"{\"network\": \"pods\", \"container\": \"c2\", \"interface\": \"eth0\"}",
		"{\"network\": \"../x\", \"container\": \"c1\", \"interface\": \"eth0\"}"};
	struct cv_tombstone tombstone;
	struct cv_error error;
	char name[80], path[192];

	(void)state;
	name_of("c1", name);
	assert_int_equal(cv_tombstone_write(run_dir, "pods", "c1", "eth0", &error), 0);
	snprintf(path, sizeof(path), "%s/tombstones/%s", run_dir, name);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		FILE *f = fopen(path, "w");

		assert_non_null(f);
		fputs(texts[i], f);
		fclose(f);
		assert_int_equal(cv_tombstone_read(run_dir, name, &tombstone, &error), -EBADMSG);
	}
	assert_false(cv_tombstone_is_name("x.json"));
	assert_false(cv_tombstone_is_name("."));
	strcat(name, ".new");
	assert_false(cv_tombstone_is_name(name));
}

static void test_where_nothing_can_be_written(void **state)
{
	struct cv_error error;

	(void)state;
	assert_int_equal(cv_tombstone_write("/proc/culvert", "pods", "c1", "eth0", &error),
			 -ENOENT);
	assert_non_null(strstr(error.text, "/proc/culvert/tombstones"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_follow_cnis_rules),
		cmocka_unit_test(test_interfaces_follow_the_kernels_rules),
		cmocka_unit_test(test_a_name_is_for_ever),
		cmocka_unit_test(test_where_a_word_ends_counts),
		cmocka_unit_test(test_an_alias_has_an_end),
		cmocka_unit_test(test_only_our_device_is_ours),
		cmocka_unit_test(test_macs),
		cmocka_unit_test_setup_teardown(test_a_tombstone_is_read_again, setup_run_dir,
						teardown_run_dir),
		cmocka_unit_test_setup_teardown(test_the_directory_is_made, setup_run_dir,
						teardown_run_dir),
		cmocka_unit_test_setup_teardown(test_what_is_no_tombstone, setup_run_dir,
						teardown_run_dir),
		cmocka_unit_test(test_where_nothing_can_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
