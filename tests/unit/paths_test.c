/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What culvertd says of paths, from a list made by hand: names and order, filters, JSON, metrics,
 * and what doctor makes of it. Node a1 and its peer b1 (192.168.200.2), beside remotes that are
 * nobody's.
 */
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

#include "agent/doctor_paths.h"
#include "agent/metrics_paths.h"
#include "agent/path_json.h"
#include "decide_world.h"
#include "resources.h"

static struct cv_decide_world world;
static const struct cv_intent *intent;
static struct cv_paths paths;
static struct cv_error error;

static const char *name_of(int ifindex, const void *data)
{
	static const char *const names[] = {NULL, "culvert0", "tun0", "tun1"};

	assert_ptr_equal(data, &world);
	return (size_t)ifindex < sizeof(names) / sizeof(names[0]) ? names[ifindex] : NULL;
}

/* A healthy path. */
static struct cv_prober_path path_to(int tunnel, const char *remote)
{
	return (struct cv_prober_path){
		.tunnel = tunnel,
		.remote = cv_test_address(remote),
		.source = cv_test_address("192.168.100.1"),
		.link_mtu = 1500,
		.mtu = 1500,
		.state = CV_PLPMTUD_COMPLETE,
		.how = CV_PLPMTUD_BY_PROBE,
		.method = CV_PROBER_INNER,
		.age_ms = 61500,
		.liveness = CV_LIVENESS_UP,
		.liveness_age_ms = 90000,
		.rtt_p50_us = 1500,
		.rtt_p99_us = 42000,
		.loss_permille = 31,
		.probes_sent = 100,
		.probes_answered = 97,
		.probe_bytes = 9000,
	};
}

static void make(const struct cv_prober_path *list, size_t count)
{
	cv_paths_fini(&paths);
	assert_int_equal(cv_paths_make(list, count, name_of, &world, intent, &paths), 0);
	assert_int_equal(paths.count, count);
}

static int set_up(void **state)
{
	(void)state;
	cv_world_begin(&world);
	cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", CV_IPIP_ALWAYS));
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", "10.244.1.1"));
	cv_world_add(&world, cv_test_node("b1", "192.168.200.2/24", "10.244.2.1"));
	cv_world_add(&world, cv_test_affinity("b1", "10.244.2.0/24"));
	intent = cv_world_decide(&world);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	cv_paths_fini(&paths);
	cv_world_end(&world);
	return 0;
}

/* ---- the list --------------------------------------------------------------------------- */

static void has_names_and_order(void **state)
{
	const struct cv_prober_path list[] = {
		path_to(3, "10.0.0.9"),	     path_to(1, "192.168.200.2"), path_to(3, "9.0.0.1"),
		path_to(2, "192.168.200.2"), path_to(77, "10.0.0.1"),	  path_to(3, "200.0.0.1"),
	};
	static const char *const expected[] = {
		" 10.0.0.1 -",	  "culvert0 192.168.200.2 b1", "tun0 192.168.200.2 b1",
		"tun1 9.0.0.1 -", "tun1 10.0.0.9 -",	       "tun1 200.0.0.1 -",
	};

	(void)state;
	make(list, 6);
	for (size_t i = 0; i < paths.count; i++) {
		char text[64], address[CV_ADDRESS_TEXT_MAX];

		snprintf(text, sizeof(text), "%s %s %s", paths.items[i].tunnel,
			 cv_address_format(paths.items[i].path.remote, address),
			 paths.items[i].node ? paths.items[i].node : "-");
		assert_string_equal(text, expected[i]);
	}
}

static void finds_by_tunnel_node_or_address(void **state)
{
	const struct cv_prober_path list[] = {path_to(1, "192.168.200.2"), path_to(2, "10.0.0.9")};

	(void)state;
	make(list, 2);
	assert_true(cv_path_matches(&paths.items[0], "culvert0"));
	assert_true(cv_path_matches(&paths.items[0], "b1"));
	assert_true(cv_path_matches(&paths.items[0], "192.168.200.2"));
	assert_false(cv_path_matches(&paths.items[0], "tun0"));
	assert_false(cv_path_matches(&paths.items[0], "192.168.200.20"));
	assert_false(cv_path_matches(&paths.items[0], ""));
	assert_true(cv_path_matches(&paths.items[1], "tun0"));
	assert_false(cv_path_matches(&paths.items[1], "b1"));
}

