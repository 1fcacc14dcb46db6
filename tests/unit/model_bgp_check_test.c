/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of a snapshot between BGPPeers, BGPFilters, BGPConfigurations and Nodes, each with its
 * message; that of two sessions with one address against a naive oracle; and that a large store is
 * no trouble.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/manifest.h"
#include "model/selector.h"
#include "model/snapshot.h"
#include "manifests.h"
#include "resources.h"

/* Each on one line of the file. */
#define CALICO		     "{apiVersion: projectcalico.org/v3, kind: "
#define OF(kind, name, spec) CALICO kind ", metadata: {name: " name "}, spec: {" spec "}}\n---\n"
#define NODE(name, rest) \
	CALICO "Node, metadata: {name: " name ", labels: {rack: r}}, spec: " rest "}\n---\n"
#define BGP(spec)	 OF("BGPConfiguration", "default", spec)
#define PEER(name, spec) OF("BGPPeer", name, spec)
#define FILTER(name)	 OF("BGPFilter", name, "exportV4: [{action: Reject}]")
#define A1		 NODE("a1", "{bgp: {ipv4Address: 192.168.100.1/24}}")
#define B1		 NODE("b1", "{bgp: {ipv4Address: 192.168.200.2/24}}")
#define RR                                                                               \
	CALICO "Node, metadata: {name: rr, labels: {rr: r}}, spec: {bgp: {ipv4Address: " \
	       "192.168.100.9/24, routeReflectorClusterID: 244.0.0.1}}}\n---\n"

static struct cv_error error;

