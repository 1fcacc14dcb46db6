/* SPDX-License-Identifier: Apache-2.0 */
/* BGP in words and tables. */
#include "cli/bgp_text.h"

#include <stdio.h>
#include <string.h>

#include "cli/member.h"
#include "cli/path_text.h"
#include "cli/table.h"

enum {
	PROBLEMS_MAX = 16 /* of peers, told below their table */
};

static const char *or_else(const char *text, const char *otherwise)
{
	return text ? text : otherwise;
}

static void print_lines(const json_t *lines, const char *what)
{
	const json_t *line;
	size_t i;

	json_array_foreach(lines, i, line)
	{
		printf("%s: %s\n", what, or_else(json_string_value(line), "?"));
	}
}

/* ---- status ---------------------------------------------------------------------------------- */

/* Nothing behind it: the caller ends the line. */
static void print_programs(const json_t *programs)
{
	const char *now = or_else(cv_member_text(programs, "now"), "?");
	const char *wanted = or_else(cv_member_text(programs, "wanted"), now);
	const char *why = cv_member_text(programs, "hand_over");

	fputs(!strcmp(now, "agent") ? "the agent (from resources)" : now, stdout);
	if (!strcmp(now, "BIRD"))
		printf(" (from what it learned)");
	if (strcmp(now, wanted) != 0)
		printf("; being handed over to %s%s%s",
		       !strcmp(wanted, "agent") ? "the agent" : wanted, why ? ": " : "",
		       or_else(why, ""));
}

static void print_daemon(const json_t *bird)
{
	const char *version = cv_member_text(bird, "version");

	printf("BIRD%s%s: %s, %s", version ? " " : "", or_else(version, ""),
	       or_else(cv_member_text(bird, "state"), "?"),
	       or_else(cv_member_text(bird, "run"), "?"));
	if (json_is_integer(json_object_get(bird, "pid")))
		printf(", process %lld", cv_member_number(bird, "pid"));
	if (cv_member_text(bird, "user"))
		printf(", user %s", cv_member_text(bird, "user"));
	if (cv_member_text(bird, "last_reboot"))
		printf(", since %s", cv_member_text(bird, "last_reboot"));
	if (cv_member_number(bird, "restarts"))
		printf(", died %lld time%s", cv_member_number(bird, "restarts"),
		       cv_member_number(bird, "restarts") == 1 ? "" : "s");
	putchar('\n');
	if (cv_member_is_true(bird, "recovering"))
		puts("    graceful restart: it takes its routes up again");
}

static void print_speaker(const json_t *status)
{
	const json_t *sessions = json_object_get(status, "sessions");
	const char *shape = or_else(cv_member_text(status, "shape"), "?");

	printf("this node: AS %lld, router id %s, port %lld, ",
	       cv_member_number(status, "as_number"),
	       or_else(cv_member_text(status, "router_id"), "none"),
	       cv_member_number(status, "listen_port"));
	if (!strcmp(shape, "reflector"))
		printf("route reflector of cluster %s, clients %lld\n",
		       or_else(cv_member_text(status, "cluster_id"), "?"),
		       cv_member_number(sessions, "clients"));
	else if (!strcmp(shape, "mesh"))
		puts("in the mesh of all nodes");
	else if (!strcmp(shape, "peers"))
		puts("no mesh, peers by BGPPeer");
	else
		puts("no sessions configured");
}

static void print_refused(json_t *refused)
{
	const char *separator = "    refused: ", *reason;
	const json_t *count;

	json_object_foreach(refused, reason, count)
	{
		if (!json_integer_value(count))
			continue;
		printf("%s%s %lld", separator, reason, (long long)json_integer_value(count));
		separator = ", ";
	}
	if (*separator == ',')
		putchar('\n');
}

void cv_bgp_text_status(const json_t *result)
{
	const json_t *sessions = json_object_get(result, "sessions");
	const json_t *routes = json_object_get(result, "routes");

	if (!json_object_get(result, "programs")) {
		puts("no BGP: there is no resource BGPConfiguration default");
		return;
	}
	printf("routes to other nodes are programmed by ");
	print_programs(json_object_get(result, "programs"));
	putchar('\n');
	print_daemon(json_object_get(result, "bird"));
	if (cv_member_is_true(result, "wanted"))
		print_speaker(result);
	printf("sessions %lld: up %lld, down %lld\n", cv_member_number(sessions, "count"),
	       cv_member_number(sessions, "up"), cv_member_number(sessions, "down"));
	printf("routes: learned %lld, refused %lld, announced %lld (own prefixes %lld)\n",
	       cv_member_number(routes, "imported"), cv_member_number(routes, "refused"),
	       cv_member_number(routes, "exported"), cv_member_number(routes, "own"));
	print_refused(json_object_get(result, "refused"));
	print_lines(json_object_get(result, "problems"), "problem");
	print_lines(json_object_get(result, "warnings"), "warning");
}

void cv_bgp_text_summary(const json_t *bgp)
{
	const json_t *sessions = json_object_get(bgp, "sessions");

	if (!json_is_object(bgp))
		return;
	printf("BGP: sessions %lld, up %lld; BIRD %s; routes are programmed by ",
	       cv_member_number(sessions, "count"), cv_member_number(sessions, "up"),
	       or_else(cv_member_text(bgp, "bird"), "?"));
	print_programs(json_object_get(bgp, "programs"));
	putchar('\n');
	print_lines(json_object_get(bgp, "problems"), "    problem");
}

/* ---- peers ----------------------------------------------------------------------------------- */

static const char *const peer_headings[] = {"PEER",  "ADDRESS",	 "AS",	    "STATE",
					    "SINCE", "IMPORTED", "REFUSED", "EXPORTED"};

