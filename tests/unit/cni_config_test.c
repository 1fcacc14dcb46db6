/* SPDX-License-Identifier: Apache-2.0 */
/* What the CNI plugin reads and prints: configurations, CNI_ARGS, variables, results, errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cni/config.h"
#include "cni/conflist.h"
#include "cni/delegate.h"
#include "cni/environment.h"
#include "cni/result.h"

static struct cv_cni_environment environment;
static struct cv_cni_config config;
static struct cv_cni_failure failure;

static int parse(enum cv_cni_command command, const char *text)
{
	cv_cni_config_fini(&config);
	environment = (struct cv_cni_environment){.command = command};
	return cv_cni_config_parse(text, strlen(text), &environment, &config, &failure);
}

#define HEAD "{\"cniVersion\": \"1.0.0\", \"name\": \"pods\""

static void test_defaults(void **state)
{
	(void)state;
	assert_int_equal(parse(CV_CNI_ADD, HEAD "}"), 0);
	assert_int_equal(config.version, CV_CNI_1_0_0);
	assert_string_equal(config.network, "pods");
	assert_string_equal(config.run_dir, "/run/culvert");
	assert_null(config.bridge);
	assert_null(config.ipam);
	assert_null(config.log);
	assert_string_equal(config.bypass, "default");
	assert_int_equal(config.mtu, 0);
	assert_true(config.is_gateway);
	assert_false(config.hairpin || config.has_mac || config.has_bandwidth);
	assert_int_equal(config.pool_count + config.route_count + config.address_count, 0);
}

static void test_everything(void **state)
{
	static const uint8_t mac[] = {2, 0, 0, 0, 0, 1};

	(void)state;
	assert_int_equal(parse(CV_CNI_ADD, HEAD
			       ", \"mode\": \"bridge\", \"mtu\": 1400, \"bypass\": true,"
			       "\"hairpinMode\": true, \"isGateway\": false,"
			       "\"ipam\": {\"pools\": [\"a\", \"b\"], \"routes\": "
			       "[{\"dst\": \"10.0.0.1/8\", \"priority\": 7}]},"
			       "\"runtimeConfig\": {\"ips\": [\"10.0.0.5/24\"], \"mac\": "
			       "\"02:00:00:00:00:01\", \"bandwidth\": {\"egressRate\": 1}},"
			       "\"args\": {\"cni\": {\"ips\": [\"10.0.0.6\", \"10.0.0.5\"]}}}"),
			 0);
	assert_string_equal(config.bridge, "cbr0");
	assert_int_equal(config.mtu, 1400);
	assert_string_equal(config.bypass, "on");
	assert_true(config.hairpin && !config.is_gateway && config.has_bandwidth);
	assert_int_equal(config.pool_count, 2);
	assert_int_equal(config.route_count, 1);
	assert_int_equal(config.routes[0].metric, 7);
	assert_int_equal(config.routes[0].prefix.address, inet_addr("10.0.0.0"));
	assert_int_equal(config.routes[0].scope, -1);
	assert_int_equal(config.address_count, 2);
	assert_int_equal(config.addresses[0], inet_addr("10.0.0.5"));
	assert_int_equal(config.addresses[1], inet_addr("10.0.0.6"));
	assert_memory_equal(config.mac, mac, sizeof(mac));
}

/* What keeps an ADD from making a thing must not keep a DEL from removing it. */
static void test_a_delete_forgives(void **state)
{
	static const char *const bad[] = {", \"mtu\": 1}",
					  ", \"mode\": \"x\"}",
					  ", \"ipam\": {\"pools\": 1}}",
					  ", \"runtimeConfig\": {\"mac\": \"x\"}}",
					  ", \"dns\": 1}",
					  ", \"log\": \"x\"}"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[256];

		snprintf(text, sizeof(text), "%s%s", HEAD, bad[i]);
		assert_int_equal(parse(CV_CNI_ADD, text), CV_CNI_CONFIG);
		assert_int_equal(parse(CV_CNI_DEL, text), 0);
		assert_null(config.log);
	}
	assert_int_equal(parse(CV_CNI_DEL, "{\"cniVersion\": \"1.0.0\"}"), CV_CNI_CONFIG);
	assert_int_equal(parse(CV_CNI_DEL, "{\"name\": \"pods\"}"), CV_CNI_INCOMPATIBLE);
}

