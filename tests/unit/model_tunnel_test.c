/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of `ip tunnel`: what is taken, what is refused and in which words, and that what
 * is printed parses again to the same tunnel, for random tunnels too.
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

#include "model/nearest.h"
#include "model/tunnel.h"

static struct cv_error error;

/* Parse one line, as a shell would cut it. */
static int parse(enum cv_tunnel_command command, const char *line, struct cv_tunnel_patch *patch)
{
	static char copy[1024];
	const char *words[CV_TUNNEL_WORDS_MAX];
	int count;

	snprintf(copy, sizeof(copy), "%s", line);
	count = cv_words_split(copy, words, CV_TUNNEL_WORDS_MAX);
	assert_true(count >= 0);
	error.text[0] = '\0';
	return cv_tunnel_parse_words(command, (size_t)count, words, patch, &error);
}

static struct cv_tunnel_config parse_add(const char *line)
{
	struct cv_tunnel_config config;
	struct cv_tunnel_patch patch;

	if (parse(CV_TUNNEL_COMMAND_ADD, line, &patch))
		fail_msg("%s: %s", line, error.text);
	cv_tunnel_config_init(&config);
	cv_tunnel_config_apply(&config, &patch);
	return config;
}

/* ---- what is taken ------------------------------------------------------------------- */

static void takes_the_line_of_iproute2(void **state)
{
	struct cv_tunnel_config config =
		parse_add("tun0 mode ipip remote 192.168.200.2 local 192.168.100.1");

	(void)state;
	assert_string_equal(config.name, "tun0");
	assert_int_equal(config.remote, inet_addr("192.168.200.2"));
	assert_int_equal(config.local, inet_addr("192.168.100.1"));
	assert_string_equal(config.dev, "");
	assert_int_equal(config.ipip.ttl, 0);
	assert_int_equal(config.ipip.tos, 0);
	assert_false(config.ipip.tos_inherit);
	assert_true(config.ipip.pmtudisc);
	assert_int_equal(config.ipip.ecn_mode, CV_ECN_NORMAL);
	assert_true(config.strict);
	assert_int_equal(config.mssclamp, CV_TCP_MSS_AUTO);
}

