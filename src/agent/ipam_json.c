/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ipam_json.h"

#include <stdlib.h>
#include <string.h>

#include "agent/json_text.h"

/* ---- blocks ------------------------------------------------------------------------------ */

/* Addresses of it that another node than the block's has. */
static size_t count_borrowed(const struct cv_ipam_block *block)
{
	size_t count = 0;

	for (size_t i = 0; i < block->assignment_count; i++) {
		const char *node = cv_leaks_attribute(&block->assignments[i], "node");

		count += node && block->node && strcmp(node, block->node) != 0;
	}
	return count;
}

static const char *pool_of(const struct cv_intent *intent, const struct cv_prefix *prefix)
{
	const struct cv_resource *pool = cv_snapshot_pool_of_prefix(intent->snapshot, prefix);

	return pool ? pool->name : NULL;
}

static json_t *block_to_json(const struct cv_ipam_show *show, const struct cv_ipam_block *block)
{
	char cidr[CV_PREFIX_TEXT_MAX];

	return json_pack("{s:s, s:o, s:o, s:b, s:I, s:I, s:I, s:I}", "cidr",
			 cv_prefix_format(&block->cidr, cidr), "pool",
			 cv_json_text(pool_of(show->intent, &block->cidr)), "node",
			 cv_json_text(block->node), "strict", (int)block->is_strict, "assigned",
			 (json_int_t)block->assignment_count, "free", (json_int_t)block->free,
			 "holes", (json_int_t)block->holes, "borrowed",
			 (json_int_t)count_borrowed(block));
}

static json_t *blocks_to_json(const struct cv_ipam_show *show)
{
	json_t *list = json_array();

	for (size_t i = 0; i < show->view->block_count; i++)
		json_array_append_new(list, block_to_json(show, &show->view->blocks[i]));
	return list;
}

/* ---- pools ------------------------------------------------------------------------------- */

/* Sums over blocks. */
struct sum {
	json_int_t blocks, assigned, free, holes, borrowed;
};

static void add_block(struct sum *sum, const struct cv_ipam_block *block)
{
	sum->blocks++;
	sum->assigned += (json_int_t)block->assignment_count;
	sum->free += (json_int_t)block->free;
	sum->holes += (json_int_t)block->holes;
	sum->borrowed += (json_int_t)count_borrowed(block);
}

static json_t *sum_to_json(const struct sum *sum)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "blocks", sum->blocks, "assigned",
			 sum->assigned, "free", sum->free, "holes", sum->holes, "borrowed",
			 sum->borrowed);
}

static json_t *pool_to_json(const struct cv_resource *pool, const struct sum *sum)
{
	const struct cv_prefix *cidr = &pool->pool.cidr;
	json_int_t parts = (json_int_t)1 << (pool->pool.block_size - cidr->length);
	json_t *json = sum_to_json(sum);
	char text[CV_PREFIX_TEXT_MAX];

	json_object_set_new(json, "name", cv_json_text(pool->name));
	json_object_set_new(json, "cidr", json_string(cv_prefix_format(cidr, text)));
	json_object_set_new(json, "block_size", json_integer(pool->pool.block_size));
	json_object_set_new(json, "addresses", json_integer((json_int_t)1 << (32 - cidr->length)));
	json_object_set_new(json, "unclaimed",
			    json_integer(parts > sum->blocks ? parts - sum->blocks : 0));
	json_object_set_new(json, "disabled", json_boolean(pool->pool.disabled));
	return json;
}

static json_t *pools_to_json(const struct cv_ipam_show *show)
{
	size_t count;
	struct cv_resource *const *pools =
		cv_snapshot_kind(show->intent->snapshot, CV_KIND_IP_POOL, &count);
	struct sum *sums = calloc(count + 1, sizeof(*sums));
	json_t *list = json_array();

	for (size_t i = 0; sums && i < show->view->block_count; i++) {
		const struct cv_ipam_block *block = &show->view->blocks[i];
		const struct cv_resource *pool =
			cv_snapshot_pool_of_prefix(show->intent->snapshot, &block->cidr);

		for (size_t j = 0; j < count; j++) {
			if (pools[j] == pool)
				add_block(&sums[j], block);
		}
	}
	for (size_t i = 0; sums && i < count; i++)
		json_array_append_new(list, pool_to_json(pools[i], &sums[i]));
	free(sums);
	return list;
}

static json_t *own_to_json(const struct cv_ipam_show *show)
{
	struct sum sum = {0};

	for (size_t i = 0; i < show->view->block_count; i++) {
		const struct cv_ipam_block *block = &show->view->blocks[i];

		if (block->node && !strcmp(block->node, show->node))
			add_block(&sum, block);
	}
	return sum_to_json(&sum);
}

/* ---- one address ------------------------------------------------------------------------- */

static json_t *attributes_to_json(const struct cv_ipam_assignment *assignment)
{
	json_t *json = json_object();

	for (size_t i = 0; i < assignment->attribute_count; i++)
		json_object_set_new(json, assignment->attributes[i].name,
				    cv_json_text(assignment->attributes[i].value));
	return json;
}

