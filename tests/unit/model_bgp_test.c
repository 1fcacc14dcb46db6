/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BGPConfiguration, BGPPeer, BGPFilter: how they are decoded, what is passed over or warned of, and
 * what a snapshot makes of them. What is refused stands in manifest_bad_bgp.h.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/manifest.h"
#include "model/snapshot.h"
#include "manifest_bad_bgp.h"
#include "manifest_good.h"
#include "manifests.h"

#define HEAD(kind, name) \
	"apiVersion: projectcalico.org/v3\nkind: " kind "\nmetadata: {name: " name "}\nspec: "

static struct cv_error error;

/* All warnings of a manifest, one after the other. */
static void assert_warnings(const struct cv_messages *warnings, const char *text)
{
	char all[4096] = "";

	for (size_t i = 0; i < warnings->count; i++) {
		strcat(all, i ? "\n" : "");
		strcat(all, warnings->texts[i]);
	}
	assert_string_equal(all, text);
}

static void refuses_in_these_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(manifest_bad_bgp) / sizeof(manifest_bad_bgp[0]); i++) {
		struct cv_manifest m;
		size_t length = strlen(manifest_bad_bgp[i].text);
		char *copy = malloc(length); /* the sanitizer sees reads behind it */

		memcpy(copy, manifest_bad_bgp[i].text, length);
		if (cv_manifest_parse("f.yaml", copy, length, &m, &error) != -EINVAL)
			fail_msg("taken: %s", manifest_bad_bgp[i].text);
		free(copy);
		assert_memory_equal(error.text, "f.yaml:", 7);
		assert_string_equal(error.text + 7, manifest_bad_bgp[i].message);
	}
}

/* ---- decoding -------------------------------------------------------------------- */

static void decodes_a_configuration(void **state)
{
	struct cv_manifest m = parse(EVERY_BGP_KIND);
	const struct cv_bgp_configuration *bgp = m.resources[0]->bgp_configuration;

	(void)state;
	assert_int_equal(m.warnings.count, 0);
	assert_int_equal(bgp->as_number, 64513);
	assert_true(bgp->has_mesh && bgp->mesh);
	assert_int_equal(bgp->listen_port, 1790);
	assert_true(bgp->has_bind_mode);
	assert_int_equal(bgp->bind_mode, CV_BGP_BIND_NODE_IP);
	assert_string_equal(bgp->mesh_password.name, "mesh");
	assert_string_equal(bgp->mesh_password.key, "Pass_word.1");
	assert_true(bgp->has_mesh_restart_time);
	assert_int_equal(bgp->mesh_restart_time_s, 120);
	assert_true(bgp->has_program_cluster_routes);
	assert_false(bgp->program_cluster_routes);
	assert_int_equal(bgp->ignored_interface_count, 2);
	assert_string_equal(bgp->ignored_interfaces[0], "docker*");
	assert_string_equal(bgp->ignored_interfaces[1], "br-0");
	assert_round_trip(&m);
	cv_manifest_fini(&m);
}

static void decodes_an_empty_configuration(void **state)
{
	struct cv_manifest m = parse(HEAD("BGPConfiguration", "node.a1") "{}\n");
	const struct cv_bgp_configuration *bgp = m.resources[0]->bgp_configuration;
	static const struct cv_bgp_configuration nothing;

	(void)state;
	assert_memory_equal(bgp, &nothing, sizeof(nothing));
	assert_round_trip(&m);
	cv_manifest_fini(&m);
}

static void decodes_a_peer(void **state)
{
	struct cv_manifest m = parse(EVERY_BGP_KIND);
	const struct cv_bgp_peer *peer = m.resources[1]->bgp_peer;

	(void)state;
	assert_null(peer->node);
	assert_string_equal(peer->node_selector, "rack == 'a'");
	assert_int_equal(peer->address, inet_addr("192.0.2.1"));
	assert_int_equal(peer->port, 1790);
	assert_null(peer->peer_selector);
	assert_int_equal(peer->as_number, 65001);
	assert_int_equal(peer->local_as_number, 4227858433U);
	assert_string_equal(peer->password.name, "bgp.tor");
	assert_string_equal(peer->password.key, "a");
	assert_false(peer->use_node_ip);
	assert_int_equal(peer->next_hop_mode, CV_BGP_NEXT_HOP_SELF);
	assert_true(peer->has_restart_time);
	assert_int_equal(peer->restart_time_s, 90);
	assert_int_equal(peer->keepalive_s, 1);
	assert_int_equal(peer->ttl_security, 254);
	assert_int_equal(peer->allowed_local_as, 3);
	assert_int_equal(peer->reachable_by, inet_addr("192.0.2.254"));
	assert_int_equal(peer->filter_count, 2);
	assert_string_equal(peer->filters[0], "first");
	assert_string_equal(peer->filters[1], "then");
	cv_manifest_fini(&m);
}

