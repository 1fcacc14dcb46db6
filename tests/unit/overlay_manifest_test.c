/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From words to the overlay: what cv_overlay_plan prints is a manifest without warnings, and the
 * snapshot of it has none either, whatever the nodes are called.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/overlay_plan.h"
#include "model/snapshot.h"

static void check(const char *pool, const char *const *words, size_t count)
{
	struct cv_overlay_plan_node nodes[8];
	struct cv_overlay_plan_input input;
	struct cv_manifest manifest;
	struct cv_snapshot *snapshot;
	struct cv_error error;
	char *yaml;

	cv_overlay_plan_init(&input);
	input.nodes = nodes;
	assert_int_equal(cv_overlay_plan_parse_pool(pool, &input, &error), 0);
	for (; input.node_count < count; input.node_count++)
		assert_int_equal(cv_overlay_plan_parse_node(words[input.node_count],
							    &nodes[input.node_count], &error),
				 0);
	assert_int_equal(cv_overlay_plan(&input, &yaml, &error), 0);
	if (cv_manifest_parse("plan.yaml", yaml, strlen(yaml), &manifest, &error))
		fail_msg("%s\n%s", error.text, yaml);
	if (manifest.warnings.count)
		fail_msg("%s\n%s", manifest.warnings.texts[0], yaml);
	assert_int_equal(manifest.count, 1 + 2 * count);
	if (cv_snapshot_create(manifest.resources, manifest.count, &snapshot, &error))
		fail_msg("%s", error.text);
	assert_int_equal(snapshot->warnings.count, 0);
	assert_int_equal(snapshot->claim_count, count);
	for (size_t i = 0; i < count; i++) {
		const struct cv_resource *node =
			cv_snapshot_find(snapshot, CV_KIND_NODE, nodes[i].name);

		assert_non_null(node);
		assert_int_equal(node->node.address, nodes[i].address);
		assert_int_equal(node->node.prefix_length, nodes[i].prefix_length);
		assert_true(node->node.has_prefix && node->node.tunnel_address);
	}
	cv_snapshot_put(snapshot);
	cv_manifest_fini(&manifest);
	free(yaml);
}

static void test_plan_is_a_manifest(void **state)
{
	static const char *const two[] = {"a1=192.168.100.1/24", "b1=192.168.200.2/24"};
	static const char *const odd[] = {"1=10.1.0.1/24",	    "true=10.1.0.2/32",
					  "0x1f=10.1.0.3/24",	    "1e3=10.1.0.4/24",
					  "null=10.1.0.5/24",	    "n=10.1.0.6/24",
					  "2026-01-01=10.1.0.7/24", "z.example.org=10.1.0.8/31"};

	(void)state;
	check("10.244.0.0/16", two, 2);
	check("192.168.0.0/16", two, 2);
	check("10.244.0.0/29", two, 2);
	check("10.0.0.0/8", odd, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plan_is_a_manifest),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