static const struct {
	const char *text;
	const char *said; /* all warnings, or the error, as it begins with "!" */
} cases[] = {
	/* nothing to say */
	{"", ""},
	{BGP(""), ""},
	{BGP("") A1 B1 PEER("tor", "peerIP: 192.0.2.1, asNumber: 1, filters: [f]") FILTER("f"), ""},
	{BGP("") A1 B1 RR PEER("rr", "nodeSelector: all(), peerSelector: has(rr)"), ""},
	{BGP("nodeToNodeMeshEnabled: false") A1 PEER("tor", "peerIP: 192.0.2.1, asNumber: 1"), ""},
	{BGP("") A1 OF("BGPConfiguration", "node.a1", "listenPort: 1790"), ""},

	/* no BGPConfiguration */
	{A1 PEER("tor", "peerIP: 192.0.2.1, asNumber: 1"),
	 "f.yaml:3: BGPPeer tor: no node speaks BGP without a BGPConfiguration default; apply "
	 "{apiVersion: projectcalico.org/v3, kind: BGPConfiguration, metadata: {name: default}}"},
	{FILTER("f") FILTER("g"),
	 "f.yaml:1: BGPFilter f, and others: no node speaks BGP without a BGPConfiguration "
	 "default; apply {apiVersion: projectcalico.org/v3, kind: BGPConfiguration, metadata: "
	 "{name: default}}"},
	{A1 OF("BGPConfiguration", "node.a1", ""),
	 "f.yaml:3: BGPConfiguration node.a1: no node speaks BGP without a BGPConfiguration "
	 "default; apply {apiVersion: projectcalico.org/v3, kind: BGPConfiguration, metadata: "
	 "{name: default}}"},

	/* names */
	{BGP("") PEER("tor", "node: a9, peerIP: 192.0.2.1, asNumber: 1"),
	 "f.yaml:3: BGPPeer tor: there is no Node a9, whose peer it is; add the Node, or mend the "
	 "name"},
	{BGP("") OF("BGPConfiguration", "node.a9", ""),
	 "f.yaml:3: BGPConfiguration node.a9: there is no Node a9; add it, or mend the name"},
	{BGP("") PEER("tor", "peerIP: 192.0.2.1, asNumber: 1, filters: [g, f]") FILTER("f"),
	 "f.yaml:3: BGPPeer tor: there is no BGPFilter g, so it filters nothing; add it, or mend "
	 "the name"},
	{BGP("") A1 PEER("tor", "nodeSelector: has(x), peerIP: 192.0.2.1, asNumber: 1"),
	 "f.yaml:5: BGPPeer tor: its nodeSelector selects no Node, so there is no session by it; "
	 "mend it, or label the Nodes"},
	{BGP("") A1 PEER("rr", "peerSelector: \"rack == 'q'\""),
	 "f.yaml:5: BGPPeer rr: its peerSelector selects no Node, so there is no session by it; "
	 "mend it, or label the Nodes"},

	/* the AS of a router, and a node that is its own */
	{BGP("") A1 PEER("tor", "peerIP: 192.0.2.1"),
	 "f.yaml:5: BGPPeer tor: its peerIP 192.0.2.1 is no Node's, so its AS is not known and "
	 "there is no session; add asNumber"},
	{BGP("") A1 B1 PEER("b1", "node: a1, peerIP: 192.168.200.2"), ""},
	{BGP("") A1 PEER("a1", "node: a1, peerIP: 192.168.100.1, asNumber: 64512"),
	 "f.yaml:5: BGPPeer a1: its peerIP 192.168.100.1 is the address of Node a1 itself; give "
	 "the other end's, or mend its node"},

	/* who speaks with whom */
	{BGP("nodeToNodeMeshEnabled: false") A1,
	 "f.yaml:1: BGPConfiguration default: nodeToNodeMeshEnabled is false and there is no "
	 "BGPPeer, so no node speaks with any; add BGPPeers"},
	{BGP("") A1 B1 RR,
	 "f.yaml:7: Node rr: it is a route reflector, and so not part of the mesh, and no BGPPeer "
	 "is about it; add one whose peerSelector selects it"},
	{BGP("") A1 B1 RR PEER("rr", "node: a1, peerIP: 192.168.100.9"), ""},
	{BGP("") A1 B1 RR PEER("rr", "node: rr, peerIP: 192.0.2.1, asNumber: 9"), ""},
	{BGP("") A1 B1 RR PEER("rr", "node: a1, peerIP: 192.0.2.1, asNumber: 9"),
	 "f.yaml:7: Node rr: it is a route reflector, and so not part of the mesh, and no BGPPeer "
	 "is about it; add one whose peerSelector selects it"},

	/* who programs */
	{BGP("") OF("FelixConfiguration", "default", "programClusterRoutes: Disabled"), ""},
	{BGP("programClusterRoutes: Disabled")
		 OF("FelixConfiguration", "default", "programClusterRoutes: Enabled"),
	 ""},
	{BGP("") OF("FelixConfiguration", "default", "programClusterRoutes: Enabled"),
	 "f.yaml:3: FelixConfiguration default: its programClusterRoutes: Enabled is not acted on: "
	 "BGPConfiguration default decides, by which BIRD programs routes; write Disabled there "
	 "for the other"},
	{BGP("programClusterRoutes: Disabled")
		 OF("FelixConfiguration", "node.a1", "programClusterRoutes: Disabled"),
	 "f.yaml:3: FelixConfiguration node.a1: its programClusterRoutes: Disabled is not acted "
	 "on: BGPConfiguration default decides, by which culvertd programs routes; write Enabled "
	 "there for the other"},
	{OF("FelixConfiguration", "default", "programClusterRoutes: Disabled"), ""},

	/* two sessions of a node with one address and port */
	{BGP("") A1 PEER("p", "node: a1, peerIP: 192.0.2.1, asNumber: 1")
		 PEER("q", "node: b1, peerIP: 192.0.2.1, asNumber: 1") B1,
	 ""},
	{BGP("") A1 PEER("p", "node: a1, peerIP: 192.0.2.1, asNumber: 1")
		 PEER("q", "node: a1, peerIP: \"192.0.2.1:1790\", asNumber: 1"),
	 ""},
	{BGP("") A1 PEER("p", "node: a1, peerIP: 192.0.2.1, asNumber: 1")
		 PEER("q", "node: a1, peerIP: 192.0.2.1, asNumber: 2"),
	 "!f.yaml:7: BGPPeer q: node a1 has a session with 192.0.2.1 port 179 by BGPPeer p "
	 "(f.yaml:5) already; change its node or nodeSelector, or delete one of them"},
	{BGP("") A1 PEER("q", "peerIP: 192.0.2.1, asNumber: 1")
		 PEER("p", "node: a1, peerIP: \"192.0.2.1:179\", asNumber: 2"),
	 "!f.yaml:7: BGPPeer p: node a1 has a session with 192.0.2.1 port 179 by BGPPeer q "
	 "(f.yaml:5) already; change its node or nodeSelector, or delete one of them"},
	{BGP("") A1 B1 PEER("q", "nodeSelector: \"rack == 'r'\", peerIP: 192.0.2.1, asNumber: 1")
		 PEER("p", "nodeSelector: \"has(rack)\", peerIP: 192.0.2.1, asNumber: 2"),
	 "!f.yaml:9: BGPPeer p: node a1 has a session with 192.0.2.1 port 179 by BGPPeer q "
	 "(f.yaml:7) already; change its node or nodeSelector, or delete one of them"},
	{BGP("") A1 B1 PEER("q", "peerIP: 192.168.200.2")
		 PEER("p", "peerIP: \"192.168.200.2:1790\"")
			 OF("BGPConfiguration", "node.b1", "listenPort: 1790"),
	 "!f.yaml:9: BGPPeer p: node a1 has a session with 192.168.200.2 port 1790 by BGPPeer q "
	 "(f.yaml:7) already; change its node or nodeSelector, or delete one of them"},
};