static void decodes_a_peer_of_nodes(void **state)
{
	struct cv_manifest m = parse(HEAD("BGPPeer", "rr") "{node: a1, peerSelector: has(rr), "
							   "nodeSelector: \"\", peerIP: \"\"}\n");
	const struct cv_bgp_peer *peer = m.resources[0]->bgp_peer;

	(void)state;
	assert_string_equal(peer->node, "a1");
	assert_null(peer->node_selector);
	assert_string_equal(peer->peer_selector, "has(rr)");
	assert_int_equal(peer->address, 0);
	assert_int_equal(peer->port, 0);
	assert_null(peer->password.name);
	assert_true(peer->use_node_ip);
	assert_int_equal(peer->next_hop_mode, CV_BGP_NEXT_HOP_AUTO);
	assert_false(peer->has_restart_time);
	assert_int_equal(peer->keepalive_s, 0);
	assert_round_trip(&m);
	cv_manifest_fini(&m);
}

/* keepOriginalNextHop, the old word; false beside nextHopMode says nothing. */
static void takes_the_old_word_for_keep(void **state)
{
	static const struct {
		const char *spec;
		enum cv_bgp_next_hop_mode mode;
	} cases[] = {
		{"{peerIP: 192.0.2.1, keepOriginalNextHop: true}", CV_BGP_NEXT_HOP_KEEP},
		{"{peerIP: 192.0.2.1, keepOriginalNextHop: false}", CV_BGP_NEXT_HOP_AUTO},
		{"{peerIP: 192.0.2.1, keepOriginalNextHop: false, nextHopMode: Self}",
		 CV_BGP_NEXT_HOP_SELF},
		{"{peerIP: 192.0.2.1, nextHopMode: Keep}", CV_BGP_NEXT_HOP_KEEP},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512];
		struct cv_manifest m;

		snprintf(text, sizeof(text), HEAD("BGPPeer", "p") "%s\n", cases[i].spec);
		m = parse(text);
		assert_int_equal(m.resources[0]->bgp_peer->next_hop_mode, cases[i].mode);
		assert_round_trip(&m);
		cv_manifest_fini(&m);
	}
}

static void decodes_a_filter(void **state)
{
	struct cv_manifest m = parse(EVERY_BGP_KIND);
	const struct cv_bgp_filter *filter = &m.resources[2]->bgp_filter;
	const struct cv_bgp_filter_rule *rule = filter->export_rules;

	(void)state;
	assert_int_equal(filter->export_count, 2);
	assert_int_equal(rule->match, CV_BGP_MATCH_IN);
	assert_int_equal(rule->cidr.address, inet_addr("10.244.0.0"));
	assert_int_equal(rule->cidr.length, 16);
	assert_true(rule->has_lengths && rule->remote_peers && !rule->accept);
	assert_int_equal(rule->length_min, 20);
	assert_int_equal(rule->length_max, 26);
	assert_string_equal(rule->interface, "eth*");
	rule++;
	assert_int_equal(rule->match, CV_BGP_MATCH_ANY);
	assert_true(rule->accept && !rule->has_lengths && !rule->remote_peers);
	assert_string_equal(rule->interface, "");
	assert_int_equal(filter->import_count, 1);
	assert_int_equal(filter->import_rules->match, CV_BGP_MATCH_NOT_EQUAL);
	assert_int_equal(filter->import_rules->cidr.length, 24);
	cv_manifest_fini(&m);
}

/* The ends that are not given; nothing within a cidr is shorter than itself. */
static void decodes_lengths(void **state)
{
	static const struct {
		const char *lengths;
		uint8_t min, max;
	} cases[] = {
		{"{}", 16, 32},
		{"{min: 24}", 24, 32},
		{"{max: 24}", 16, 24},
		{"{min: 3}", 16, 32},
		{"{min: 16, max: 16}", 16, 16},
		{"{min: 32, max: 32}", 32, 32},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512];
		struct cv_manifest m;
		const struct cv_bgp_filter_rule *rule;

		snprintf(text, sizeof(text),
			 HEAD("BGPFilter", "f") "{importV4: [{action: Accept, cidr: 10.1.0.0/16, "
						"matchOperator: NotIn, prefixLength: %s}]}\n",
			 cases[i].lengths);
		m = parse(text);
		rule = m.resources[0]->bgp_filter.import_rules;
		assert_true(rule->has_lengths);
		assert_int_equal(rule->length_min, cases[i].min);
		assert_int_equal(rule->length_max, cases[i].max);
		assert_round_trip(&m);
		cv_manifest_fini(&m);
	}
}