/* An item that is not understood must not be one that is removed. */
static void test_gc_lists_are_whole(void **state)
{
	(void)state;
	assert_int_equal(parse(CV_CNI_GC, HEAD ", \"cni.dev/valid-attachments\": []}"), 0);
	assert_non_null(config.valid);
	assert_int_equal(parse(CV_CNI_GC, HEAD "}"), 0);
	assert_null(config.valid);
	assert_int_equal(parse(CV_CNI_GC,
			       HEAD ", \"cni.dev/valid-attachments\": [{\"containerID\": "
				    "\"c1\"}]}"),
			 CV_CNI_CONFIG);
	assert_int_equal(parse(CV_CNI_GC, HEAD ", \"cni.dev/valid-attachments\": {}}"),
			 CV_CNI_CONFIG);
}

static void test_arguments(void **state)
{
	struct cv_cni_arguments arguments;

	(void)state;
	assert_int_equal(cv_cni_arguments_parse(NULL, &arguments, &failure), 0);
	assert_int_equal(
		cv_cni_arguments_parse(";IP=1.2.3.4;;MAC=;K8S_POD_NAME=web;", &arguments, &failure),
		0);
	assert_string_equal(arguments.ip, "1.2.3.4");
	assert_null(arguments.mac);
	assert_string_equal(arguments.pod, "web");
	assert_int_equal(cv_cni_arguments_parse("A=1;IgnoreUnknown=true", &arguments, &failure), 0);
	assert_int_equal(cv_cni_arguments_parse("A=1;IgnoreUnknown=0", &arguments, &failure),
			 CV_CNI_ENVIRONMENT);
	assert_non_null(strstr(failure.msg.text, "unknown key A"));
	assert_int_equal(cv_cni_arguments_parse("=1", &arguments, &failure), CV_CNI_ENVIRONMENT);
}

static void test_variables(void **state)
{
	(void)state;
	unsetenv("CNI_COMMAND");
	assert_int_equal(cv_cni_environment_read(&environment, &failure), CV_CNI_ENVIRONMENT);
	setenv("CNI_COMMAND", "ADD", 1);
	setenv("CNI_IFNAME", "eth0", 1);
	assert_int_equal(cv_cni_environment_read(&environment, &failure), CV_CNI_ENVIRONMENT);
	assert_non_null(strstr(failure.msg.text, "[CNI_CONTAINERID,CNI_NETNS]"));
	setenv("CNI_COMMAND", "DEL", 1);
	setenv("CNI_CONTAINERID", "c1", 1);
	setenv("CNI_ARGS", "nonsense", 1);
	setenv("CNI_NETNS_OVERRIDE", "TRUE", 1);
	assert_int_equal(cv_cni_environment_read(&environment, &failure), 0);
	assert_true(environment.netns_override);
	assert_null(environment.netns);
	setenv("CNI_COMMAND", "VERSION", 1);
	setenv("CNI_CONTAINERID", "/", 1);
	assert_int_equal(cv_cni_environment_read(&environment, &failure), 0);
}

static int parse_result(const char *text, struct cv_cni_result *result)
{
	static json_t *json;

	json_decref(json);
	json = json_loads(text, JSON_DECODE_ANY, NULL);
	return cv_cni_result_parse(json, "it", CV_CNI_DELEGATE, result, &failure);
}

static void test_results(void **state)
{
	static const char *const bad[] = {
		"1",
		"{\"ips\": 1}",
		"{\"ips\": [1]}",
		"{\"ips\": [{}]}",
		"{\"ips\": [{\"address\": \"10.0.0.1\"}]}",
		"{\"ips\": [{\"address\": \"fd00::1/64\"}]}",
		"{\"ips\": [{\"address\": \"10.0.0.1/8\", \"interface\": \"0\"}]}",
		"{\"interfaces\": [{}]}",
		"{\"interfaces\": [{\"name\": \"1234567890123456\"}]}",
		("{\"interfaces\": [{\"name\": \"a\"}], \"ips\": [{\"address\": \"10.0.0.1/8\", "
		 "\"interface\": 1}]}"),
		"{\"routes\": [{\"dst\": \"x\"}]}",
		"{\"routes\": [{\"dst\": \"10.0.0.0/8\", \"mtu\": -1}]}",
		"{\"dns\": []}"};
	struct cv_cni_result result;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_result(bad[i], &result), CV_CNI_DELEGATE);
	assert_int_equal(
		parse_result(
			"{\"cniVersion\": \"0.4.0\", \"ips\": [{\"version\": \"4\", \"address\": "
			"\"10.9.0.2/24\", \"gateway\": \"10.9.0.1\"}], \"routes\": [{\"dst\": "
			"\"0.0.0.0/0\"}], \"more\": 1}",
			&result),
		0);
	assert_int_equal(result.ips[0].address.address, inet_addr("10.9.0.2"));
	assert_int_equal(result.ips[0].address.length, 24);
	assert_int_equal(result.ips[0].gateway, inet_addr("10.9.0.1"));
	assert_int_equal(result.ips[0].interface, -1);
	assert_int_equal(result.route_count, 1);
}

