/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert status`: the daemon, this node, and what it knows of others. */
#include "cli/status.h"

#include <stdio.h>
#include <string.h>

#include "cli/bgp_text.h"
#include "cli/client.h"
#include "cli/ipam_text.h"
#include "cli/member.h"
#include "cli/show.h"
#include "cli/table.h"

enum {
	PEERS_MAX = 32,
	WARNINGS_MAX = 16 /* that are listed without -s */
};

static const char *or_else(const char *text, const char *otherwise)
{
	return text ? text : otherwise;
}

/* ---- what was there before nodes -------------------------------------------------- */

static void print_daemon(const json_t *status)
{
	const char *kernel_tunnel = cv_member_text(status, "kernel_tunnel");

	printf("culvertd %s, process %lld, run directory %s, workers %lld, tunnels %lld\n",
	       cv_member_text(status, "version"), cv_member_number(status, "pid"),
	       cv_member_text(status, "run_dir"), cv_member_number(status, "workers"),
	       cv_member_number(status, "tunnels"));
	cv_show_fastpath(json_object_get(status, "fastpath"), "");
	printf("endpoints %lld, bypass %s by default, packets between them %lld\n",
	       cv_member_number(status, "endpoints"), cv_member_text(status, "default_bypass"),
	       cv_member_number(status, "local_packets"));
	if (kernel_tunnel)
		printf("kernel tunnel %s is up and takes protocol 4 as well\n", kernel_tunnel);
	cv_show_reasons(json_object_get(status, "counters"), "    ");
}

/* ---- this node -------------------------------------------------------------------- */

static void print_node(const json_t *node)
{
	const char *address = cv_member_text(node, "address");
	const char *how = cv_member_text(node, "how");
	const char *problem = cv_member_text(node, "problem");

	if (!node)
		return;
	printf("node %s: ", or_else(cv_member_text(node, "name"), "?"));
	if (address)
		printf("%s%s%s%s\n", address, how ? " (" : "", or_else(how, ""), how ? ")" : "");
	else
		puts("no address");
	if (problem)
		printf("    problem: %s\n", problem);
}

static void print_store(const json_t *store)
{
	const char *problem = cv_member_text(store, "problem");

	if (!store)
		return;
	printf("store %s: resources %lld, digest %s\n",
	       or_else(cv_member_text(store, "datastore"),
		       or_else(cv_member_text(store, "directory"), "?")),
	       cv_member_number(store, "resources"), or_else(cv_member_text(store, "digest"), "?"));
	if (problem)
		printf("    not in force, the last good state is: %s\n", problem);
}

static void print_pools(const json_t *pools)
{
	struct cv_table table;
	const json_t *pool;
	size_t i;

	cv_table_init(&table, 6);
	json_array_foreach(pools, i, pool)
	{
		cv_table_addf(&table, "pool %s", or_else(cv_member_text(pool, "name"), "?"));
		cv_table_add(&table, cv_member_text(pool, "cidr"));
		cv_table_add(&table, cv_member_text(pool, "ipip_mode"));
		cv_table_add(&table, json_is_true(json_object_get(pool, "nat_outgoing"))
					     ? "NAT outgoing"
					     : "no NAT");
		cv_table_addf(&table, "blocks %lld", cv_member_number(pool, "blocks"));
		cv_table_add(&table, json_is_true(json_object_get(pool, "disabled")) ? "disabled"
										     : "enabled");
	}
	cv_table_print(&table, "");
	cv_table_fini(&table);
}

/* endpoint_mtu: of new endpoints; said where it is not the device's. */
static void print_pool_device(const json_t *device, long long endpoint_mtu)
{
	const char *how = cv_member_text(device, "mtu_how");
	const char *problem = cv_member_text(device, "problem");
	const char *no_fastpath = cv_member_text(device, "no_fastpath");

	if (!json_is_object(device))
		return;
	printf("pool device %s: %s, address %s, mtu %lld%s%s%s",
	       or_else(cv_member_text(device, "name"), "?"),
	       or_else(cv_member_text(device, "state"), "?"),
	       or_else(cv_member_text(device, "address"), "none"), cv_member_number(device, "mtu"),
	       how ? " (" : "", or_else(how, ""), how ? ")" : "");
	if (endpoint_mtu && endpoint_mtu != cv_member_number(device, "mtu"))
		printf(", for new endpoints %lld", endpoint_mtu);
	putchar('\n');
	if (problem)
		printf("    problem: %s\n", problem);
	if (no_fastpath)
		printf("    the engine carries it: %s\n", no_fastpath);
}

/* ---- others ------------------------------------------------------------------------ */

static void add_peer(struct cv_table *table, const json_t *peer)
{
	cv_table_addf(table, "peer %s", or_else(cv_member_text(peer, "name"), "?"));
	cv_table_add(table, cv_member_text(peer, "address"));
	cv_table_add(table, cv_member_text(peer, "path"));
	cv_table_addf(table, "prefixes %lld (tunnel %lld, direct %lld, underlay %lld)",
		      cv_member_number(peer, "prefixes"), cv_member_number(peer, "tunnelled"),
		      cv_member_number(peer, "direct"), cv_member_number(peer, "underlay"));
	cv_table_add(table, cv_member_text(peer, "reason"));
}

static void add_counters(struct cv_table *table, const json_t *peer)
{
	const json_t *counters = json_object_get(peer, "counters");

	if (json_is_object(counters))
		cv_table_addf(table, "rx packets %lld bytes %lld, tx packets %lld bytes %lld",
			      cv_member_number(counters, "rx_packets"),
			      cv_member_number(counters, "rx_bytes"),
			      cv_member_number(counters, "tx_packets"),
			      cv_member_number(counters, "tx_bytes"));
	else
		cv_table_add(table, NULL);
}

/* More than a screen of them is summed up, unless -s asks for all. */
static void print_peers(const struct cv_cli *cli, const json_t *peers)
{
	size_t count = json_array_size(peers);
	size_t shown = cli->statistics || count <= PEERS_MAX ? count : PEERS_MAX;
	struct cv_table table;

	if (!json_is_array(peers))
		return;
	if (!count)
		puts("peers: none; no other nodes known");
	cv_table_init(&table, cli->statistics ? 6 : 5);
	for (size_t i = 0; i < shown; i++) {
		add_peer(&table, json_array_get(peers, i));
		if (cli->statistics)
			add_counters(&table, json_array_get(peers, i));
	}
	cv_table_print(&table, "");
	cv_table_fini(&table);
	if (shown < count)
		printf("... and %zu peers more: culvert -s status lists all\n", count - shown);
}

static void print_kernel(const json_t *status)
{
	const json_t *routes = json_object_get(status, "routes");
	const json_t *nat = json_object_get(status, "nat");
	const char *failure = cv_member_text(routes, "first_failure");
	const char *problem = cv_member_text(nat, "problem");

	if (routes) {
		printf("routes: wanted %lld, failed %lld\n", cv_member_number(routes, "wanted"),
		       cv_member_number(routes, "failed"));
		if (failure)
			printf("    %s\n", failure);
	}
	if (nat)
		printf("NAT: %s%s%s\n",
		       !json_is_true(json_object_get(nat, "wanted"))	 ? "off"
		       : json_is_false(json_object_get(nat, "in_force")) ? "not in force"
									 : "on",
		       problem ? "; problem: " : "", or_else(problem, ""));
}

/* What is wrong is told in sentences; of the rest, the numbers. */
static void print_paths(const json_t *paths)
{
	const json_t *problems = json_object_get(paths, "problems"), *problem;
	size_t i;

	if (!cv_member_number(paths, "count"))
		return;
	printf("paths %lld: up %lld, down %lld, blocked %lld; MTU complete %lld, search %lld, "
	       "error %lld, disabled %lld\n",
	       cv_member_number(paths, "count"), cv_member_number(paths, "up"),
	       cv_member_number(paths, "down"), cv_member_number(paths, "blocked"),
	       cv_member_number(paths, "complete"), cv_member_number(paths, "search"),
	       cv_member_number(paths, "error"), cv_member_number(paths, "disabled"));
	json_array_foreach(problems, i, problem)
	{
		printf("    problem: %s\n", or_else(json_string_value(problem), "?"));
	}
}

/* Those of the node come first; an export of Calico's has dozens of fields that are not acted on.
 */
static void print_warnings(const struct cv_cli *cli, const json_t *warnings)
{
	size_t count = json_array_size(warnings);
	size_t shown = cli->statistics || count <= WARNINGS_MAX ? count : WARNINGS_MAX;

	for (size_t i = 0; i < shown; i++)
		printf("warning: %s\n",
		       or_else(json_string_value(json_array_get(warnings, i)), "?"));
	if (shown < count)
		printf("... and %zu warnings more: culvert -s status lists all\n", count - shown);
}

/* ---- all --------------------------------------------------------------------------- */

static int print_status(const struct cv_cli *cli, const json_t *status, void *data)
{
	(void)data;
	if (!cv_member_text(status, "version") || !cv_member_text(status, "run_dir") ||
	    !cv_member_text(status, "default_bypass"))
		return cv_show_no_sense(cli);
	if (cli->json) {
		cv_show_json(status);
		return CV_CLI_DONE;
	}
	print_daemon(status);
	print_node(json_object_get(status, "node"));
	print_store(json_object_get(status, "store"));
	print_pools(json_object_get(status, "pools"));
	cv_ipam_text_summary(status);
	print_pool_device(json_object_get(status, "pool_device"),
			  cv_member_number(status, "endpoint_mtu"));
	print_peers(cli, json_object_get(status, "peers"));
	print_paths(json_object_get(status, "paths"));
	print_kernel(status);
	cv_bgp_text_summary(json_object_get(status, "bgp"));
	print_warnings(cli, json_object_get(status, "warnings"));
	return CV_CLI_DONE;
}

static const char usage[] =
	"Usage: culvert [ -js ] status\n"
	"\n"
	"Prints how culvertd and its fast path are, which node this is, pools, peers with the path "
	"to each\n"
	"and why, and warnings. -s: all peers and warnings, and counters. See culvert(8).\n";

int cv_status_main(const struct cv_cli *cli)
{
	if (cli->help || (cli->count == 2 && !strcmp(cli->words[1], "help"))) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	if (cli->count > 1)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "status: unknown word \"%.64s\"; leave it out", cli->words[1]);
	return cv_client_run(cli, "status", json_object(), print_status, NULL);
}