/* ---- what is not acted on -------------------------------------------------------- */

static void passes_over_what_is_not_ours(void **state)
{
	struct cv_manifest m =
		parse(HEAD("BGPPeer", "a") "{peerIP: \"fd00::1\", asNumber: 1}\n---\n" //
		      HEAD("BGPPeer", "b") "{peerIP: \"[fd00::1]:179\"}\n---\n"	       //
		      HEAD("BGPPeer", "c") "{localWorkloadSelector: has(bgp), asNumber: 1}\n");

	(void)state;
	assert_int_equal(m.count, 0);
	assert_warnings(&m.warnings,
			"f.yaml:4:8: BGPPeer a: spec.peerIP fd00::1 is IPv6; passed over, Culvert "
			"carries IPv4\n"
			"f.yaml:9:8: BGPPeer b: spec.peerIP [fd00::1]:179 is IPv6; passed over, "
			"Culvert carries IPv4\n"
			"f.yaml:14:8: BGPPeer c: spec.localWorkloadSelector: passed over, Culvert "
			"speaks no BGP with workloads");
	cv_manifest_fini(&m);
}

static void warns_of_what_it_does_not_do(void **state)
{
	struct cv_manifest m = parse(HEAD("BGPConfiguration", "default") //
				     "\n  logSeverityScreen: Info\n"
				     "  serviceClusterIPs: [{cidr: 10.96.0.0/12}]\n"
				     "  communities: [{name: a, value: \"1:2\"}]\n"
				     "---\n" HEAD("BGPPeer", "p") //
				     "\n  peerIP: 192.0.2.1\n"
				     "  reversePeering: Manual\n"
				     "  password: {secretKeyRef: {name: a, key: b, "
				     "optional: true}}\n");

	(void)state;
	assert_int_equal(m.count, 2);
	assert_warnings(
		&m.warnings,
		"f.yaml:7:3: BGPConfiguration default: spec.communities is not acted on: Culvert "
		"gives no communities to routes\n"
		"f.yaml:5:3: BGPConfiguration default: spec.logSeverityScreen is not acted on\n"
		"f.yaml:6:3: BGPConfiguration default: spec.serviceClusterIPs is not acted on: "
		"Culvert knows no Services\n"
		"f.yaml:15:46: BGPPeer p: spec.password.secretKeyRef.optional is not acted on: "
		"without its password a session is not made at all\n"
		"f.yaml:14:3: BGPPeer p: spec.reversePeering Manual is not acted on: nodes that "
		"peerSelector selects speak back by this BGPPeer");
	assert_round_trip(&m);
	cv_manifest_fini(&m);
}

/* A rule that accepts under a condition that we do not know must not accept without it. */
static void is_careful_with_conditions_it_does_not_know(void **state)
{
	static const char *const conditions[] = {"peerType: eBGP",
						 "communities: {values: [\"1:2\"]}",
						 "asPathPrefix: [1, 2]", "priority: 7"};

	(void)state;
	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		char text[512], warning[512];
		struct cv_manifest m;
		const struct cv_bgp_filter *filter;

		snprintf(text, sizeof(text),
			 HEAD("BGPFilter", "f") "\n  exportV4:\n  - {action: Accept, %s}\n"
						"  - {action: Reject, %s}\n",
			 conditions[i], conditions[i]);
		m = parse(text);
		filter = &m.resources[0]->bgp_filter;
		assert_int_equal(filter->export_count, 1);
		assert_false(filter->export_rules[0].accept);
		assert_int_equal(m.warnings.count, 2);
		snprintf(warning, sizeof(warning),
			 "f.yaml:6:22: BGPFilter f: spec.exportV4: %.*s is not acted on: a rule "
			 "with it is left out if it accepts, and rejects as if it were not there",
			 (int)strcspn(conditions[i], ":"), conditions[i]);
		assert_string_equal(m.warnings.texts[0], warning);
		assert_round_trip(&m);
		cv_manifest_fini(&m);
	}
}

static void warns_of_half_a_rule(void **state)
{
	struct cv_manifest m =
		parse(HEAD("BGPFilter", "f") //
		      "\n  importV4:\n"
		      "  - {action: Accept, operations: [{setPriority: {value: 1}}]}\n"
		      "  - {action: Accept, cidr: 10.0.0.0/8, matchOperator: Equal, "
		      "prefixLength: {max: 9}}\n"
		      "  importV6: [{action: Accept}]\n");
	const struct cv_bgp_filter *filter = &m.resources[0]->bgp_filter;

	(void)state;
	assert_int_equal(filter->import_count, 2);
	assert_true(filter->import_rules[0].accept);
	assert_false(filter->import_rules[1].has_lengths);
	assert_warnings(&m.warnings,
			"f.yaml:6:22: BGPFilter f: spec.importV4: operations is not acted on: "
			"routes are announced, or taken, unchanged\n"
			"f.yaml:7:62: BGPFilter f: spec.importV4: prefixLength is not acted on: "
			"Equal is about the cidr itself; write In or NotIn\n"
			"f.yaml:8:3: BGPFilter f: spec.importV6 is not acted on: Culvert carries "
			"IPv4");
	assert_round_trip(&m);
	cv_manifest_fini(&m);
}