static void test_every_version_has_its_form(void **state)
{
	struct cv_cni_result result = {.interface_count = 1, .ip_count = 1, .route_count = 1};

	(void)state;
	strcpy(result.interfaces[0].name, "eth0");
	result.interfaces[0].mtu = 1430;
	result.ips[0].address = (struct cv_prefix){inet_addr("10.0.0.1"), 32};
	result.routes[0] = (struct cv_cni_route){.metric = 7, .scope = 0};
	for (int i = 0; i < CV_CNI_VERSIONS; i++) {
		const enum cv_cni_version version = (enum cv_cni_version)i;
		json_t *json = cv_cni_result_json(&result, version);
		const json_t *interface = json_array_get(json_object_get(json, "interfaces"), 0);
		const json_t *ip = json_array_get(json_object_get(json, "ips"), 0);
		const json_t *route = json_array_get(json_object_get(json, "routes"), 0);

		assert_string_equal(json_string_value(json_object_get(json, "cniVersion")),
				    cv_cni_version_name(version));
		assert_int_equal(json_object_get(ip, "version") != NULL, version < CV_CNI_1_0_0);
		assert_int_equal(json_object_get(interface, "mtu") != NULL,
				 version >= CV_CNI_1_1_0);
		assert_int_equal(json_object_get(route, "priority") != NULL,
				 version >= CV_CNI_1_1_0);
		assert_int_equal(json_object_get(route, "scope") != NULL, version >= CV_CNI_1_1_0);
		assert_int_equal(json_integer_value(json_object_get(ip, "interface")), 0);
		json_decref(json);
	}
}

static void test_errors(void **state)
{
	static const char later[] = "{\"code\": 11, \"msg\": \"later\", \"details\": \"much\"}";
	json_t *json;

	(void)state;
	assert_int_equal(cv_cni_delegate_error("x", later, strlen(later), &failure), 11);
	assert_string_equal(failure.msg.text, "x: later");
	assert_string_equal(failure.details.text, "much");
	json = cv_cni_failure_json(&failure, "0.4.0");
	assert_int_equal(json_integer_value(json_object_get(json, "code")), 11);
	json_decref(json);
	for (int i = 0; i < 4; i++) {
		static const char *const bad[] = {"", "{}", "{\"code\": 0, \"msg\": \"x\"}",
						  "{\"code\": \"1\", \"msg\": \"x\"}"};

		assert_int_equal(cv_cni_delegate_error("x", bad[i], strlen(bad[i]), &failure),
				 CV_CNI_DELEGATE);
	}
	cv_cni_fail(&failure, CV_CNI_IO, "a\nb\xff");
	assert_string_equal(failure.msg.text, "a?b?");
	assert_string_equal(failure.details.text, "");
}

static void test_conflists(void **state)
{
	struct cv_cni_conflist conflist = {
		.name = "pods", .run_dir = "/run/culvert", .chain = "portmap,bandwidth"};
	struct cv_error error;
	json_t *json = cv_cni_conflist_make(&conflist, &error);
	char *text = json_dumps(json, 0);

	(void)state;
	assert_true(cv_cni_conflist_is_ours(text));
	assert_true(cv_cni_conflist_uses_us(text));
	assert_int_equal(json_array_size(json_object_get(json, "plugins")), 3);
	free(text);
	json_decref(json);
	assert_false(cv_cni_conflist_is_ours("{\"plugins\": [{\"type\": \"culvert-cni\"}]}"));
	assert_true(cv_cni_conflist_uses_us("{\"plugins\": [{\"type\": \"culvert-cni\"}]}"));
	assert_true(cv_cni_conflist_uses_us("{\"type\": \"culvert-cni\"}"));
	assert_false(cv_cni_conflist_uses_us("{\"plugins\": [{\"type\": \"bridge\"}]}"));
	assert_false(cv_cni_conflist_uses_us("nonsense"));
	conflist.chain = "portmap,,tuning";
	assert_null(cv_cni_conflist_make(&conflist, &error));
	conflist.chain = "";
	conflist.name = "a/b";
	assert_null(cv_cni_conflist_make(&conflist, &error));
}

static int fini(void **state)
{
	(void)state;
	cv_cni_config_fini(&config);
	return 0;
}

int main(void)
{
	const struct CMUnitTest cni_config[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_a_delete_forgives),
		cmocka_unit_test(test_gc_lists_are_whole),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_every_version_has_its_form),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_conflists),
	};

	return cmocka_run_group_tests(cni_config, NULL, fini);
}
