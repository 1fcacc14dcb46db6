/* SPDX-License-Identifier: Apache-2.0 */
/* A tunnel's configuration: JSON both ways, patches, names. The words are in model_tunnel_test.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "tunnel/config.h"

static struct cv_error error;

static int read_text(const char *text, struct cv_tunnel_patch *patch)
{
	json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
	int rc;

	assert_non_null(json);
	rc = cv_tunnel_patch_from_json(json, patch, &error);
	json_decref(json);
	return rc;
}

static struct cv_tunnel_config full_config(void)
{
	return (struct cv_tunnel_config){
		.name = "tun0",
		.remote = inet_addr("192.0.2.2"),
		.local = inet_addr("192.0.2.1"),
		.dev = "eth0",
		.ipip = {.ttl = 64, .tos = 0x48, .ecn_mode = CV_ECN_COMPATIBLE, .pmtudisc = true},
		.strict = false,
		.mssclamp = 1300,
	};
}

static void assert_round_trip(const struct cv_tunnel_config *config)
{
	json_t *json = cv_tunnel_config_to_json(config);
	struct cv_tunnel_patch patch;
	struct cv_tunnel_config again = {.name = "other"};

	assert_int_equal(cv_tunnel_patch_from_json(json, &patch, &error), 0);
	json_decref(json);
	cv_tunnel_config_apply(&again, &patch);
	assert_string_equal(again.name, config->name);
	assert_true(cv_tunnel_config_equal(&again, config));
}

static void json_round_trip(void **state)
{
	struct cv_tunnel_config config = full_config();

	(void)state;
	assert_round_trip(&config);
	config.ipip.tos = 0;
	config.ipip.tos_inherit = true;
	assert_round_trip(&config);
	config.mssclamp = CV_TCP_MSS_OFF;
	assert_round_trip(&config);
	cv_tunnel_config_init(&config);
	strcpy(config.name, "fifteen-letters");
	assert_round_trip(&config);
}

static void json_has_only_what_is_given(void **state)
{
	struct cv_tunnel_patch patch = {.config = full_config(),
					.given = CV_TUNNEL_NAME | CV_TUNNEL_TTL};
	json_t *json = cv_tunnel_patch_to_json(&patch);

	(void)state;
	assert_int_equal(json_object_size(json), 2);
	assert_string_equal(json_string_value(json_object_get(json, "name")), "tun0");
	assert_int_equal(json_integer_value(json_object_get(json, "ttl")), 64);
	json_decref(json);
}

static void json_is_refused_with_the_field(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} cases[] = {
		{"[]", "JSON object"},
		{"\"tun0\"", "JSON object"},
		{"{\"nmae\":\"tun0\"}", "unknown field \"nmae\""},
		{"{\"name\":7}", "field \"name\""},
		{"{\"name\":\"\"}", "name"},
		{"{\"name\":\"much-too-long-a-name\"}", "too long"},
		{"{\"name\":\"a b\"}", "character"},
		{"{\"name\":\"t\\u00fc\"}", "character"},
		{"{\"mode\":\"gre\"}", "field \"mode\""},
		{"{\"mode\":null}", "field \"mode\""},
		{"{\"remote\":1}", "field \"remote\""},
		{"{\"remote\":\"192.0.2\"}", "remote"},
		{"{\"local\":null}", "field \"local\""},
		{"{\"dev\":false}", "field \"dev\""},
		{"{\"ttl\":-1}", "field \"ttl\""},
		{"{\"ttl\":256}", "field \"ttl\""},
		{"{\"ttl\":1.5}", "field \"ttl\""},
		{"{\"ttl\":\"64\"}", "field \"ttl\""},
		{"{\"ttl\":99999999999999}", "field \"ttl\""},
		{"{\"tos\":\"AF11\"}", "field \"tos\""},
		{"{\"tos\":3}", "ECN"},
		{"{\"pmtudisc\":1}", "field \"pmtudisc\""},
		{"{\"strict\":\"yes\"}", "field \"strict\""},
		{"{\"ecn\":\"off\"}", "field \"ecn\""},
		{"{\"mssclamp\":\"on\"}", "field \"mssclamp\""},
		{"{\"mssclamp\":0}", "field \"mssclamp\""},
		{"{\"mssclamp\":87}", "field \"mssclamp\""},
		{"{\"mssclamp\":65496}", "field \"mssclamp\""},
		{"{\"mssclamp\":65535}", "field \"mssclamp\""},
		{"{\"mssclamp\":66836}", "field \"mssclamp\""},
		{"{\"mssclamp\":\"1300\"}", "field \"mssclamp\""},
		{"{\"mssclamp\":null}", "field \"mssclamp\""},
	};
	struct cv_tunnel_patch patch, untouched;

	(void)state;
	memset(&patch, 0x5a, sizeof(patch));
	memset(&untouched, 0x5a, sizeof(untouched));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(read_text(cases[i].text, &patch), -EINVAL);
		if (!strstr(error.text, cases[i].says))
			fail_msg("%s: %s", cases[i].text, error.text);
		assert_memory_equal(&patch, &untouched, sizeof(patch));
	}
}

/* Every field alone: applied, it makes exactly that difference. */
static void patches_touch_one_field_each(void **state)
{
	static const char *const patches[] = {
		"{\"remote\":\"192.0.2.9\"}", "{\"local\":\"any\"}",   "{\"dev\":null}",
		"{\"ttl\":\"inherit\"}",      "{\"tos\":\"inherit\"}", "{\"pmtudisc\":false}",
		"{\"strict\":true}",	      "{\"ecn\":\"normal\"}",  "{\"name\":\"tun1\"}",
		"{\"mssclamp\":\"auto\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(patches) / sizeof(patches[0]); i++) {
		struct cv_tunnel_config before = full_config(), after = full_config();
		struct cv_tunnel_patch patch;
		json_t *a, *b;
		unsigned int differences = 0;
		const char *key;
		json_t *value;

		assert_int_equal(read_text(patches[i], &patch), 0);
		assert_false(cv_tunnel_config_matches(&before, &patch));
		cv_tunnel_config_apply(&after, &patch);
		assert_true(cv_tunnel_config_matches(&after, &patch));
		a = cv_tunnel_config_to_json(&before);
		b = cv_tunnel_config_to_json(&after);
		json_object_foreach(a, key, value) differences +=
			!json_equal(value, json_object_get(b, key));
		json_decref(a);
		json_decref(b);
		assert_int_equal(differences, 1);
	}
}