static void add_number(struct cv_table *table, const json_t *json, const char *name)
{
	if (json_is_integer(json_object_get(json, name)))
		cv_table_addf(table, "%lld", cv_member_number(json, name));
	else
		cv_table_add(table, NULL);
}

/* A Node by its name; a router by its BGPPeer's, unless that is of many. */
static void add_peer(struct cv_table *table, const json_t *peer)
{
	const char *name = cv_member_text(peer, "node");

	if (!name)
		name = or_else(cv_member_text(peer, "peer"), cv_member_text(peer, "name"));
	cv_table_add(table, name);
	if (cv_member_number(peer, "port") && cv_member_number(peer, "port") != 179)
		cv_table_addf(table, "%s:%lld", or_else(cv_member_text(peer, "address"), "?"),
			      cv_member_number(peer, "port"));
	else
		cv_table_add(table, cv_member_text(peer, "address"));
	add_number(table, peer, "as_number");
	cv_table_addf(table, "%s%s", or_else(cv_member_text(peer, "state"), "none"),
		      cv_member_is_true(peer, "restarting") ? " (restarts)" : "");
	cv_table_add(table, cv_member_text(peer, "since"));
	add_number(table, peer, "imported");
	add_number(table, peer, "refused");
	add_number(table, peer, "exported");
}

static void print_peers_problems(const json_t *peers)
{
	const json_t *peer;
	size_t i, count = 0;

	json_array_foreach(peers, i, peer)
	{
		if (!cv_member_text(peer, "problem") || count++ >= PROBLEMS_MAX)
			continue;
		printf("problem: %s\n", cv_member_text(peer, "problem"));
		if (cv_member_text(peer, "remedy"))
			printf("    remedy: %s\n", cv_member_text(peer, "remedy"));
	}
	if (count > PROBLEMS_MAX)
		printf("... and %zu problems more: culvert -j bgp peers\n", count - PROBLEMS_MAX);
}

void cv_bgp_text_peers(const json_t *result)
{
	const json_t *peers = json_object_get(result, "peers");
	const json_t *age = json_object_get(result, "age_s"), *peer;
	char text[CV_PATH_TEXT_AGE_MAX];
	struct cv_table table;
	size_t i;

	if (!json_array_size(peers)) {
		puts(cv_member_is_true(result, "wanted")
			     ? "no sessions: no other node, and no BGPPeer for this one"
			     : "no BGP: there is no resource BGPConfiguration default");
		return;
	}
	cv_table_init(&table, sizeof(peer_headings) / sizeof(peer_headings[0]));
	for (i = 0; i < sizeof(peer_headings) / sizeof(peer_headings[0]); i++)
		cv_table_add(&table, peer_headings[i]);
	json_array_foreach(peers, i, peer)
	{
		add_peer(&table, peer);
	}
	cv_table_print(&table, "");
	cv_table_fini(&table);
	print_peers_problems(peers);
	if (!json_is_number(age))
		puts("BIRD has not said anything yet");
	else if (json_number_value(age) >= 10)
		printf("BIRD said so %s ago\n", cv_path_text_age(json_number_value(age), text));
}

/* ---- routes ---------------------------------------------------------------------------------- */

static void add_learned(struct cv_table *table, const json_t *route)
{
	cv_table_add(table, cv_member_text(route, "prefix"));
	cv_table_addf(table, "%s%s", or_else(cv_member_text(route, "next_hop"), "?"),
		      cv_member_is_true(route, "best") ? " *" : "");
	cv_table_add(table, cv_member_text(route, "node"));
	cv_table_add(table, cv_member_text(route, "way"));
	cv_table_addf(table, "%s%s", or_else(cv_member_text(route, "reason"), "-"),
		      cv_member_is_true(route, "stale") ? " (kept while its peer restarts)" : "");
	cv_table_add(table, cv_member_text(route, "from"));
}

static void add_refused(struct cv_table *table, const json_t *route)
{
	cv_table_add(table, cv_member_text(route, "prefix"));
	cv_table_add(table, cv_member_text(route, "next_hop"));
	cv_table_add(table, cv_member_text(route, "from"));
	cv_table_add(table, cv_member_text(route, "reason"));
}

static void add_exported(struct cv_table *table, const json_t *route)
{
	const char *kind = cv_member_text(route, "kind");

	cv_table_add(table, cv_member_text(route, "prefix"));
	if (kind)
		cv_table_addf(table, "%s %s", kind,
			      or_else(cv_member_text(route, "resource"), "?"));
	else
		cv_table_add(table, NULL);
}

void cv_bgp_text_routes(const json_t *result)
{
	const char *which = or_else(cv_member_text(result, "which"), "learned");
	const json_t *routes = json_object_get(result, "routes"), *route;
	void (*add)(struct cv_table * table, const json_t *route) = add_learned;
	struct cv_table table;
	size_t i;

	if (!json_array_size(routes)) {
		printf("no routes are %s\n", which);
		return;
	}
	if (!strcmp(which, "refused")) {
		add = add_refused;
		cv_table_begin(&table, CV_TABLE_HEADINGS("PREFIX", "NEXT-HOP", "FROM", "WHY"));
	} else if (!strcmp(which, "exported")) {
		add = add_exported;
		cv_table_begin(&table, CV_TABLE_HEADINGS("PREFIX", "OF"));
	} else {
		cv_table_begin(&table, CV_TABLE_HEADINGS("PREFIX", "NEXT-HOP", "NODE", "WAY", "WHY",
							 "FROM"));
	}
	json_array_foreach(routes, i, route)
	{
		add(&table, route);
	}
	cv_table_print(&table, "");
	cv_table_fini(&table);
	if (cv_member_number(result, "left_out"))
		printf("... and %lld more; name a prefix to see those in it\n",
		       cv_member_number(result, "left_out"));
}
