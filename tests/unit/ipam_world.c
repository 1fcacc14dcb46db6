/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ipam_world.h"

__be32 ipam_address(const char *text)
{
	return inet_addr(text);
}

struct cv_prefix ipam_prefix(const char *text)
{
	struct cv_prefix prefix;

	if (cv_prefix_parse(text, &prefix))
		fail_msg("%s is no prefix", text);
	return prefix;
}

struct cv_ipam_pool *ipam_world_pool(struct cv_ipam_world *world, const char *name,
				     const char *cidr, uint8_t block_size)
{
	struct cv_ipam_pool *pool;

	world->pools = reallocarray(world->pools, world->pool_count + 1, sizeof(*world->pools));
	pool = &world->pools[world->pool_count++];
	*pool = (struct cv_ipam_pool){
		.cidr = ipam_prefix(cidr),
		.block_size = block_size,
		.selects_us = true,
		.for_workload = true,
		.for_tunnel = true,
	};
	snprintf(pool->name, sizeof(pool->name), "%s", name);
	return pool;
}

struct cv_ipam_world ipam_world(const char *node, const char *pool, uint8_t block_size, bool claims)
{
	struct cv_ipam_world world = {.claims = claims};

	snprintf(world.node, sizeof(world.node), "%s", node);
	ipam_world_pool(&world, "pool", pool, block_size);
	return world;
}

static void add_prefix(struct cv_prefix **prefixes, size_t *count, const char *cidr)
{
	*prefixes = reallocarray(*prefixes, *count + 1, sizeof(**prefixes));
	(*prefixes)[(*count)++] = ipam_prefix(cidr);
}

void ipam_world_declare(struct cv_ipam_world *world, const char *cidr)
{
	add_prefix(&world->declared, &world->declared_count, cidr);
}

void ipam_world_hole(struct cv_ipam_world *world, const char *cidr)
{
	add_prefix(&world->holes, &world->hole_count, cidr);
}

void ipam_world_node(struct cv_ipam_world *world, const char *node)
{
	world->nodes = reallocarray(world->nodes, world->node_count + 1, sizeof(*world->nodes));
	snprintf(world->nodes[world->node_count++], sizeof(*world->nodes), "%s", node);
}

struct cv_ipam *ipam_open(struct cv_kv *kv, struct cv_ipam_world world)
{
	struct cv_ipam *ipam = cv_ipam_create(kv);

	assert_non_null(ipam);
	assert_int_equal(cv_ipam_configure(ipam, &world), 0);
	assert_null(world.pools);
	return ipam;
}

struct cv_ipam_result ipam_request(struct cv_ipam *ipam, struct cv_ipam_request request)
{
	struct cv_ipam_result result;
	size_t failures = cv_ipam_assign(ipam, &request, 1, &result);

	assert_int_equal(failures, result.rc != 0);
	if (result.rc)
		assert_true(*result.error.text);
	return result;
}

int ipam_assign(struct cv_ipam *ipam, const char *handle, char ret_address[CV_ADDRESS_TEXT_MAX])
{
	struct cv_ipam_result result =
		ipam_request(ipam, (struct cv_ipam_request){.handle = handle});

	if (!result.rc && ret_address)
		cv_address_format(result.address, ret_address);
	return result.rc;
}

void ipam_expect(struct cv_ipam *ipam, const char *handle, const char *address)
{
	struct cv_ipam_result result =
		ipam_request(ipam, (struct cv_ipam_request){.handle = handle});
	char text[CV_ADDRESS_TEXT_MAX];

	if (result.rc)
		fail_msg("%s: %s", handle, result.error.text);
	assert_string_equal(cv_address_format(result.address, text), address);
	assert_true(cv_prefix_has(&result.block, result.address));
}

void ipam_expect_released(struct cv_ipam *ipam, const char *handle, size_t count)
{
	struct cv_error error;
	size_t released = 0;

	if (cv_ipam_release(ipam, &handle, 1, &released, &error))
		fail_msg("%s: %s", handle, error.text);
	assert_int_equal(released, count);
}

char *ipam_document(struct cv_kv *kv, const char *key)
{
	struct cv_kv_item item = {0};

	if (cv_kv_get(kv, key, &item, NULL))
		return NULL;
	free(item.key);
	return item.value;
}

void ipam_put(struct cv_kv *kv, const char *key, const char *value)
{
	struct cv_kv_operation operation = {key, value, CV_KV_WHATEVER};

	assert_int_equal(cv_kv_commit(kv, &operation, 1, NULL, NULL), 0);
}
