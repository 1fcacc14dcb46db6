/* SPDX-License-Identifier: Apache-2.0 */
/* Printing. What `ip tunnel show` prints, is printed as it prints it. */
#include "cli/show.h"

#include <stdio.h>
#include <string.h>

#include "engine/counters.h"
#include "model/endpoint.h"
#include "model/tunnel.h"
#include "wire/drop.h"

int cv_show_no_sense(const struct cv_cli *cli)
{
	return cv_report(cli, CV_CLI_FAILED, "failed",
			 "culvertd's answer makes no sense; use the culvert of the same release");
}

void cv_show_json(const json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	putchar('\n');
}

/* ---- counters ------------------------------------------------------------------ */

static long long number(const json_t *json, const char *name)
{
	return (long long)json_integer_value(json_object_get(json, name));
}

static void print_directions(const json_t *counters, const char *indent)
{
	printf("%sRX: packets %lld bytes %lld\n", indent, number(counters, "rx_packets"),
	       number(counters, "rx_bytes"));
	printf("%sTX: packets %lld bytes %lld\n", indent, number(counters, "tx_packets"),
	       number(counters, "tx_bytes"));
}

/* What is 0 is left out: there are dozens. */
void cv_show_reasons(const json_t *counters, const char *indent)
{
	const json_t *drops = json_object_get(counters, "drops");
	const json_t *events = json_object_get(counters, "events");

	for (unsigned int i = CV_DROP_NONE + 1; i < CV_DROP_MAX; i++) {
		long long count = number(drops, cv_drop_name(i));

		if (count)
			printf("%sdropped %s: %lld (%s)\n", indent, cv_drop_name(i), count,
			       cv_drop_text(i));
	}
	for (unsigned int i = 0; i < CV_EVENT_MAX; i++) {
		long long count = number(events, cv_event_name(i));

		if (count)
			printf("%sevent %s: %lld (%s)\n", indent, cv_event_name(i), count,
			       cv_event_text(i));
	}
}

/* ---- the fast path -------------------------------------------------------------- */

void cv_show_fastpath(const json_t *fastpath, const char *indent)
{
	const char *reason = json_string_value(json_object_get(fastpath, "reason"));
	const json_t *underlays = json_object_get(fastpath, "underlays");
	const json_t *name;
	size_t i;

	if (!fastpath)
		return;
	if (reason) {
		printf("%sfast path: off: %s\n", indent, reason);
		return;
	}
	printf("%sfast path: on; %s", indent,
	       json_array_size(underlays) ? "network cards " : "no network card");
	json_array_foreach(underlays, i, name)
	{
		printf("%s%s", i ? ", " : "", json_string_value(name));
	}
	if (number(fastpath, "endpoints"))
		printf("; bypass in force for %lld of %lld endpoints", number(fastpath, "bypassed"),
		       number(fastpath, "endpoints"));
	putchar('\n');
}

static void print_paths(const json_t *paths, const char *indent)
{
	const json_t *fast = json_object_get(paths, "fast");
	const json_t *engine = json_object_get(paths, "engine");
	const json_t *handed_over = json_object_get(paths, "handed_over");

	printf("%spath: fast rx %lld tx %lld (endpoints rx %lld tx %lld), engine rx %lld tx %lld, "
	       "handed over in %lld out %lld\n",
	       indent, number(fast, "rx_packets"), number(fast, "tx_packets"),
	       number(fast, "rx_endpoint_packets"), number(fast, "tx_endpoint_packets"),
	       number(engine, "rx_packets"), number(engine, "tx_packets"),
	       number(handed_over, "in"), number(handed_over, "out"));
}

/* ---- tunnels -------------------------------------------------------------------- */

static int read_config(const json_t *tunnel, struct cv_tunnel_config *ret_config)
{
	struct cv_tunnel_patch patch;
	int rc = cv_tunnel_patch_from_json(json_object_get(tunnel, "config"), &patch, NULL);

	if (!rc)
		*ret_config = patch.config;
	return rc;
}

static int print_tunnel(const struct cv_cli *cli, const json_t *tunnel)
{
	const char *owner = json_string_value(json_object_get(tunnel, "owner"));
	const char *reason = json_string_value(json_object_get(tunnel, "reason"));
	const json_t *counters = json_object_get(tunnel, "counters");
	struct cv_tunnel_config config;
	char line[CV_TUNNEL_TEXT_MAX];

	if (read_config(tunnel, &config))
		return -1;
	cv_tunnel_print_line(&config, line);
	fputs(line, stdout);
	if (owner)
		printf(" owner %s", owner);
	if (json_is_integer(json_object_get(tunnel, "mtu")))
		printf(" mtu %lld%s", number(tunnel, "mtu"),
		       json_is_true(json_object_get(tunnel, "mtu_by_hand")) ? " (set by hand)"
									    : "");
	if (reason)
		printf(" suspended\n    suspended: %s\n", reason);
	else
		printf(" %s\n", json_is_true(json_object_get(tunnel, "up")) ? "up" : "down");
	cv_show_fastpath(json_object_get(tunnel, "fastpath"), "    ");
	if (cli->statistics) {
		print_paths(json_object_get(tunnel, "paths"), "    ");
		print_directions(counters, "    ");
		cv_show_reasons(counters, "    ");
	}
	return 0;
}