static void says_why_nothing_is_found(void **state)
{
	static const struct {
		const char *peer;
		bool is_tunnel;
		const char *words;
	} cases[] = {
		{"tun9", true, "tunnel tun9 has no remote end now"},
		{"b1", false, "nothing goes to node b1 through a tunnel: its path is \"tunnel\""},
		{"a1", false, "a1 is this node"},
		{"10.0.0.1", false, "no tunnel sends to 10.0.0.1 now"},
		{"nosuch", false, "there is no tunnel, no node and no remote address nosuch"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
			cv_paths_explain_none(intent, cases[i].peer, cases[i].is_tunnel, &error),
			-ENOENT);
		if (strncmp(error.text, cases[i].words, strlen(cases[i].words)))
			fail_msg("%s", error.text);
	}
}

/* ---- words -------------------------------------------------------------------------------- */

/* Each sort of trouble by itself, and which of several is told. */
static void tells_what_is_wrong(void **state)
{
	struct cv_prober_path blocked = path_to(1, "192.168.200.2"), down = path_to(2, "10.0.0.1"),
			      broken = path_to(2, "10.0.0.2"), lost = path_to(2, "10.0.0.3"),
			      dark = path_to(2, "10.0.0.4"), well = path_to(2, "10.0.0.5");
	char text[CV_PATH_TEXT_MAX];

	(void)state;
	blocked.is_blocked = true;
	blocked.liveness = CV_LIVENESS_DOWN;
	down.liveness = CV_LIVENESS_DOWN;
	down.state = CV_PLPMTUD_ERROR;
	broken.state = CV_PLPMTUD_ERROR;
	broken.mtu = 596;
	lost.mtu = lost.link_mtu = 0;
	dark.mtu = 1400;
	make((const struct cv_prober_path[]){blocked, down, broken, lost, dark, well}, 6);
	assert_string_equal(
		cv_path_problem(&paths.items[0], text),
		"192.168.200.2 (node b1) answers on the underlay, but nothing comes back through "
		"culvert0: IP protocol 4 is filtered on the way (security groups of OpenStack and "
		"clouds: a rule for the protocol number 4; `ipip` means 94), or it has no tunnel "
		"to 192.168.100.1");
	assert_string_equal(cv_path_problem(&paths.items[1], text),
			    "tun0: 10.0.0.1 does not answer any more");
	assert_string_equal(cv_path_problem(&paths.items[2], text),
			    "tun0: 10.0.0.2 answers small probes only: packets of more than 576 "
			    "bytes are lost on the way, and no ICMP says so");
	assert_string_equal(cv_path_problem(&paths.items[3], text),
			    "tun0: this host has no route to 10.0.0.3");
	assert_null(cv_path_problem(&paths.items[4], text));
	assert_null(cv_path_problem(&paths.items[5], text));
	assert_true(cv_path_filters_icmp(&paths.items[4]));
	assert_false(cv_path_filters_icmp(&paths.items[5]));
	paths.items[4].path.how = CV_PLPMTUD_BY_ICMP;
	assert_false(cv_path_filters_icmp(&paths.items[4]));
	paths.items[4].path.how = CV_PLPMTUD_BY_PROBE;
	paths.items[4].path.state = CV_PLPMTUD_SEARCH;
	assert_false(cv_path_filters_icmp(&paths.items[4]));
}

/* ---- JSON --------------------------------------------------------------------------------- */

static void assert_json(json_t *json, const char *expected)
{
	json_t *wanted = json_loads(expected, 0, NULL);
	char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

	assert_non_null(wanted);
	if (!json_equal(json, wanted))
		fail_msg("%s", text);
	free(text);
	json_decref(wanted);
	json_decref(json);
}

