/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of `culvert endpoint`: what is taken, what is refused and in which words, and that
 * what is printed parses again, for random endpoints too.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/endpoint.h"
#include "model/tunnel.h"

static struct cv_error error;

/* Parse one line, as a shell would cut it. */
static int parse(enum cv_endpoint_command command, const char *line,
		 struct cv_endpoint_patch *patch)
{
	static char copy[1024];
	const char *words[CV_TUNNEL_WORDS_MAX];
	int count;

	snprintf(copy, sizeof(copy), "%s", line);
	count = cv_words_split(copy, words, CV_TUNNEL_WORDS_MAX);
	assert_true(count >= 0);
	error.text[0] = '\0';
	return cv_endpoint_parse_words(command, (size_t)count, words, patch, &error);
}

static struct cv_endpoint_config parse_add(const char *line)
{
	struct cv_endpoint_config config = {.count = 0};
	struct cv_endpoint_patch patch;

	if (parse(CV_ENDPOINT_COMMAND_ADD, line, &patch))
		fail_msg("%s: %s", line, error.text);
	cv_endpoint_config_apply(&config, &patch);
	return config;
}

static void assert_same(const struct cv_endpoint_config *a, const struct cv_endpoint_config *b)
{
	assert_string_equal(a->dev, b->dev);
	assert_int_equal(a->bypass, b->bypass);
	assert_int_equal(a->count, b->count);
	assert_memory_equal(a->addresses, b->addresses, a->count * sizeof(a->addresses[0]));
}

static void takes_every_way_to_say_it(void **state)
{
	static const char *const lines[] = {
		"veth0 ip 10.244.1.2 ip 10.244.1.3",
		"veth0 ip 10.244.1.2 ip 10.244.1.3 bypass default",
		"dev veth0 ip 10.244.1.2 ip 10.244.1.3",
		"ip 10.244.1.2 veth0 ip 10.244.1.3",
		"bypass default ip 10.244.1.2 ip 10.244.1.3 dev veth0",
	};
	struct cv_endpoint_config first = parse_add(lines[0]);

	(void)state;
	assert_string_equal(first.dev, "veth0");
	assert_int_equal(first.count, 2);
	assert_int_equal(first.addresses[0], inet_addr("10.244.1.2"));
	assert_int_equal(first.addresses[1], inet_addr("10.244.1.3"));
	assert_int_equal(first.bypass, CV_ENDPOINT_BYPASS_DEFAULT);
	for (size_t i = 1; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct cv_endpoint_config other = parse_add(lines[i]);

		assert_same(&first, &other);
	}
	assert_int_equal(parse_add("veth0 ip 10.0.0.1 bypass on").bypass, CV_ENDPOINT_BYPASS_ON);
	assert_int_equal(parse_add("veth0 ip 10.0.0.1 bypass off").bypass, CV_ENDPOINT_BYPASS_OFF);
}

static void each_command_demands_what_it_needs(void **state)
{
	struct cv_endpoint_patch patch;

	(void)state;
	assert_int_equal(parse(CV_ENDPOINT_COMMAND_SHOW, "", &patch), 0);
	assert_int_equal(patch.given, 0);
	assert_int_equal(parse(CV_ENDPOINT_COMMAND_SHOW, "ip 10.0.0.1", &patch), 0);
	assert_int_equal(patch.given, CV_ENDPOINT_ADDRESSES);
	assert_int_equal(parse(CV_ENDPOINT_COMMAND_DELETE, "veth0", &patch), 0);
	assert_int_equal(parse(CV_ENDPOINT_COMMAND_CHANGE, "veth0 bypass off", &patch), 0);
	assert_int_equal(patch.given, CV_ENDPOINT_DEV | CV_ENDPOINT_BYPASS);
	assert_int_equal(parse(CV_ENDPOINT_COMMAND_REPLACE, "veth0 ip 10.0.0.1", &patch), 0);
}