static void keeps_the_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cv_manifest m = parse(cases[i].text);
		struct cv_snapshot *snapshot = NULL;
		char said[2048] = "";
		int rc = cv_snapshot_create(m.resources, m.count, &snapshot, &error);

		if (rc)
			snprintf(said, sizeof(said), "!%s", error.text);
		for (size_t k = 0; !rc && k < snapshot->warnings.count; k++) {
			strcat(said, k ? "\n" : "");
			strcat(said, snapshot->warnings.texts[k]);
		}
		assert_string_equal(said, cases[i].said);
		assert_true(!rc || rc == -EINVAL);
		cv_snapshot_put(snapshot);
		cv_manifest_fini(&m);
	}
}

/* ---- two sessions of a node with one address: the oracle ------------------------- */

enum {
	NODES = 4,
	PEERS = 4,
	ROUNDS = 3000,
};

static bool is_of(const struct cv_resource *peer, const struct cv_resource *node)
{
	struct cv_selector *selector;
	bool is_selected;

	if (peer->bgp_peer->node)
		return !strcmp(peer->bgp_peer->node, node->name);
	if (!peer->bgp_peer->node_selector)
		return true;
	assert_int_equal(cv_selector_create(peer->bgp_peer->node_selector, &selector, &error), 0);
	is_selected = cv_selector_matches(selector, node);
	cv_selector_destroy(selector);
	return is_selected;
}

static uint16_t port_of(const struct cv_resource *peer)
{
	return peer->bgp_peer->port ? peer->bgp_peer->port : CV_BGP_PORT;
}

/* Each pair of peers with each node; peers of a Node that there is not by their names. */
static bool has_pair(const struct cv_manifest *m)
{
	for (size_t i = NODES; i < m->count; i++) {
		const struct cv_resource *x = m->resources[i];

		for (size_t k = i + 1; k < m->count; k++) {
			const struct cv_resource *y = m->resources[k];

			if (x->bgp_peer->address != y->bgp_peer->address ||
			    port_of(x) != port_of(y))
				continue;
			if (x->bgp_peer->node && y->bgp_peer->node &&
			    !strcmp(x->bgp_peer->node, y->bgp_peer->node))
				return true;
			for (size_t n = 0; n < NODES; n++) {
				if (is_of(x, m->resources[n]) && is_of(y, m->resources[n]))
					return true;
			}
		}
	}
	return false;
}