static void is_json(void **state)
{
	struct cv_prober_path unknown = path_to(3, "10.0.0.1");

	(void)state;
	unknown = (struct cv_prober_path){.tunnel = 3, .remote = unknown.remote};
	make((const struct cv_prober_path[]){path_to(1, "192.168.200.2"), unknown}, 2);
	assert_json(cv_path_to_json(&paths.items[0]),
		    "{\"tunnel\": \"culvert0\", \"remote\": \"192.168.200.2\", \"node\": \"b1\", "
		    "\"source\": \"192.168.100.1\", \"inner_source\": null, \"link_mtu\": 1500, "
		    "\"mtu\": 1500, \"inner_mtu\": 1480, \"state\": \"complete\", \"how\": "
		    "\"probe\", \"since_s\": 61.5, \"method\": \"tunnel\", \"liveness\": \"up\", "
		    "\"liveness_since_s\": 90.0, \"rtt_p50_us\": 1500, \"rtt_p99_us\": 42000, "
		    "\"loss\": 0.031, \"probes\": {\"sent\": 100, \"answered\": 97, \"bytes\": "
		    "9000}, \"blocked\": false, \"problem\": null}");
	/* What is not known is null, not 0. */
	assert_json(cv_path_to_json(&paths.items[1]),
		    "{\"tunnel\": \"tun1\", \"remote\": \"10.0.0.1\", \"node\": null, \"source\": "
		    "null, \"inner_source\": null, \"link_mtu\": null, \"mtu\": null, "
		    "\"inner_mtu\": null, \"state\": \"disabled\", \"how\": \"link\", \"since_s\": "
		    "0.0, \"method\": \"none\", \"liveness\": \"unknown\", \"liveness_since_s\": "
		    "null, \"rtt_p50_us\": null, \"rtt_p99_us\": null, \"loss\": null, \"probes\": "
		    "{\"sent\": 0, \"answered\": 0, \"bytes\": 0}, \"blocked\": false, "
		    "\"problem\": \"tun1: this host has no route to 10.0.0.1\"}");
}

static void is_summed_up(void **state)
{
	struct cv_prober_path list[12];
	json_t *json;

	(void)state;
	for (size_t i = 0; i < 12; i++) {
		list[i] = path_to(2, "10.0.0.1");
		list[i].remote = cv_htonl(0x0a000001 + (uint32_t)i);
		list[i].liveness = i < 10 ? CV_LIVENESS_DOWN : CV_LIVENESS_UP;
	}
	list[10].liveness = CV_LIVENESS_UNKNOWN;
	list[11].is_blocked = true;
	list[0].state = CV_PLPMTUD_SEARCH;
	list[1].state = CV_PLPMTUD_ERROR;
	list[2].state = CV_PLPMTUD_DISABLED;
	make(list, 12);
	json = cv_paths_summary_to_json(&paths);
	assert_int_equal(json_array_size(json_object_get(json, "problems")), 8);
	json_object_del(json, "problems");
	assert_json(json, "{\"count\": 12, \"blocked\": 1, \"disabled\": 1, \"search\": 1, "
			  "\"complete\": 9, \"error\": 1, \"unknown\": 1, \"up\": 1, \"down\": "
			  "10}");
}

/* ---- metrics --------------------------------------------------------------------------- */

static char *metrics_of(const struct cv_paths *list)
{
	struct cv_metrics_writer writer;

	assert_int_equal(cv_metrics_writer_init(&writer), 0);
	cv_metrics_paths(list, &writer);
	return cv_metrics_writer_finish(&writer);
}

static size_t count_lines(const char *text)
{
	size_t count = 0;

	while ((text = strchr(text, '\n'))) {
		text++;
		count++;
	}
	return count;
}

static void has_metrics(void **state)
{
	static const char labels[] = "{tunnel=\"culvert0\",remote=\"192.168.200.2\",node=\"b1\"";
	static const struct {
		const char *name, *rest;
	} samples[] = {
		{"mtu_bytes", "} 1500"},
		{"link_mtu_bytes", "} 1500"},
		{"state", ",state=\"complete\",how=\"probe\"} 1"},
		{"up", "} 1"},
		{"blocked", "} 0"},
		{"rtt_seconds", ",quantile=\"0.5\"} 0.0015"},
		{"rtt_seconds", ",quantile=\"0.99\"} 0.042"},
		{"loss_ratio", "} 0.031"},
		{"probes_total", "} 100"},
		{"probes_answered_total", "} 97"},
		{"probe_bytes_total", "} 9000"},
	};
	const struct cv_prober_path list[] = {path_to(1, "192.168.200.2")};
	const struct cv_prober_path unknown[] = {{.tunnel = 1, .remote = list[0].remote}};
	char *text;

	(void)state;
	make(list, 1);
	text = metrics_of(&paths);
	assert_int_equal(count_lines(text), 2 * 10 + 11);
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		char line[256];

		snprintf(line, sizeof(line), "\nculvert_path_%s%s%s\n", samples[i].name, labels,
			 samples[i].rest);
		if (!strstr(text, line))
			fail_msg("%s is not in\n%s", line, text);
	}
	free(text);
	/* What is not known has no sample: state, blocked and the three counters alone. */
	make(unknown, 1);
	text = metrics_of(&paths);
	assert_int_equal(count_lines(text), 2 * 10 + 5);
	free(text);
	text = metrics_of(NULL);
	assert_int_equal(count_lines(text), 2 * 10);
	free(text);
}