static void refuses_and_says_what_to_do(void **state)
{
	static const struct {
		enum cv_endpoint_command command;
		const char *line, *words;
	} cases[] = {
		{CV_ENDPOINT_COMMAND_ADD, "", "which endpoint? Give its device"},
		{CV_ENDPOINT_COMMAND_DELETE, "ip 10.0.0.1", "which endpoint? Give its device"},
		{CV_ENDPOINT_COMMAND_CHANGE, "veth0", "nothing to change; give ip ADDRESS"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0", "without an address; give one"},
		{CV_ENDPOINT_COMMAND_REPLACE, "veth0 bypass on", "without an address"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0 ip", "its value is missing; write ip ADDRESS"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0 ip 10.0.0.1 bypass",
		 "write bypass on|off|default"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0 10.0.0.1", "write ip 10.0.0.1"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0 ip 10.0.0.1 bypas on", "did you mean bypass?"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0 frob", "(the device is \"veth0\")"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0 ip 10.0.0.1 bypass maybe",
		 "give on, off or default"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0 ip 10.0.0.1 bypass on bypass on", "given twice"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0 dev veth1 ip 10.0.0.1", "dev is given twice"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0 ip 10.0.0.1 ip 10.0.0.1",
		 "10.0.0.1 is given twice"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0 ip 10.0.0.0/24", "is a prefix; give single"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0 ip 2001:db8::1", "IPv4 in IPv4 only"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0 ip any", "is not an IPv4 address; write it like"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0 ip 0.0.0.0", "is a reserved address"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0 ip 127.0.0.1", "is a loopback address"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0 ip 224.0.0.1", "is a multicast address"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0 ip 255.255.255.255", "is the broadcast address"},
		{CV_ENDPOINT_COMMAND_ADD, "veth0 ip 240.0.0.1", "is a reserved address"},
		{CV_ENDPOINT_COMMAND_ADD, "a-name-of-sixteen ip 10.0.0.1", "too long"},
		{CV_ENDPOINT_COMMAND_ADD, "a/b ip 10.0.0.1", "has a character"},
	};
	struct cv_endpoint_patch patch;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!parse(cases[i].command, cases[i].line, &patch) ||
		    !strstr(error.text, cases[i].words))
			fail_msg("%s: %s", cases[i].line, error.text);
	}
}

static void sixteen_addresses_and_no_more(void **state)
{
	struct cv_endpoint_patch patch;
	char line[1024] = "veth0";

	(void)state;
	for (int i = 1; i <= CV_ENDPOINT_ADDRESSES_MAX; i++)
		snprintf(line + strlen(line), sizeof(line) - strlen(line), " ip 10.0.0.%d", i);
	assert_int_equal(parse(CV_ENDPOINT_COMMAND_ADD, line, &patch), 0);
	strcat(line, " ip 10.0.0.99");
	assert_int_equal(parse(CV_ENDPOINT_COMMAND_ADD, line, &patch), -E2BIG);
	assert_non_null(
		strstr(error.text, "10.0.0.99 is one too many; an endpoint has at most 16"));
}

static void understands_commands_and_their_beginnings(void **state)
{
	static const struct {
		const char *word;
		enum cv_endpoint_command command;
	} cases[] = {
		{"add", CV_ENDPOINT_COMMAND_ADD},     {"a", CV_ENDPOINT_COMMAND_ADD},
		{"c", CV_ENDPOINT_COMMAND_CHANGE},    {"chg", CV_ENDPOINT_COMMAND_CHANGE},
		{"r", CV_ENDPOINT_COMMAND_REPLACE},   {"del", CV_ENDPOINT_COMMAND_DELETE},
		{"d", CV_ENDPOINT_COMMAND_DELETE},    {"s", CV_ENDPOINT_COMMAND_SHOW},
		{"ls", CV_ENDPOINT_COMMAND_SHOW},     {"list", CV_ENDPOINT_COMMAND_SHOW},
		{"def", CV_ENDPOINT_COMMAND_DEFAULT}, {"h", CV_ENDPOINT_COMMAND_HELP},
	};
	enum cv_endpoint_command command = CV_ENDPOINT_COMMAND_HELP;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(cv_endpoint_parse_command(cases[i].word, &command, &error), 0);
		assert_int_equal(command, cases[i].command);
	}
	assert_int_equal(cv_endpoint_parse_command("shwo", &command, &error), -EINVAL);
	assert_non_null(strstr(error.text, "did you mean show?"));
	assert_int_equal(cv_endpoint_parse_command("frob", &command, &error), -EINVAL);
	assert_non_null(strstr(error.text, "culvert endpoint help"));
	assert_int_equal(cv_endpoint_parse_command("", &command, &error), -EINVAL);
}

