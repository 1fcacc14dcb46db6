/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One node's address management without a node: src/ipam on etcd or on SQLite, for tests that need
 * many nodes, and many at once (tests/interop/ipam_nodes.py).
 *
 *     ipam_driver etcd DATASTORE.CFG
 *     ipam_driver sqlite FILE
 *
 * Reads requests, a JSON object in each line, and answers each with one line; a "mark" in the
 * request comes back in its answer.
 *
 *     {"do": "configure", "node", "strict", "claims", "max_blocks", "pools": [{"name", "cidr",
 *      "block_size"}], "declared": [CIDR], "holes": [CIDR], "nodes": [NAME]}
 *     {"do": "assign", "requests": [{"handle", "address", "repeated"}]}  -> {"results": [{"rc",
 *      "text", "address", "block", "borrowed", "was_there"}]}
 *     {"do": "release", "handles": [..]}                                -> {"count"}
 *     {"do": "release_address", "address", "handle"}
 *     {"do": "give_back"}                                               -> {"count"}
 *     {"do": "check", "fix": BOOL}  -> {"faults": [{"kind", "key", "text", "fixable"}], "fixed"}
 *
 * Every answer has "rc" (0 or -errno) and "text" (why).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "ipam/ipam.h"
#include "store/kv_etcd.h"
#include "store/kv_sqlite.h"

enum {
	REQUESTS_MAX = 128
};

static struct cv_ipam *ipam;
static char node[254];

static void die(const char *what, const char *why)
{
	fprintf(stderr, "ipam_driver: %s: %s\n", what, why);
	exit(2);
}

static struct cv_prefix prefix_of(const char *text)
{
	struct cv_prefix prefix = {0};

	if (!text || cv_prefix_parse(text, &prefix))
		die("not a prefix", text ? text : "(none)");
	return prefix;
}

static __be32 address_of(const char *text)
{
	struct cv_prefix prefix = {0};

	/* An address has no length. */
	if (text && cv_prefix_parse(text, &prefix) != -ENODATA)
		die("not an address", text);
	return prefix.address;
}

static const char *string_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static json_t *answer_of(int rc, const struct cv_error *error)
{
	return json_pack("{s:i, s:s}", "rc", rc, "text", rc ? error->text : "");
}

static json_t *counted(int rc, const struct cv_error *error, size_t count)
{
	json_t *answer = answer_of(rc, error);

	json_object_set_new(answer, "count", json_integer((json_int_t)count));
	return answer;
}

/* ---- what there is ---------------------------------------------------------------- */

static struct cv_prefix *read_prefixes(const json_t *array, size_t *ret_count)
{
	const size_t count = json_array_size(array);
	struct cv_prefix *prefixes = calloc(count + 1, sizeof(*prefixes));

	if (!prefixes)
		die("prefixes", strerror(ENOMEM));
	for (size_t i = 0; i < count; i++)
		prefixes[i] = prefix_of(json_string_value(json_array_get(array, i)));
	*ret_count = count;
	return prefixes;
}

static void read_pools(const json_t *array, struct cv_ipam_world *world)
{
	const json_t *each;
	size_t i;

	world->pool_count = json_array_size(array);
	world->pools = calloc(world->pool_count + 1, sizeof(*world->pools));
	if (!world->pools)
		die("pools", strerror(ENOMEM));
	json_array_foreach(array, i, each)
	{
		struct cv_ipam_pool *pool = &world->pools[i];

		snprintf(pool->name, sizeof(pool->name), "%s", string_of(each, "name"));
		pool->cidr = prefix_of(string_of(each, "cidr"));
		pool->block_size = (uint8_t)json_integer_value(json_object_get(each, "block_size"));
		pool->selects_us = pool->for_workload = pool->for_tunnel = true;
	}
}

static void read_nodes(const json_t *array, struct cv_ipam_world *world)
{
	world->node_count = json_array_size(array);
	world->nodes = calloc(world->node_count + 1, sizeof(*world->nodes));
	if (!world->nodes)
		die("nodes", strerror(ENOMEM));
	for (size_t i = 0; i < world->node_count; i++)
		snprintf(world->nodes[i], sizeof(world->nodes[i]), "%s",
			 json_string_value(json_array_get(array, i)));
}

static json_t *do_configure(const json_t *request)
{
	struct cv_ipam_world world = {
		.claims = json_is_true(json_object_get(request, "claims")),
		.strict_affinity = json_is_true(json_object_get(request, "strict")),
		.max_blocks = (uint32_t)json_integer_value(json_object_get(request, "max_blocks")),
	};

	snprintf(node, sizeof(node), "%s", string_of(request, "node"));
	snprintf(world.node, sizeof(world.node), "%s", node);
	read_pools(json_object_get(request, "pools"), &world);
	world.declared = read_prefixes(json_object_get(request, "declared"), &world.declared_count);
	world.holes = read_prefixes(json_object_get(request, "holes"), &world.hole_count);
	read_nodes(json_object_get(request, "nodes"), &world);
	cv_ipam_configure(ipam, &world);
	cv_ipam_world_fini(&world);
	return answer_of(0, NULL);
}

/* ---- addresses -------------------------------------------------------------------- */

static json_t *result_of(const struct cv_ipam_result *result)
{
	char address[CV_ADDRESS_TEXT_MAX], block[CV_PREFIX_TEXT_MAX];
	json_t *answer = answer_of(result->rc, &result->error);

	if (result->rc)
		return answer;
	json_object_set_new(answer, "address",
			    json_string(cv_address_format(result->address, address)));
	json_object_set_new(answer, "block", json_string(cv_prefix_format(&result->block, block)));
	json_object_set_new(answer, "borrowed", json_boolean(result->is_borrowed));
	json_object_set_new(answer, "was_there", json_boolean(result->was_there));
	return answer;
}