/* ---- doctor ------------------------------------------------------------------------------ */

static struct cv_findings findings;

/* How many findings of a level have these words. */
static unsigned int found(const char *level, const char *words)
{
	unsigned int count = 0;
	json_t *finding;
	size_t i;

	json_array_foreach(findings.list, i, finding)
	{
		const char *text = json_string_value(json_object_get(finding, "text"));
		const char *is = json_string_value(json_object_get(finding, "level"));

		count += !strcmp(is, level) && strstr(text, words);
	}
	return count;
}

static void examine(const char *not_probing)
{
	const struct cv_doctor_input input = {
		.intent = intent, .paths = &paths, .not_probing = not_probing};

	cv_findings_fini(&findings);
	assert_int_equal(cv_findings_init(&findings), 0);
	cv_doctor_check_paths(&input, &findings);
}

static void doctor_finds(void **state)
{
	struct cv_prober_path blocked = path_to(1, "192.168.200.2"), list[9], dark;

	(void)state;
	make((const struct cv_prober_path[]){path_to(2, "10.0.0.1")}, 1);
	examine(NULL);
	assert_int_equal(json_array_size(findings.list), 1);
	assert_int_equal(found("ok", "1 remote end: 1 up; MTU known of 1"), 1);
	examine("for a reason");
	assert_int_equal(found("warning", "paths are not probed (for a reason)"), 1);
	blocked.is_blocked = true;
	dark = path_to(2, "10.0.0.4");
	dark.mtu = 1400;
	make((const struct cv_prober_path[]){blocked, dark}, 2);
	examine(NULL);
	assert_int_equal(json_array_size(findings.list), 2);
	assert_int_equal(found("error", "IP protocol 4 is filtered on the way"), 1);
	assert_int_equal(found("warning", "takes 1400 bytes, its link 1500, and no ICMP said so"),
			 1);
	/* Many of one kind are counted. */
	for (size_t i = 0; i < 9; i++) {
		list[i] = path_to(2, "10.0.0.1");
		list[i].remote = cv_htonl(0x0a000001 + (uint32_t)i);
		list[i].liveness = CV_LIVENESS_DOWN;
	}
	make(list, 9);
	examine(NULL);
	assert_int_equal(found("error", "does not answer any more"), 5);
	assert_int_equal(found("error", "... and 4 remote ends more do not answer any more"), 1);
	make(list, 0);
	examine("for a reason");
	assert_int_equal(json_array_size(findings.list), 0);
	cv_findings_fini(&findings);
}

static void doctor_tells_of_one(void **state)
{
	const struct cv_prober_path list[] = {path_to(1, "192.168.200.2"), path_to(2, "10.0.0.1")};
	struct cv_doctor_input input = {.intent = intent, .paths = &paths};

	(void)state;
	make(list, 2);
	assert_int_equal(cv_findings_init(&findings), 0);
	cv_doctor_tell_path(&input, list[0].remote, &findings);
	assert_int_equal(json_array_size(findings.list), 1);
	assert_int_equal(found("ok", "what is known of it in culvert0: 1500 bytes (1480 inner), by "
				     "probe, since 1m1s, search: complete; up, RTT 1.5 ms (p99 "
				     "42.0), 3.1 % of the last probes lost"),
			 1);
	paths.items[0].path.is_blocked = true;
	cv_doctor_tell_path(&input, list[0].remote, &findings);
	assert_int_equal(found("warning", "what probes have shown so far: 192.168.200.2 (node b1) "
					  "answers on the underlay"),
			 1);
	input.paths = NULL;
	cv_doctor_tell_path(&input, list[0].remote, &findings);
	assert_int_equal(json_array_size(findings.list), 2);
	cv_findings_fini(&findings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_names_and_order),
		cmocka_unit_test(finds_by_tunnel_node_or_address),
		cmocka_unit_test(says_why_nothing_is_found),
		cmocka_unit_test(tells_what_is_wrong),
		cmocka_unit_test(is_json),
		cmocka_unit_test(is_summed_up),
		cmocka_unit_test(has_metrics),
		cmocka_unit_test(doctor_finds),
		cmocka_unit_test(doctor_tells_of_one),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