static void finds_pairs_as_the_oracle_does(void **state)
{
	static const char *const whose[] = {"node: n0, ",
					    "node: n1, ",
					    "node: n9, ",
					    "",
					    "nodeSelector: has(a), ",
					    "nodeSelector: \"a == 'x'\", ",
					    "nodeSelector: \"!has(a)\", "};
	static const char *const ips[] = {"192.0.2.1", "\"192.0.2.1:179\"", "\"192.0.2.1:180\"",
					  "192.0.2.2", "192.0.2.3"};
	static const char *const labels[] = {"", "a: x", "a: z"};
	unsigned int seed = 6, refused = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		char text[4096] = "";
		struct cv_snapshot *snapshot = NULL;
		struct cv_manifest m;
		size_t length = 0;
		int rc;

		for (int i = 0; i < NODES; i++)
			length += (size_t)snprintf(
				text + length, sizeof(text) - length,
				CALICO "Node, metadata: {name: n%d, labels: {%s}}}\n---\n", i,
				labels[(size_t)rand_r(&seed) % 3]);
		for (int i = 0; i < PEERS; i++)
			length += (size_t)snprintf(
				text + length, sizeof(text) - length,
				CALICO
				"BGPPeer, metadata: {name: p%d}, spec: {%speerIP: %s}}\n---\n",
				i, whose[(size_t)rand_r(&seed) % 7],
				ips[(size_t)rand_r(&seed) % 5]);
		m = parse(text);
		rc = cv_snapshot_create(m.resources, m.count, &snapshot, &error);
		if (rc != (has_pair(&m) ? -EINVAL : 0))
			fail_msg("%d %s\n%s", rc, error.text, text);
		refused += rc != 0;
		cv_snapshot_put(snapshot);
		cv_manifest_fini(&m);
	}
	assert_in_range(refused, ROUNDS / 10, ROUNDS * 9 / 10);
}

/* ---- many ------------------------------------------------------------------------ */

static void warns_of_a_large_mesh(void **state)
{
	size_t length = 0, size = 201 * 200 + 200;
	char *text = malloc(size);
	struct cv_snapshot *snapshot;
	struct cv_manifest m;

	(void)state;
	for (unsigned int i = 0; i < 201; i++)
		length += (size_t)snprintf(text + length, size - length,
					   CALICO "Node, metadata: {name: n%u}, spec: {bgp: "
						  "{ipv4Address: 10.0.%u.1/24}}}\n---\n",
					   i, i);
	snprintf(text + length, size - length, BGP(""));
	m = parse(text);
	assert_int_equal(cv_snapshot_create(m.resources, m.count, &snapshot, &error), 0);
	assert_int_equal(snapshot->warnings.count, 1);
	assert_string_equal(
		snapshot->warnings.texts[0],
		"f.yaml:403: BGPConfiguration default: a mesh of 201 nodes, each with a "
		"session to every other; beyond 200, better make some of them route "
		"reflectors");
	cv_snapshot_put(snapshot);
	cv_resource_put(m.resources[0]);
	m.resources[0] = m.resources[--m.count];
	assert_int_equal(cv_snapshot_create(m.resources, m.count, &snapshot, &error), 0);
	assert_int_equal(snapshot->warnings.count, 0);
	cv_snapshot_put(snapshot);
	cv_manifest_fini(&m);
	free(text);
}

/* A router for each of 5,000 nodes, and all of them at one address. */
static void checks_many_at_once(void **state)
{
	size_t length = 0, size = 5000 * 400;
	char *text = malloc(size);
	struct cv_snapshot *snapshot;
	struct cv_manifest m;
	double before;

	(void)state;
	for (unsigned int i = 0; i < 5000; i++)
		length += (size_t)snprintf(
			text + length, size - length,
			CALICO "Node, metadata: {name: n%u}, spec: {bgp: {ipv4Address: "
			       "10.%u.%u.1/24}}}\n---\n" CALICO "BGPPeer, metadata: {name: "
			       "p%u}, spec: {node: n%u, peerIP: 192.0.2.1, filters: [f]}}\n---\n",
			i, i / 250, i % 250, i, i);
	m = parse(text);
	before = cv_test_cpu_ms();
	assert_int_equal(cv_snapshot_create(m.resources, m.count, &snapshot, &error), 0);
	print_message("# 5000 nodes, 5000 BGPPeers: %.1f ms\n", cv_test_cpu_ms() - before);
	assert_in_range((uintmax_t)(cv_test_cpu_ms() - before), 0, 1000);
	assert_int_equal(snapshot->warnings.count, 23);
	assert_string_equal(snapshot->warnings.texts[21],
			    "4990 more BGPPeers name BGPFilters that there are not");
	assert_string_equal(snapshot->warnings.texts[22], "4990 more BGPPeers have no asNumber");
	cv_snapshot_put(snapshot);
	cv_manifest_fini(&m);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_rules),
		cmocka_unit_test(finds_pairs_as_the_oracle_does),
		cmocka_unit_test(warns_of_a_large_mesh),
		cmocka_unit_test(checks_many_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