/* ---- snapshots ------------------------------------------------------------------- */

static struct cv_snapshot *snapshot_of(struct cv_manifest *m)
{
	struct cv_snapshot *snapshot;

	if (cv_snapshot_create(m->resources, m->count, &snapshot, &error))
		fail_msg("%s", error.text);
	return snapshot;
}

static void has_calicos_defaults(void **state)
{
	struct cv_bgp_configuration bgp;
	struct cv_manifest m = parse(HEAD("BGPConfiguration", "default") "{}\n");
	struct cv_snapshot *snapshot;

	(void)state;
	for (int has = 0; has < 2; has++) {
		m.count = has ? 1 : 0;
		snapshot = snapshot_of(&m);
		assert_int_equal(cv_snapshot_bgp(snapshot, "a1", &bgp), has);
		assert_int_equal(bgp.as_number, 64512);
		assert_true(bgp.mesh && bgp.program_cluster_routes);
		assert_int_equal(bgp.listen_port, 179);
		assert_int_equal(bgp.bind_mode, CV_BGP_BIND_NONE);
		assert_int_equal(bgp.mesh_restart_time_s, 120);
		assert_null(bgp.mesh_password.name);
		assert_int_equal(bgp.ignored_interface_count, 0);
		cv_snapshot_put(snapshot);
	}
	cv_manifest_fini(&m);
}

static void lays_a_nodes_own_over_the_default(void **state)
{
	struct cv_manifest m =
		parse(EVERY_BGP_KIND "---\n" //
		      HEAD("BGPConfiguration", "node.a1") "{listenPort: 178}\n---\n" HEAD(
			      "BGPConfiguration",
			      "node.a2") "{bindMode: None, ignoredInterfaces: [tap*]}\n");
	struct cv_snapshot *snapshot = snapshot_of(&m);
	struct cv_bgp_configuration bgp;

	(void)state;
	assert_true(cv_snapshot_bgp(snapshot, NULL, &bgp));
	assert_int_equal(bgp.listen_port, 1790);
	assert_true(cv_snapshot_bgp(snapshot, "a1", &bgp));
	assert_int_equal(bgp.listen_port, 178);
	assert_int_equal(bgp.as_number, 64513);
	assert_false(bgp.program_cluster_routes);
	assert_int_equal(bgp.bind_mode, CV_BGP_BIND_NODE_IP);
	assert_string_equal(bgp.mesh_password.key, "Pass_word.1");
	assert_int_equal(bgp.ignored_interface_count, 2);
	assert_true(cv_snapshot_bgp(snapshot, "a2", &bgp));
	assert_int_equal(bgp.listen_port, 1790);
	assert_int_equal(bgp.bind_mode, CV_BGP_BIND_NONE);
	assert_int_equal(bgp.ignored_interface_count, 1);
	assert_string_equal(bgp.ignored_interfaces[0], "tap*");
	cv_snapshot_put(snapshot);
	/* A node's own alone turns nothing on. */
	cv_resource_put(m.resources[0]);
	m.resources[0] = m.resources[--m.count];
	snapshot = snapshot_of(&m);
	assert_false(cv_snapshot_bgp(snapshot, "a1", &bgp));
	assert_int_equal(bgp.listen_port, 179);
	cv_snapshot_put(snapshot);
	cv_manifest_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_in_these_words),
		cmocka_unit_test(decodes_a_configuration),
		cmocka_unit_test(decodes_an_empty_configuration),
		cmocka_unit_test(decodes_a_peer),
		cmocka_unit_test(decodes_a_peer_of_nodes),
		cmocka_unit_test(takes_the_old_word_for_keep),
		cmocka_unit_test(decodes_a_filter),
		cmocka_unit_test(decodes_lengths),
		cmocka_unit_test(passes_over_what_is_not_ours),
		cmocka_unit_test(warns_of_what_it_does_not_do),
		cmocka_unit_test(is_careful_with_conditions_it_does_not_know),
		cmocka_unit_test(warns_of_half_a_rule),
		cmocka_unit_test(has_calicos_defaults),
		cmocka_unit_test(lays_a_nodes_own_over_the_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