/* Lines that mean the same tunnel as the first of their group, as in iproute2. */
static void takes_every_way_to_say_it(void **state)
{
	static const char *const groups[][12] = {
		{"tun0 mode ipip remote 192.0.2.2", "mode ipip name tun0 remote 192.0.2.2",
		 "mode ipip remote 192.0.2.2 tun0", "tun0 mode ip/ip remote 192.0.2.2 local any",
		 "tun0 mode ipv4/ipv4 local 0.0.0.0 remote 192.0.2.2", "tun0 remote 192.0.2.2",
		 "tun0 remote 192.0.2.2 ttl inherit tos 0 pmtudisc strict ecn normal mssclamp auto",
		 "tun0 remote 192.0.2.2 ttl 0 dev any tos default", NULL},
		{"tun0 ttl 64", "tun0 hoplimit 64", "tun0 hlim 64", "tun0 ttl 0x40",
		 "tun0 ttl 0100", NULL},
		{"tun0 tos 0x10", "tun0 tos 10", "tun0 tclass 10", "tun0 dsfield 0x10",
		 "tun0 dsf 10", NULL},
		{"tun0 tos b8", "tun0 tos EF", "tun0 tos 0xB8", NULL},
		{"tun0 tos inherit", "tun0 tos inherit/10", "tun0 tos inherit/AF11", "tun0 tos 1",
		 NULL},
		{"tun0 remote any local any", "tun0", "tun0 remote 0.0.0.0", "tun0 local default",
		 "tun0 remote all", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		struct cv_tunnel_config first = parse_add(groups[i][0]);

		for (size_t k = 1; groups[i][k]; k++) {
			struct cv_tunnel_config config = parse_add(groups[i][k]);

			if (strcmp(config.name, first.name) ||
			    !cv_tunnel_config_equal(&config, &first))
				fail_msg("%s is not %s", groups[i][k], groups[i][0]);
		}
	}
}

static void tells_what_was_given(void **state)
{
	struct cv_tunnel_patch patch;

	(void)state;
	assert_int_equal(parse(CV_TUNNEL_COMMAND_CHANGE, "tun0 ttl 64 nostrict", &patch), 0);
	assert_int_equal(patch.given, CV_TUNNEL_NAME | CV_TUNNEL_TTL | CV_TUNNEL_STRICT);
	assert_int_equal(parse(CV_TUNNEL_COMMAND_SHOW, "", &patch), 0);
	assert_int_equal(patch.given, 0);
}

static void knows_commands_by_their_beginnings(void **state)
{
	static const struct {
		const char *word;
		enum cv_tunnel_command command;
	} words[] = {
		{"a", CV_TUNNEL_COMMAND_ADD},	      {"add", CV_TUNNEL_COMMAND_ADD},
		{"c", CV_TUNNEL_COMMAND_CHANGE},      {"change", CV_TUNNEL_COMMAND_CHANGE},
		{"chg", CV_TUNNEL_COMMAND_CHANGE},    {"r", CV_TUNNEL_COMMAND_REPLACE},
		{"d", CV_TUNNEL_COMMAND_DELETE},      {"del", CV_TUNNEL_COMMAND_DELETE},
		{"delete", CV_TUNNEL_COMMAND_DELETE}, {"s", CV_TUNNEL_COMMAND_SHOW},
		{"show", CV_TUNNEL_COMMAND_SHOW},     {"l", CV_TUNNEL_COMMAND_SHOW},
		{"ls", CV_TUNNEL_COMMAND_SHOW},	      {"lst", CV_TUNNEL_COMMAND_SHOW},
		{"list", CV_TUNNEL_COMMAND_SHOW},     {"save", CV_TUNNEL_COMMAND_SAVE},
		{"h", CV_TUNNEL_COMMAND_HELP},
	};
	static const char *const unknown[] = {"", "x", "adda", "shows", "6rd", "prl", "-"};
	enum cv_tunnel_command command;

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		assert_int_equal(cv_tunnel_parse_command(words[i].word, &command, &error), 0);
		assert_int_equal(command, words[i].command);
	}
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_int_equal(cv_tunnel_parse_command(unknown[i], &command, &error), -EINVAL);
	cv_tunnel_parse_command("shwo", &command, &error);
	assert_non_null(strstr(error.text, "did you mean show?"));
}

/* ---- what is refused ------------------------------------------------------------------ */