static json_t *do_assign(const json_t *request)
{
	static struct cv_ipam_request requests[REQUESTS_MAX];
	static struct cv_ipam_result results[REQUESTS_MAX];
	const json_t *array = json_object_get(request, "requests"), *each;
	const size_t count = json_array_size(array);
	json_t *answer, *list = json_array();
	size_t i;

	if (count > REQUESTS_MAX)
		die("assign", "too many at once");
	memset(results, 0, sizeof(results));
	json_array_foreach(array, i, each)
	{
		requests[i] = (struct cv_ipam_request){
			.handle = string_of(each, "handle"),
			.attributes = {{"node", node}, {"pod", string_of(each, "handle")}},
			.attribute_count = 2,
			.address = address_of(string_of(each, "address")),
			.is_repeated = json_is_true(json_object_get(each, "repeated")),
		};
	}
	cv_ipam_assign(ipam, requests, count, results);
	for (i = 0; i < count; i++)
		json_array_append_new(list, result_of(&results[i]));
	answer = answer_of(0, NULL);
	json_object_set_new(answer, "results", list);
	return answer;
}

static json_t *do_release(const json_t *request)
{
	const json_t *array = json_object_get(request, "handles");
	const char *handles[REQUESTS_MAX];
	struct cv_error error = {0};
	size_t count = 0, i;
	const json_t *each;
	int rc;

	if (json_array_size(array) > REQUESTS_MAX)
		die("release", "too many at once");
	json_array_foreach(array, i, each) handles[i] = json_string_value(each);
	rc = cv_ipam_release(ipam, handles, json_array_size(array), &count, &error);
	return counted(rc, &error, count);
}

static json_t *do_release_address(const json_t *request)
{
	struct cv_error error = {0};
	int rc = cv_ipam_release_address(ipam, address_of(string_of(request, "address")),
					 string_of(request, "handle"), &error);

	return answer_of(rc, &error);
}

static json_t *do_give_back(const json_t *request)
{
	struct cv_error error = {0};
	size_t count = 0;
	int rc = cv_ipam_give_back(ipam, &count, &error);

	(void)request;
	return counted(rc, &error, count);
}

static json_t *faults_of(const struct cv_ipam_view *view)
{
	json_t *list = json_array();

	for (size_t i = 0; i < view->fault_count; i++) {
		const struct cv_ipam_fault *fault = &view->faults[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:b}", "kind",
						cv_ipam_fault_name(fault->kind), "key", fault->key,
						"text", fault->text, "fixable", fault->is_fixable));
	}
	return list;
}

static json_t *do_check(const json_t *request)
{
	struct cv_ipam_view view = {0};
	struct cv_error error = {0};
	size_t fixed = 0;
	json_t *answer;
	int rc = cv_ipam_look(ipam, &view, &error);

	if (!rc && json_is_true(json_object_get(request, "fix")))
		rc = cv_ipam_fix(ipam, view.faults, view.fault_count, &fixed, &error);
	answer = answer_of(rc, &error);
	json_object_set_new(answer, "faults", faults_of(&view));
	json_object_set_new(answer, "fixed", json_integer((json_int_t)fixed));
	cv_ipam_view_fini(&view);
	return answer;
}

/* ---- requests --------------------------------------------------------------------- */

static const struct {
	const char *name;
	json_t *(*run)(const json_t *request);
} verbs[] = {
	{"configure", do_configure}, {"assign", do_assign},
	{"release", do_release},     {"release_address", do_release_address},
	{"give_back", do_give_back}, {"check", do_check},
};

static void answer_line(const char *line)
{
	json_t *request = json_loads(line, 0, NULL), *answer = NULL;
	const char *name = string_of(request, "do");

	for (size_t i = 0; name && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(name, verbs[i].name))
			answer = verbs[i].run(request);
	if (!answer)
		die("no such request", line);
	if (json_object_get(request, "mark"))
		json_object_set(answer, "mark", json_object_get(request, "mark"));
	json_dumpf(answer, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(answer);
	json_decref(request);
}

static struct cv_kv *open_kv(const char *type, const char *path)
{
	struct cv_datastore_config config;
	struct cv_error error = {0};
	struct cv_kv *kv = NULL;

	if (!strcmp(type, "sqlite")) {
		if (cv_kv_sqlite_open(path, &kv, &error))
			die(path, error.text);
		return kv;
	}
	if (cv_datastore_config_read(path, &config, &error))
		die(path, error.text);
	if (cv_kv_etcd_create(&config, NULL, &kv, &error))
		die(path, error.text);
	cv_datastore_config_fini(&config);
	return kv;
}

int main(int argc, char **argv)
{
	struct cv_kv *kv;
	char *line = NULL;
	size_t size = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: ipam_driver etcd DATASTORE.CFG\n"
				"       ipam_driver sqlite FILE\n");
		return 2;
	}
	kv = open_kv(argv[1], argv[2]);
	ipam = cv_ipam_create(kv);
	if (!ipam)
		die("ipam", strerror(ENOMEM));
	while (getline(&line, &size, stdin) > 0)
		answer_line(line);
	free(line);
	cv_ipam_destroy(ipam);
	cv_kv_destroy(kv);
	return 0;
}