/* Why it is nobody's. */
static void explain(const struct cv_ipam_show *show, const struct cv_ipam_block *block,
		    json_t *json)
{
	const struct cv_hole *hole = cv_overlay_hole_of(&show->intent->overlay, show->address);
	const char *state = block ? "free" : "no-block", *reason = NULL;

	if (hole) {
		state = "hole";
		reason = cv_hole_reason_text(hole->reason);
	} else if (!cv_snapshot_pool_of(show->intent->snapshot, show->address)) {
		state = "outside";
	}
	json_object_set_new(json, "state", json_string(state));
	json_object_set_new(json, "reason", cv_json_text(reason));
}

static json_t *address_to_json(const struct cv_ipam_show *show)
{
	const struct cv_ipam_block *block = cv_leaks_block_of(show->view, show->address);
	const struct cv_ipam_assignment *assignment = cv_leaks_assignment_of(block, show->address);
	const struct cv_prefix one = {show->address, 32};
	char text[CV_PREFIX_TEXT_MAX], cidr[CV_PREFIX_TEXT_MAX];
	json_t *json = json_object();

	json_object_set_new(json, "address", json_string(cv_address_format(show->address, text)));
	json_object_set_new(json, "pool", cv_json_text(pool_of(show->intent, &one)));
	json_object_set_new(json, "block",
			    cv_json_text(block ? cv_prefix_format(&block->cidr, cidr) : NULL));
	json_object_set_new(json, "block_node", cv_json_text(block ? block->node : NULL));
	if (!assignment) {
		explain(show, block, json);
		return json;
	}
	json_object_set_new(json, "state", json_string("assigned"));
	json_object_set_new(json, "handle", cv_json_text(assignment->handle));
	json_object_set_new(json, "attributes", attributes_to_json(assignment));
	return json;
}

/* ---- all ------------------------------------------------------------------------------------- */

json_t *cv_ipam_show_to_json(const struct cv_ipam_show *show)
{
	json_t *json = json_object();

	json_object_set_new(json, "node", cv_json_text(show->node));
	json_object_set_new(json, "store", json_string(show->is_etcd ? "etcd" : "file"));
	if (show->address) {
		json_object_set_new(json, "address", address_to_json(show));
		return json;
	}
	json_object_set_new(json, "pools", pools_to_json(show));
	json_object_set_new(json, "own", own_to_json(show));
	if (show->blocks)
		json_object_set_new(json, "blocks", blocks_to_json(show));
	return json;
}

static json_t *leak_to_json(const struct cv_leak *leak, int64_t now_us)
{
	char address[CV_ADDRESS_TEXT_MAX];

	return json_pack(
		"{s:s, s:o, s:o, s:o, s:o, s:b, s:I, s:I, s:b}", "code", leak->code, "address",
		cv_json_text(leak->address ? cv_address_format(leak->address, address) : NULL),
		"handle", cv_json_text(leak->handle), "text", cv_json_text(leak->text), "remedy",
		cv_json_text_or_null(leak->remedy), "fixable", (int)leak->is_fixable,
		"observations", (json_int_t)leak->observations, "wait_s",
		(json_int_t)cv_leak_wait_s(leak, now_us), "fixed", 0);
}

json_t *cv_leaks_to_json(const struct cv_leaks *leaks, int64_t now_us)
{
	json_t *list = json_array();

	for (size_t i = 0; i < leaks->count; i++)
		json_array_append_new(list, leak_to_json(&leaks->items[i], now_us));
	return list;
}

/* ---- pods -------------------------------------------------------------------------------- */

bool cv_pod_endpoint(const struct cv_pod *pod, const struct cv_endpoint_set *endpoints,
		     struct cv_endpoint_status *ret_status)
{
	const struct cv_endpoint_config *config =
		*pod->device ? cv_endpoint_set_find(endpoints, pod->device) : NULL;

	for (size_t i = 0; config && i < cv_endpoint_set_count(endpoints); i++) {
		if (cv_endpoint_set_config(endpoints, i) != config)
			continue;
		cv_endpoint_set_status(endpoints, i, ret_status);
		return true;
	}
	return false;
}

void cv_pod_add_bypass(const struct cv_pod *pod, const struct cv_endpoint_set *endpoints,
		       json_t *json)
{
	struct cv_endpoint_status status = {.reason = ""};
	bool is_there = cv_pod_endpoint(pod, endpoints, &status);
	bool is_bypassed = is_there && status.in_force;
	const char *reason = status.reason;

	if (!is_there)
		reason = pod->bypass == CV_ENDPOINT_BYPASS_OFF ? "its network says so"
			 : pod->state == CV_POD_ATTACHED       ? "it is no endpoint (yet)"
							       : "";
	else if (!status.wanted)
		reason = "it is not wanted: by its network, or culvert endpoint default";
	json_object_set_new(json, "bypassed", json_boolean(is_bypassed));
	json_object_set_new(json, "reason",
			    is_bypassed ? json_null() : cv_json_text_or_null(reason));
}