/* A flat object for each: what is configured, then how it is. */
static void print_flat_json(const json_t *items)
{
	json_t *list = json_array();
	size_t i;
	json_t *item;

	json_array_foreach(items, i, item)
	{
		json_t *flat = json_copy(json_object_get(item, "config"));

		json_object_update(flat, item);
		json_object_del(flat, "config");
		json_array_append_new(list, flat);
	}
	cv_show_json(list);
	json_decref(list);
}

int cv_show_tunnels(const struct cv_cli *cli, const json_t *result)
{
	const json_t *tunnels = json_object_get(result, "tunnels");

	if (!json_is_array(tunnels))
		return cv_show_no_sense(cli);
	if (cli->json) {
		print_flat_json(tunnels);
		return CV_CLI_DONE;
	}
	for (size_t i = 0; i < json_array_size(tunnels); i++) {
		if (print_tunnel(cli, json_array_get(tunnels, i)))
			return cv_show_no_sense(cli);
	}
	return CV_CLI_DONE;
}

/* True of a tunnel that resources make: it comes with them, and no command may change it. */
static bool is_owned(const json_t *tunnel)
{
	return json_is_string(json_object_get(tunnel, "owner"));
}

/* As a batch of the control protocol takes them. */
static void print_commands_json(const json_t *tunnels)
{
	json_t *list = json_array();
	size_t i;
	json_t *tunnel;

	json_array_foreach(tunnels, i, tunnel)
	{
		if (is_owned(tunnel))
			continue;
		json_array_append_new(list, json_pack("{s:s, s:O}", "verb", "replace", "tunnel",
						      json_object_get(tunnel, "config")));
	}
	cv_show_json(list);
	json_decref(list);
}

int cv_show_commands(const struct cv_cli *cli, const json_t *result)
{
	const json_t *tunnels = json_object_get(result, "tunnels");

	if (!json_is_array(tunnels))
		return cv_show_no_sense(cli);
	if (cli->json) {
		print_commands_json(tunnels);
		return CV_CLI_DONE;
	}
	for (size_t i = 0; i < json_array_size(tunnels); i++) {
		struct cv_tunnel_config config;
		char words[CV_TUNNEL_TEXT_MAX];

		if (is_owned(json_array_get(tunnels, i)))
			continue;
		if (read_config(json_array_get(tunnels, i), &config))
			return cv_show_no_sense(cli);
		cv_tunnel_print_words(&config, words);
		printf("replace %s\n", words);
	}
	return CV_CLI_DONE;
}

/* ---- endpoints -------------------------------------------------------------------- */

static int print_endpoint(const json_t *endpoint)
{
	const char *reason = json_string_value(json_object_get(endpoint, "reason"));
	struct cv_endpoint_patch patch;
	char text[CV_ENDPOINT_TEXT_MAX];
	bool is_default;

	if (cv_endpoint_patch_from_json(json_object_get(endpoint, "config"), &patch, NULL))
		return -1;
	is_default = patch.config.bypass == CV_ENDPOINT_BYPASS_DEFAULT;
	cv_endpoint_print_addresses(&patch.config, text);
	printf("%s bypass ", text);
	if (!json_is_true(json_object_get(endpoint, "wanted")))
		printf("off%s\n", is_default ? " (default)" : "");
	else if (reason)
		printf("off (in force; wanted on): %s\n", reason);
	else
		printf("on%s\n", is_default ? " (default)" : "");
	return 0;
}

int cv_show_endpoints(const struct cv_cli *cli, const json_t *result)
{
	const json_t *endpoints = json_object_get(result, "endpoints");

	if (!json_is_array(endpoints))
		return cv_show_no_sense(cli);
	if (cli->json) {
		print_flat_json(endpoints);
		return CV_CLI_DONE;
	}
	for (size_t i = 0; i < json_array_size(endpoints); i++) {
		if (print_endpoint(json_array_get(endpoints, i)))
			return cv_show_no_sense(cli);
	}
	if (cli->statistics)
		printf("packets between endpoints: %lld\n", number(result, "local_packets"));
	return CV_CLI_DONE;
}

int cv_show_endpoint_default(const struct cv_cli *cli, const json_t *result)
{
	const char *bypass = json_string_value(json_object_get(result, "bypass"));

	if (!bypass)
		return cv_show_no_sense(cli);
	if (cli->json)
		cv_show_json(result);
	else
		printf("bypass %s\n", bypass);
	return CV_CLI_DONE;
}

/* ---- explanations ---------------------------------------------------------------- */

static void print_drops_json(void)
{
	json_t *drops = json_object(), *events = json_object(), *all;

	for (unsigned int i = CV_DROP_NONE + 1; i < CV_DROP_MAX; i++)
		json_object_set_new(drops, cv_drop_name(i), json_string(cv_drop_text(i)));
	for (unsigned int i = 0; i < CV_EVENT_MAX; i++)
		json_object_set_new(events, cv_event_name(i), json_string(cv_event_text(i)));
	all = json_pack("{s:o, s:o}", "drops", drops, "events", events);
	cv_show_json(all);
	json_decref(all);
}

int cv_show_drops(const struct cv_cli *cli)
{
	if (cli->json) {
		print_drops_json();
		return CV_CLI_DONE;
	}
	puts("Why packets are dropped:");
	for (unsigned int i = CV_DROP_NONE + 1; i < CV_DROP_MAX; i++)
		printf("  %-26s %s\n", cv_drop_name(i), cv_drop_text(i));
	puts("Events, which drop nothing:");
	for (unsigned int i = 0; i < CV_EVENT_MAX; i++)
		printf("  %-26s %s\n", cv_event_name(i), cv_event_text(i));
	return CV_CLI_DONE;
}