static int parse_default(size_t count, const char *const *words, bool *given, bool *bypass)
{
	return cv_endpoint_parse_default_words(count, words, given, bypass, &error);
}

static void understands_the_default(void **state)
{
	bool given = true, bypass = false;

	(void)state;
	assert_int_equal(parse_default(0, NULL, &given, &bypass), 0);
	assert_false(given);
	assert_int_equal(parse_default(2, (const char *[]){"bypass", "on"}, &given, &bypass), 0);
	assert_true(given && bypass);
	assert_int_equal(parse_default(2, (const char *[]){"bypass", "off"}, &given, &bypass), 0);
	assert_true(given && !bypass);
	assert_int_equal(parse_default(1, (const char *[]){"bypass"}, &given, &bypass), -EINVAL);
	assert_int_equal(parse_default(1, (const char *[]){"on"}, &given, &bypass), -EINVAL);
	assert_int_equal(parse_default(3, (const char *[]){"bypass", "on", "x"}, &given, &bypass),
			 -EINVAL);
	assert_non_null(strstr(error.text, "\"x\""));
	assert_int_equal(parse_default(2, (const char *[]){"bypass", "default"}, &given, &bypass),
			 -EINVAL);
	assert_non_null(strstr(error.text, "give on or off"));
}

/* Words and JSON, there and back. */
static void what_is_printed_parses_again(void **state)
{
	static const char *const names[] = {"veth0", "ip", "dev", "bypass", "br-lan", "tap0"};

	(void)state;
	srand(1);
	for (int i = 0; i < 2000; i++) {
		struct cv_endpoint_config config = {
			.count = 1 + (unsigned int)rand() % CV_ENDPOINT_ADDRESSES_MAX,
			.bypass = (enum cv_endpoint_bypass)(rand() % 3),
		};
		struct cv_endpoint_config again = {.count = 0};
		char text[CV_ENDPOINT_TEXT_MAX];
		struct cv_endpoint_patch patch;
		json_t *json;

		strcpy(config.dev, names[(size_t)rand() % (sizeof(names) / sizeof(names[0]))]);
		for (unsigned int k = 0; k < config.count; k++)
			config.addresses[k] =
				htonl(0x0a000000 + (unsigned int)rand() % 256 * 256 + k);
		cv_endpoint_print_words(&config, text);
		again = parse_add(text);
		assert_same(&config, &again);
		json = cv_endpoint_config_to_json(&config);
		assert_int_equal(cv_endpoint_patch_from_json(json, &patch, &error), 0);
		assert_same(&config, &patch.config);
		json_decref(json);
	}
}

static void filters_by_what_is_given(void **state)
{
	struct cv_endpoint_config config = parse_add("veth0 ip 10.0.0.1 ip 10.0.0.2 bypass off");
	static const struct {
		const char *words;
		bool matches;
	} cases[] = {
		{"", true},
		{"veth0", true},
		{"veth1", false},
		{"ip 10.0.0.2", true},
		{"ip 10.0.0.2 ip 10.0.0.1", true},
		{"ip 10.0.0.2 ip 10.0.0.3", false},
		{"bypass off", true},
		{"bypass default", false},
	};
	struct cv_endpoint_patch patch;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(CV_ENDPOINT_COMMAND_SHOW, cases[i].words, &patch), 0);
		assert_int_equal(cv_endpoint_config_matches(&config, &patch), cases[i].matches);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_every_way_to_say_it),
		cmocka_unit_test(each_command_demands_what_it_needs),
		cmocka_unit_test(refuses_and_says_what_to_do),
		cmocka_unit_test(sixteen_addresses_and_no_more),
		cmocka_unit_test(understands_commands_and_their_beginnings),
		cmocka_unit_test(understands_the_default),
		cmocka_unit_test(what_is_printed_parses_again),
		cmocka_unit_test(filters_by_what_is_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