static void refuses_with_the_reason(void **state)
{
	static const struct {
		const char *line;
		const char *says;
	} lines[] = {
		{"tun0 remot 192.0.2.2", "unknown word \"remot\"; did you mean remote?"},
		{"tun0 lcoal 192.0.2.2", "did you mean local?"},
		{"tun0 nopmtudsic", "did you mean nopmtudisc?"},
		{"tun0 frobnicate", "unknown word \"frobnicate\" (the name is \"tun0\")"},
		{"remot 192.0.2.2",
		 "\"remot\" was taken for the tunnel's name; did you mean remote?"},
		{"tun0 remote", "remote: its value is missing"},
		{"tun0 local 192.0.2.1 remote", "remote: its value is missing"},
		{"tun0 mode", "mode: its value is missing"},
		{"tun0 remote 192.0.2", "remote: \"192.0.2\" is not an IPv4 address"},
		{"tun0 remote 192.0.2.256", "remote: \"192.0.2.256\" is not an IPv4 address"},
		{"tun0 remote local", "remote: \"local\" is not an IPv4 address"},
		{"tun0 remote 192.0.2.2/24", "is not an IPv4 address"},
		{"tun0 local 2001:db8::1", "IPv4 in IPv4 only"},
		{"tun0 remote host.example", "is not an IPv4 address"},
		{"tun0 remote 224.0.0.5", "multicast"},
		{"tun0 remote 255.255.255.255", "broadcast"},
		{"tun0 remote 127.0.0.1", "loopback"},
		{"tun0 local 240.0.0.1", "reserved"},
		{"tun0 remote 0.1.2.3", "reserved"},
		{"tun0 remote 192.0.2.2 local 192.0.2.2", "remote and local are both 192.0.2.2"},
		{"tun0 remote 192.0.2.2 remote 192.0.2.3", "remote is given twice"},
		{"tun0 pmtudisc nopmtudisc", "given twice"},
		{"tun0 name tun1", "name is given twice"},
		{"tun0 ttl 256", "is not a TTL"},
		{"tun0 ttl -1", "is not a TTL"},
		{"tun0 ttl 64x", "is not a TTL"},
		{"tun0 ttl", "ttl: its value is missing"},
		{"tun0 tos 0x100", "is not a TOS"},
		{"tun0 tos zz", "is not a TOS"},
		{"tun0 tos inherit/zz", "is not a TOS"},
		{"tun0 tos 2", "ECN field"},
		{"tun0 tos 11", "tos 11: its two lowest bits are the ECN field"},
		{"tun0 tos 0x03", "tos 0x03: its two lowest bits are the ECN field"},
		{"tun0 tos 0xff", "use 0xfc"},
		{"tun0 ttl 64 nopmtudisc", "ttl 64 and nopmtudisc are incompatible"},
		{"tun0 mode gre remote 192.0.2.2", "mode gre: Culvert carries IPv4 in IPv4 only"},
		{"tun0 mode sit", "mode sit: Culvert carries"},
		{"tun0 mode any", "mode any: Culvert carries"},
		{"tun0 mode foo", "unknown mode \"foo\""},
		{"gre1 remote 192.0.2.2", "say mode ipip"},
		{"sit1 remote 192.0.2.2", "say mode ipip"},
		{"tun0 key 5", "key belongs to GRE"},
		{"tun0 csum", "csum belongs to GRE"},
		{"tun0 6rd-prefix 2001:db8::/32", "belongs to IPv6 in IPv4"},
		{"tun0 encap fou", "belongs to encapsulation in UDP"},
		{"tun0 ecn maybe", "ecn: \"maybe\""},
		{"tun0 mssclamp", "mssclamp: its value is missing"},
		{"tun0 mssclamp on", "mssclamp: \"on\""},
		{"tun0 mssclamp 87", "mssclamp: \"87\""},
		{"tun0 mssclamp 65496", "mssclamp: \"65496\""},
		{"tun0 mssclamp -1300", "mssclamp: \"-1300\""},
		{"tun0 mssclamp 0x500", "mssclamp: \"0x500\""},
		{"tun0 mssclamp 1300B", "mssclamp: \"1300B\""},
		{"tun0 mssclamp 99999999999999999999", "mssclamp: \"9"},
		{"tun0 mssclamp auto mssclamp off", "twice"},
		{"remote 192.0.2.2", "which tunnel?"},
		{"", "which tunnel?"},
		{"sixteen-letters-", "too long"},
		{"a/b", "has a character"},
		{"a:b", "has a character"},
		{"tun%d", "has a character"},
		{"name ..", "reserved"},
		{"name all", "reserved"},
		{"-tun0", "option"},
		{"tun0 dev sixteen-letters-", "dev \"sixteen-letters-\" is too long"},
		{"tun0 dev tun0", "is the tunnel itself"},
	};
	struct cv_tunnel_patch patch, untouched;

	(void)state;
	memset(&untouched, 0x5a, sizeof(untouched));
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		memset(&patch, 0x5a, sizeof(patch));
		if (parse(CV_TUNNEL_COMMAND_ADD, lines[i].line, &patch) != -EINVAL)
			fail_msg("\"%s\" was taken", lines[i].line);
		if (!strstr(error.text, lines[i].says))
			fail_msg("\"%s\": %s", lines[i].line, error.text);
		assert_memory_equal(&patch, &untouched, sizeof(patch));
	}
}