static void everything_matches_nothing_given(void **state)
{
	struct cv_tunnel_config config = full_config();
	struct cv_tunnel_patch patch = {.given = 0};

	(void)state;
	assert_true(cv_tunnel_config_matches(&config, &patch));
}

static void addresses_are_formatted(void **state)
{
	char text[INET_ADDRSTRLEN];

	(void)state;
	assert_string_equal(cv_tunnel_format_address(0, text), "any");
	assert_string_equal(cv_tunnel_format_address(inet_addr("192.0.2.1"), text), "192.0.2.1");
}

static void long_errors_are_cut(void **state)
{
	char longer[2 * CV_ERROR_TEXT_MAX];
	struct cv_error e;

	(void)state;
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(cv_error_set(&e, -EIO, "%s", longer), -EIO);
	assert_int_equal(strlen(e.text), CV_ERROR_TEXT_MAX - 1);
	assert_int_equal(cv_error_set(NULL, -EIO, "%s", longer), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_round_trip),
		cmocka_unit_test(json_has_only_what_is_given),
		cmocka_unit_test(json_is_refused_with_the_field),
		cmocka_unit_test(patches_touch_one_field_each),
		cmocka_unit_test(everything_matches_nothing_given),
		cmocka_unit_test(addresses_are_formatted),
		cmocka_unit_test(long_errors_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
