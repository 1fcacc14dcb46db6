/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ipam_text.h"

#include <stdio.h>
#include <string.h>

#include "cli/member.h"
#include "cli/table.h"

enum {
	CONTAINER_SHOWN = 12, /* characters of a container's id, as runtimes print it */
};

static const char *or_else(const char *text, const char *otherwise)
{
	return text ? text : otherwise;
}

/* ---- show -------------------------------------------------------------------------------- */

static void add_counts(struct cv_table *table, const json_t *json)
{
	cv_table_addf(table, "%lld", cv_member_number(json, "assigned"));
	cv_table_addf(table, "%lld", cv_member_number(json, "free"));
	cv_table_addf(table, "%lld", cv_member_number(json, "holes"));
	cv_table_addf(table, "%lld", cv_member_number(json, "borrowed"));
}

/* Of blocks that others have without etcd, nobody here knows. */
static void print_pools(const json_t *pools, bool is_etcd)
{
	struct cv_table table;
	const json_t *pool;
	size_t i;

	if (!json_array_size(pools)) {
		puts("no pools: there is no IPPool");
		return;
	}
	cv_table_begin(&table, CV_TABLE_HEADINGS("POOL", "CIDR", "BLOCKS", "ASSIGNED", "FREE",
						 "HOLES", "BORROWED", "UNCLAIMED"));
	json_array_foreach(pools, i, pool)
	{
		cv_table_addf(&table, "%s%s", or_else(cv_member_text(pool, "name"), "?"),
			      cv_member_is_true(pool, "disabled") ? " (disabled)" : "");
		cv_table_add(&table, cv_member_text(pool, "cidr"));
		cv_table_addf(&table, "%lld", cv_member_number(pool, "blocks"));
		add_counts(&table, pool);
		if (is_etcd)
			cv_table_addf(&table, "%lld blocks of /%lld",
				      cv_member_number(pool, "unclaimed"),
				      cv_member_number(pool, "block_size"));
		else
			cv_table_add(&table, NULL);
	}
	cv_table_print(&table, "");
	cv_table_fini(&table);
}

static void print_blocks(const json_t *blocks)
{
	struct cv_table table;
	const json_t *block;
	size_t i;

	if (!json_is_array(blocks))
		return;
	if (!json_array_size(blocks)) {
		puts("no blocks");
		return;
	}
	cv_table_begin(&table, CV_TABLE_HEADINGS("BLOCK", "NODE", "POOL", "ASSIGNED", "FREE",
						 "HOLES", "BORROWED"));
	json_array_foreach(blocks, i, block)
	{
		cv_table_add(&table, cv_member_text(block, "cidr"));
		cv_table_addf(&table, "%s%s", or_else(cv_member_text(block, "node"), "-"),
			      cv_member_is_true(block, "strict") ? " (strict)" : "");
		cv_table_add(&table, cv_member_text(block, "pool"));
		add_counts(&table, block);
	}
	cv_table_print(&table, "");
	cv_table_fini(&table);
}

static void print_place(const json_t *address)
{
	const char *pool = cv_member_text(address, "pool");

	if (cv_member_text(address, "block"))
		printf(", in block %s of %s%s", cv_member_text(address, "block"),
		       cv_member_text(address, "block_node") ? "node " : "",
		       or_else(cv_member_text(address, "block_node"), "nobody"));
	if (pool)
		printf(", pool %s", pool);
	putchar('\n');
}

static void print_address(const json_t *address)
{
	const char *state = or_else(cv_member_text(address, "state"), "?"), *name;
	json_t *attributes = json_object_get(address, "attributes");
	const json_t *value;

	printf("%s: ", or_else(cv_member_text(address, "address"), "?"));
	if (!strcmp(state, "hole"))
		printf("never assigned (%s)", or_else(cv_member_text(address, "reason"), "?"));
	else if (!strcmp(state, "outside"))
		printf("in no pool");
	else if (!strcmp(state, "no-block"))
		printf("in no block that is known here");
	else
		printf("%s", state);
	print_place(address);
	if (cv_member_text(address, "handle"))
		printf("    handle: %s\n", cv_member_text(address, "handle"));
	json_object_foreach(attributes, name, value)
	{
		printf("    %s: %s\n", name, or_else(json_string_value(value), "?"));
	}
}