/* Words of strangers in an error must not reach the terminal as they are. */
static void errors_are_one_printable_line(void **state)
{
	static const char *const words[] = {"tun0", "a\nb\x1b[2J\xff"};
	struct cv_tunnel_patch patch;

	(void)state;
	assert_int_equal(cv_tunnel_parse_words(CV_TUNNEL_COMMAND_ADD, 2, words, &patch, &error),
			 -EINVAL);
	for (const char *p = error.text; *p; p++)
		assert_in_range(*p, ' ', '~');
}

/* A change may be half a tunnel: only the daemon knows the other half. */
static void change_is_not_checked_as_a_whole(void **state)
{
	struct cv_tunnel_patch patch;

	(void)state;
	assert_int_equal(parse(CV_TUNNEL_COMMAND_CHANGE, "tun0 ttl 64 nopmtudisc", &patch), 0);
	assert_int_equal(parse(CV_TUNNEL_COMMAND_REPLACE, "tun0 ttl 64 nopmtudisc", &patch),
			 -EINVAL);
	assert_int_equal(parse(CV_TUNNEL_COMMAND_CHANGE, "ttl 64", &patch), -EINVAL);
	assert_int_equal(parse(CV_TUNNEL_COMMAND_DELETE, "", &patch), -EINVAL);
}

/* ---- printing -------------------------------------------------------------------------- */

static void prints_as_iproute2_does(void **state)
{
	static const struct {
		const char *words;
		const char *line;
	} lines[] = {
		{"tun0 remote 192.168.200.2 local 192.168.100.1",
		 "tun0: ip/ip remote 192.168.200.2 local 192.168.100.1 ttl inherit"},
		{"tun0 remote 192.0.2.2 dev eth0 ttl 64 tos AF21",
		 "tun0: ip/ip remote 192.0.2.2 local any dev eth0 ttl 64 tos AF21"},
		{"tun0 tos inherit nopmtudisc nostrict ecn compat",
		 "tun0: ip/ip remote any local any ttl inherit tos inherit nopmtudisc nostrict ecn "
		 "compat"},
		{"tun0 mssclamp 1300",
		 "tun0: ip/ip remote any local any ttl inherit mssclamp 1300"},
		{"tun0 ecn compat mssclamp off",
		 "tun0: ip/ip remote any local any ttl inherit ecn compat mssclamp off"},
		{"tun0 mssclamp auto", "tun0: ip/ip remote any local any ttl inherit"},
	};
	char text[CV_TUNNEL_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct cv_tunnel_config config = parse_add(lines[i].words);

		cv_tunnel_print_line(&config, text);
		assert_string_equal(text, lines[i].line);
	}
}

static void assert_prints_back(const struct cv_tunnel_config *config)
{
	char text[CV_TUNNEL_TEXT_MAX];
	struct cv_tunnel_config again;

	cv_tunnel_print_words(config, text);
	again = parse_add(text);
	assert_string_equal(again.name, config->name);
	if (!cv_tunnel_config_equal(&again, config))
		fail_msg("%s", text);
}

static void names_that_are_words_print_back(void **state)
{
	static const char *const names[] = {"mode",	"remote", "name",  "ds",
					    "pmtudisc", "key",	  "ipip0", "gre0"};
	struct cv_tunnel_config config;

	(void)state;
	cv_tunnel_config_init(&config);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		memset(config.name, 0, sizeof(config.name));
		strcpy(config.name, names[i]);
		assert_prints_back(&config);
	}
}

static uint32_t random_state = 1;