void cv_ipam_text_show(const json_t *result)
{
	const json_t *own = json_object_get(result, "own");
	const char *store = or_else(cv_member_text(result, "store"), "?");
	bool is_etcd = !strcmp(store, "etcd");

	if (json_is_object(json_object_get(result, "address"))) {
		print_address(json_object_get(result, "address"));
		return;
	}
	printf("node %s, store %s: blocks %lld, assigned %lld, free %lld\n",
	       or_else(cv_member_text(result, "node"), "?"), store, cv_member_number(own, "blocks"),
	       cv_member_number(own, "assigned"), cv_member_number(own, "free"));
	print_pools(json_object_get(result, "pools"), is_etcd);
	print_blocks(json_object_get(result, "blocks"));
	if (!is_etcd)
		puts("of this node alone: with files, each node keeps its own addresses");
}

/* ---- check ------------------------------------------------------------------------------- */

size_t cv_ipam_text_wrong(const json_t *result)
{
	const json_t *findings = json_object_get(result, "findings"), *finding;
	size_t i, count = 0;

	json_array_foreach(findings, i, finding)
	{
		count += !cv_member_is_true(finding, "fixed");
	}
	return count;
}

/* What can be mended, but not yet, is worth another look. */
static void print_finding(const json_t *finding)
{
	bool is_fixed = cv_member_is_true(finding, "fixed"),
	     is_fixable = cv_member_is_true(finding, "fixable");
	const char *level = is_fixed				  ? "mended"
			    : !is_fixable			  ? "wrong"
			    : cv_member_number(finding, "wait_s") ? "seen"
								  : "ripe";

	printf("%-7s %s: %s\n", level, or_else(cv_member_text(finding, "code"), "?"),
	       or_else(cv_member_text(finding, "text"), "?"));
	if (!is_fixed && cv_member_text(finding, "remedy"))
		printf("%-7s remedy: %s\n", "", cv_member_text(finding, "remedy"));
}

/* The longest wait; and how many wait, how many could be mended at once. */
static void conclude(const json_t *findings, size_t wrong, bool has_fixed)
{
	long long wait_s = 0;
	size_t i, ripe = 0, waiting = 0, fixed = 0;
	const json_t *finding;

	json_array_foreach(findings, i, finding)
	{
		long long own_s = cv_member_number(finding, "wait_s");

		if (cv_member_is_true(finding, "fixed")) {
			fixed++;
		} else if (cv_member_is_true(finding, "fixable")) {
			ripe += !own_s;
			waiting += own_s > 0;
			wait_s = own_s > wait_s ? own_s : wait_s;
		}
	}
	printf("wrong: %zu", wrong);
	if (has_fixed)
		printf(", mended: %zu", fixed);
	putchar('\n');
	if (waiting)
		printf("nothing is mended before it was seen wrong at two looks: "
		       "culvert ipam check --fix again in %lld s\n",
		       wait_s);
	else if (ripe && !has_fixed)
		puts("culvert ipam check --fix mends what is ripe");
}

size_t cv_ipam_text_check(const json_t *result, bool has_fixed)
{
	const json_t *findings = json_object_get(result, "findings"), *finding;
	size_t i, wrong = cv_ipam_text_wrong(result);

	json_array_foreach(findings, i, finding)
	{
		print_finding(finding);
	}
	if (json_array_size(findings))
		conclude(findings, wrong, has_fixed);
	else
		puts("nothing is wrong");
	return wrong;
}

/* ---- release, reserve -------------------------------------------------------------------- */

void cv_ipam_text_release(const json_t *result)
{
	long long count = cv_member_number(result, "released");

	printf("released %lld address%s\n", count, count == 1 ? "" : "es");
}

void cv_ipam_text_reserve(const json_t *result)
{
	printf("%s %s reserved, in block %s; its handle is %s\n",
	       or_else(cv_member_text(result, "address"), "?"),
	       cv_member_is_true(result, "was_there") ? "was already" : "is",
	       or_else(cv_member_text(result, "block"), "?"),
	       or_else(cv_member_text(result, "handle"), "?"));
}

/* ---- pods -------------------------------------------------------------------------------- */

static void add_addresses(struct cv_table *table, const json_t *addresses)
{
	char text[256] = "";
	const json_t *address;
	size_t i, length = 0;

	json_array_foreach(addresses, i, address)
	{
		int n = snprintf(text + length, sizeof(text) - length, "%s%s", i ? "," : "",
				 or_else(json_string_value(address), "?"));

		if (n < 0 || (size_t)n >= sizeof(text) - length)
			break;
		length += (size_t)n;
	}
	cv_table_add(table, text);
}

static void add_pod(struct cv_table *table, const json_t *pod)
{
	const json_t *of = json_object_get(pod, "pod");
	const char *name_space = cv_member_text(of, "namespace"),
		   *name = cv_member_text(of, "name");
	const char *reason = cv_member_text(pod, "reason");

	if (name)
		cv_table_addf(table, "%s%s%s", or_else(name_space, ""), name_space ? "/" : "",
			      name);
	else
		cv_table_add(table, NULL);
	cv_table_addf(table, "%.*s", CONTAINER_SHOWN,
		      or_else(cv_member_text(pod, "container"), "?"));
	cv_table_add(table, cv_member_text(pod, "network"));
	cv_table_add(table, cv_member_text(pod, "interface"));
	add_addresses(table, json_object_get(pod, "addresses"));
	if (cv_member_text(pod, "bridge"))
		cv_table_addf(table, "%s (%s)", or_else(cv_member_text(pod, "device"), "-"),
			      cv_member_text(pod, "bridge"));
	else
		cv_table_add(table, cv_member_text(pod, "device"));
	cv_table_add(table, cv_member_text(pod, "state"));
	if (cv_member_is_true(pod, "bypassed"))
		cv_table_add(table, "on");
	else
		cv_table_addf(table, "off%s%s", reason ? ": " : "", or_else(reason, ""));
}

void cv_ipam_text_pods(const json_t *result)
{
	const json_t *pods = json_object_get(result, "pods"), *pod;
	struct cv_table table;
	size_t i;

	if (!json_array_size(pods)) {
		puts("no pods: nothing was attached by culvert-cni");
		return;
	}
	cv_table_begin(&table, CV_TABLE_HEADINGS("POD", "CONTAINER", "NETWORK", "IF", "ADDRESSES",
						 "DEVICE", "STATE", "BYPASS"));
	json_array_foreach(pods, i, pod)
	{
		add_pod(&table, pod);
	}
	cv_table_print(&table, "");
	cv_table_fini(&table);
}

/* ---- status ------------------------------------------------------------------------------ */

void cv_ipam_text_summary(const json_t *status)
{
	static const char *const problems[] = {"problem", "migration", "registration"};
	const json_t *addresses = json_object_get(status, "addresses");

	if (cv_member_number(status, "pods") || cv_member_number(addresses, "blocks") ||
	    cv_member_number(addresses, "assigned"))
		printf("pods %lld; addresses (%s): blocks %lld; assigned %lld, released %lld, "
		       "failed %lld since the start\n",
		       cv_member_number(status, "pods"),
		       or_else(cv_member_text(addresses, "store"), "none"),
		       cv_member_number(addresses, "blocks"),
		       cv_member_number(addresses, "assigned"),
		       cv_member_number(addresses, "released"),
		       cv_member_number(addresses, "failed"));
	for (size_t i = 0; i < sizeof(problems) / sizeof(problems[0]); i++) {
		if (cv_member_text(addresses, problems[i]))
			printf("addresses: %s\n", cv_member_text(addresses, problems[i]));
	}
}