static uint32_t draw(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

static void draw_name(char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789_.+@=,~-";
	size_t length = 1 + draw() % (IFNAMSIZ - 1);

	memset(name, 0, IFNAMSIZ);
	for (size_t i = 0; i < length; i++)
		name[i] = letters[draw() % (sizeof(letters) - 1)];
}

static void random_tunnels_print_back(void **state)
{
	unsigned int tried = 0;

	(void)state;
	for (unsigned int i = 0; i < 20000; i++) {
		struct cv_tunnel_config config;

		cv_tunnel_config_init(&config);
		draw_name(config.name);
		if (draw() % 2)
			draw_name(config.dev);
		config.remote = draw() % 4 ? htonl(draw() << 8 | draw()) : 0;
		config.local = draw() % 4 ? htonl(draw() << 8 | draw()) : 0;
		config.ipip.ttl = draw() % 2 ? (uint8_t)draw() : 0;
		config.ipip.tos_inherit = draw() % 3 == 0;
		config.ipip.tos = config.ipip.tos_inherit ? 0 : draw() & 0xfc;
		config.ipip.pmtudisc = draw() % 2;
		config.ipip.ecn_mode = draw() % 2 ? CV_ECN_NORMAL : CV_ECN_COMPATIBLE;
		config.strict = draw() % 2;
		config.mssclamp = draw() % 2 ? 0 : (uint16_t)(draw() << 8 | draw());
		if (cv_tunnel_config_check(&config, NULL) || !strcmp(config.dev, "any"))
			continue;
		assert_prints_back(&config);
		tried++;
	}
	assert_true(tried > 5000);
}

/* ---- lines and near words ---------------------------------------------------------------- */

static void splits_lines(void **state)
{
	char line[] = "  add\ttun0 remote  192.0.2.2 # the office\r\n";
	char many[64];
	const char *words[8];

	(void)state;
	assert_int_equal(cv_words_split(line, words, 8), 4);
	assert_string_equal(words[0], "add");
	assert_string_equal(words[3], "192.0.2.2");
	strcpy(line, "# all comment");
	assert_int_equal(cv_words_split(line, words, 8), 0);
	strcpy(line, "");
	assert_int_equal(cv_words_split(line, words, 8), 0);
	strcpy(line, "a#b c");
	assert_int_equal(cv_words_split(line, words, 8), 2);
	assert_string_equal(words[0], "a#b");
	strcpy(many, "1 2 3 4 5 6 7 8");
	assert_int_equal(cv_words_split(many, words, 8), 8);
	strcpy(many, "1 2 3 4 5 6 7 8 9");
	assert_int_equal(cv_words_split(many, words, 8), -E2BIG);
}

static void measures_distances(void **state)
{
	(void)state;
	assert_int_equal(cv_nearest_distance("remote", "remote"), 0);
	assert_int_equal(cv_nearest_distance("remot", "remote"), 1);
	assert_int_equal(cv_nearest_distance("rmeote", "remote"), 1);
	assert_int_equal(cv_nearest_distance("remoter", "remote"), 1);
	assert_int_equal(cv_nearest_distance("ramote", "remote"), 1);
	assert_int_equal(cv_nearest_distance("", "local"), 5);
	assert_int_equal(cv_nearest_distance("kitten", "sitting"), 3);
	assert_true(cv_nearest_distance("a-word-of-more-than-31-characters", "a") == SIZE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_line_of_iproute2),
		cmocka_unit_test(takes_every_way_to_say_it),
		cmocka_unit_test(tells_what_was_given),
		cmocka_unit_test(knows_commands_by_their_beginnings),
		cmocka_unit_test(refuses_with_the_reason),
		cmocka_unit_test(errors_are_one_printable_line),
		cmocka_unit_test(change_is_not_checked_as_a_whole),
		cmocka_unit_test(prints_as_iproute2_does),
		cmocka_unit_test(names_that_are_words_print_back),
		cmocka_unit_test(random_tunnels_print_back),
		cmocka_unit_test(splits_lines),
		cmocka_unit_test(measures_distances),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
