/* SPDX-License-Identifier: Apache-2.0 */
/* routing/bgp: sessions, what is announced, and what is never taken, from manifests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decide_world.h"
#include "resources.h"
#include "routing/bgp.h"
#include "routing/bgp_policy.h"

/* ---- a world of manifests ---------------------------------------------------------------- */

#define DOC(kind, name, spec)                                                           \
	"---\napiVersion: projectcalico.org/v3\nkind: " kind "\nmetadata: {name: " name \
	"}\nspec: " spec "\n"
#define LABELLED(name, labels, spec)                                                \
	"---\napiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: " name \
	", labels: " labels "}\nspec: {bgp: " spec "}\n"
#define NODE(name, spec) DOC("Node", name, "{bgp: " spec "}")
#define BLOCK(node, cidr) \
	DOC("BlockAffinity", node "-b", "{cidr: " cidr ", node: " node ", state: confirmed}")
#define BGP(spec) DOC("BGPConfiguration", "default", spec)
#define POOL	  DOC("IPPool", "main", "{cidr: 10.244.0.0/16, ipipMode: CrossSubnet}")

#define NODES                                         \
	NODE("a1", "{ipv4Address: 192.168.100.1/24}") \
	NODE("a2", "{ipv4Address: 192.168.100.2/24}") \
	NODE("b1", "{ipv4Address: 192.168.200.2/24}")

static struct cv_decide_world world;
static struct cv_bgp_intent bgp;
static const char *secret;   /* what read_secret has; NULL: it cannot */
static unsigned int secrets; /* that were read */

static int begin(void **state)
{
	(void)state;
	cv_world_begin(&world);
	memset(&bgp, 0, sizeof(bgp));
	secret = NULL;
	secrets = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	cv_bgp_intent_fini(&bgp);
	cv_world_end(&world);
	return 0;
}

static int read_secret(const struct cv_bgp_secret *which, void *data, char **ret_text,
		       struct cv_error *error)
{
	assert_ptr_equal(data, &secrets);
	secrets++;
	if (!secret)
		return cv_error_set(error, -ENOENT, "there is no %s", which->key);
	*ret_text = strdup(secret);
	assert_non_null(*ret_text);
	return 0;
}

/* Decide anew for these resources alone. */
static void decide(const char *yaml)
{
	struct cv_manifest manifest;
	struct cv_error error;
	struct cv_bgp_input input = {
		.facts = &world.host.facts,
		.pool_device = "culvert0",
		.read_secret = read_secret,
		.data = &secrets,
	};

	cv_world_clear(&world);
	if (cv_manifest_parse("test.yaml", yaml, strlen(yaml), &manifest, &error))
		fail_msg("%s", error.text);
	for (size_t i = 0; i < manifest.count; i++)
		cv_world_add(&world, cv_resource_get(manifest.resources[i]));
	cv_manifest_fini(&manifest);
	input.intent = cv_world_decide(&world);
	cv_bgp_intent_fini(&bgp);
	assert_int_equal(cv_bgp_decide(&input, &bgp), 0);
}

static bool warns(const char *words)
{
	for (size_t i = 0; i < bgp.warnings.count; i++) {
		if (strstr(bgp.warnings.texts[i], words))
			return true;
	}
	return false;
}

/* The sessions have these names, in this order; NULL ends them. */
static void assert_sessions(const char *const *names)
{
	size_t i;

	for (i = 0; i < bgp.session_count && names[i]; i++)
		assert_string_equal(bgp.sessions[i].name, names[i]);
	assert_int_equal(i, bgp.session_count);
	assert_null(names[i]);
}

#define SESSIONS(...) assert_sessions((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static const struct cv_bgp_session *session(const char *name)
{
	const struct cv_bgp_session *found = cv_bgp_session_named(&bgp, name);

	if (!found)
		fail_msg("there is no session %s", name);
	return found;
}

/* Prefixes of structs that begin with them, as "P P P". */
static void assert_prefixes(const void *items, size_t count, size_t size, const char *want)
{
	char have[1024] = "", text[CV_PREFIX_TEXT_MAX];

	for (size_t i = 0; i < count; i++)
		snprintf(have + strlen(have), sizeof(have) - strlen(have), "%s%s", i ? " " : "",
			 cv_prefix_format((const void *)((const char *)items + i * size), text));
	assert_string_equal(have, want);
}

#define PREFIXES(name, want) \
	assert_prefixes(bgp.name##s, bgp.name##_count, sizeof(*bgp.name##s), want)

/* ---- whether, and who programs ------------------------------------------------------------ */

static void test_without_configuration(void **state)
{
	(void)state;
	decide(NODES POOL);
	assert_false(bgp.wanted);
	assert_string_equal(bgp.problem, "");
	assert_int_equal(bgp.warnings.count, 0);
	assert_int_equal(cv_bgp_programs(world.intent.snapshot, "a1"), CV_PROGRAMS_AGENT);
	decide(NODES DOC("BGPPeer", "tor", "{peerIP: 192.168.100.254, asNumber: 65001}"));
	assert_false(bgp.wanted);
	assert_true(warns("no BGPConfiguration"));
}

static void test_who_programs(void **state)
{
	(void)state;
	decide(NODES BGP("{}"));
	assert_true(bgp.wanted);
	assert_int_equal(bgp.programs, CV_PROGRAMS_BIRD);
	assert_int_equal(cv_bgp_programs(world.intent.snapshot, "a1"), CV_PROGRAMS_BIRD);
	assert_string_equal(cv_programs_name(bgp.programs), "BIRD");
	decide(NODES BGP("{programClusterRoutes: Disabled}"));
	assert_true(bgp.wanted);
	assert_int_equal(bgp.programs, CV_PROGRAMS_AGENT);
	assert_int_equal(cv_bgp_programs(world.intent.snapshot, "a1"), CV_PROGRAMS_AGENT);
	assert_string_equal(cv_programs_name(bgp.programs), "agent");
}

static void test_no_address(void **state)
{
	(void)state;
	decide(BGP("{}") NODE("a1", "{ipv4Address: 192.168.33.1/24}"));
	assert_false(bgp.wanted);
	assert_non_null(strstr(bgp.problem, "no address"));
}

/* ---- sessions ---------------------------------------------------------------------------- */

static void test_mesh(void **state)
{
	const struct cv_bgp_session *b1;

	(void)state;
	decide(NODES NODE("c1", "{ipv4Address: 192.168.210.1/24, asNumber: 65003}")
		       NODE("r1", "{ipv4Address: 192.168.220.1/24, "
				  "routeReflectorClusterID: 1.0.0.1}") NODE("nowhere", "{}")
			       BGP("{nodeMeshMaxRestartTime: 77s}")
				       DOC("BGPConfiguration", "node.b1", "{listenPort: 1179}"));
	SESSIONS("culvert_mesh_192_168_100_2", "culvert_mesh_192_168_200_2",
		 "culvert_mesh_192_168_210_1");
	b1 = session("culvert_mesh_192_168_200_2");
	assert_null(b1->peer);
	assert_string_equal(b1->node->name, "b1");
	assert_int_equal(b1->address, cv_test_address("192.168.200.2"));
	assert_int_equal(b1->port, 1179);
	assert_int_equal(b1->as_number, 64512);
	assert_int_equal(b1->local_as_number, 64512);
	assert_int_equal(b1->source, cv_test_address("192.168.100.1"));
	assert_int_equal(b1->restart_time_s, 77);
	assert_int_equal(b1->keepalive_s, 30);
	assert_false(b1->is_client);
	assert_null(b1->password);
	assert_false(b1->password_missing);
	assert_int_equal(session("culvert_mesh_192_168_210_1")->as_number, 65003);
	assert_int_equal(session("culvert_mesh_192_168_210_1")->port, 179);
	decide(NODES BGP("{nodeToNodeMeshEnabled: false}"));
	SESSIONS();
	assert_null(cv_bgp_session_named(&bgp, "culvert_mesh_192_168_100_2"));
}

static void test_peers(void **state)
{
	const struct cv_bgp_session *tor;

	(void)state;
	decide(NODES BGP("{nodeToNodeMeshEnabled: false, asNumber: 64600}")
		       DOC("BGPPeer", "tor.of-a",
			   "{node: a1, peerIP: '192.168.100.254:1790', asNumber: 65001, "
			   "localASNumber: 64999, sourceAddress: None, nextHopMode: Self, "
			   "maxRestartTime: 60s, keepaliveTime: 5s, ttlSecurity: 3, "
			   "numAllowedLocalASNumbers: 2, reachableBy: 192.168.100.9, "
			   "filters: [here, gone]}")
			       DOC("BGPPeer", "tor-of-b",
				   "{node: b1, peerIP: 192.168.200.254, asNumber: 65002}")
				       DOC("BGPPeer", "nobody", "{peerIP: 192.168.100.253}")
					       DOC("BGPFilter", "here", "{}"));
	SESSIONS("culvert_peer_tor_of_a_192_168_100_254");
	tor = &bgp.sessions[0];
	assert_string_equal(tor->peer->name, "tor.of-a");
	assert_null(tor->node);
	assert_int_equal(tor->port, 1790);
	assert_int_equal(tor->as_number, 65001);
	assert_int_equal(tor->local_as_number, 64999);
	assert_int_equal(tor->source, 0);
	assert_int_equal(tor->next_hop_mode, CV_BGP_NEXT_HOP_SELF);
	assert_int_equal(tor->restart_time_s, 60);
	assert_int_equal(tor->keepalive_s, 5);
	assert_int_equal(tor->ttl_security, 3);
	assert_int_equal(tor->allowed_local_as, 2);
	assert_int_equal(tor->reachable_by, cv_test_address("192.168.100.9"));
	assert_int_equal(tor->filter_count, 1);
	assert_string_equal(tor->filters[0]->name, "here");
	assert_true(warns("BGPPeer tor.of-a: there is no BGPFilter gone"));
	assert_true(warns("BGPPeer nobody: it has no asNumber"));
}

/* A BGPPeer between nodes makes sessions at both ends; each end sees it from its own side. */
static void test_both_ends(void **state)
{
	static const char both[] = LABELLED("a1", "{rack: a}", "{ipv4Address: 192.168.100.1/24}")
		LABELLED("a2", "{rack: a}", "{ipv4Address: 192.168.100.2/24}") LABELLED(
			"b1", "{rack: b}", "{ipv4Address: 192.168.200.2/24, asNumber: 65002}")
			BGP("{nodeToNodeMeshEnabled: false}");
	char yaml[4096];

	(void)state;
	snprintf(
		yaml, sizeof(yaml), "%s%s", both,
		DOC("BGPPeer", "up", "{nodeSelector: 'rack == \"a\"', peerSelector: rack == 'b'}"));
	decide(yaml);
	SESSIONS("culvert_peer_up_192_168_200_2");
	assert_int_equal(bgp.sessions[0].as_number, 65002);
	snprintf(yaml, sizeof(yaml), "%s%s", both,
		 DOC("BGPPeer", "down",
		     "{node: b1, peerIP: 192.168.100.1, localASNumber: 65009, asNumber: 64512}"));
	decide(yaml);
	SESSIONS("culvert_peer_down_192_168_200_2");
	assert_int_equal(bgp.sessions[0].as_number, 65009);
	assert_int_equal(bgp.sessions[0].local_as_number, 64512);
	/* By our address, and only if it is meant for our AS. */
	snprintf(yaml, sizeof(yaml), "%s%s", both,
		 DOC("BGPPeer", "us", "{node: b1, peerIP: 192.168.100.1, asNumber: 64512}")
			 DOC("BGPPeer", "not-us",
			     "{node: a2, peerIP: 192.168.100.1, asNumber: 64513}"));
	decide(yaml);
	SESSIONS("culvert_peer_us_192_168_200_2");
	/* All with all, and ourselves not. */
	snprintf(yaml, sizeof(yaml), "%s%s", both, DOC("BGPPeer", "all", "{peerSelector: all()}"));
	decide(yaml);
	SESSIONS("culvert_peer_all_192_168_100_2", "culvert_peer_all_192_168_200_2");
}

static void test_one_per_address(void **state)
{
	(void)state;
	decide(NODE("a1", "{ipv4Address: 192.168.100.1/24}") LABELLED(
		"a2", "{one: ''}",
		"{ipv4Address: 192.168.100.2/24}") NODE("b1", "{ipv4Address: 192.168.200.2/24}")
		       BGP("{}") DOC("BGPPeer", "z-global", "{peerSelector: has(one)}")
			       DOC("BGPPeer", "a-own",
				   "{node: a1, peerIP: 192.168.100.2, asNumber: 64512}")
				       DOC("BGPPeer", "mine", "{node: a1, peerIP: 192.168.200.2}"));
	SESSIONS("culvert_peer_mine_192_168_200_2", "culvert_peer_z_global_192_168_100_2");
	/* Its AS is the Node's. */
	assert_int_equal(bgp.sessions[1].as_number, 64512);
	assert_string_equal(bgp.sessions[1].node->name, "a2");
	assert_true(warns("BGPPeer a-own: there is a session with 192.168.100.2 already, by "
			  "BGPPeer z-global"));
	assert_int_equal(bgp.warnings.count, 1);
}

static void test_reflector(void **state)
{
	static const char *const names[] = {"culvert_peer_up_192_168_100_2",
					    "culvert_peer_up_192_168_200_2"};

	(void)state;
	decide(LABELLED("a1", "{rr: 'yes'}",
			"{ipv4Address: 192.168.100.1/24, routeReflectorClusterID: 1.0.0.1}")
		       NODE("a2", "{ipv4Address: 192.168.100.2/24}") NODE(
			       "b1", "{ipv4Address: 192.168.200.2/24, "
				     "routeReflectorClusterID: 1.0.0.1}")
			       NODE("c1", "{ipv4Address: 192.168.210.1/24, asNumber: 65003}")
				       BGP("{}") DOC("BGPPeer", "up",
						     "{nodeSelector: '!has(rr)', "
						     "peerSelector: has(rr)}"));
	assert_int_equal(bgp.cluster_id, cv_test_address("1.0.0.1"));
	assert_int_equal(bgp.session_count, 3);
	assert_true(session(names[0])->is_client);
	/* Of our cluster, and of another AS. */
	assert_false(session(names[1])->is_client);
	assert_false(session("culvert_peer_up_192_168_210_1")->is_client);
}

static void test_long_names(void **state)
{
	static const char name[] = "a-peer-whose-name-is-much-longer-than-any-symbol-of-birds";
	char yaml[1024];

	(void)state;
	snprintf(yaml, sizeof(yaml), "%s",
		 NODES BGP("{nodeToNodeMeshEnabled: false}")
			 DOC("BGPPeer", "a-peer-whose-name-is-much-longer-than-any-symbol-of-birds",
			     "{peerSelector: all()}"));
	decide(yaml);
	assert_int_equal(bgp.session_count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(bgp.sessions[i].peer->name, name);
		assert_true(strlen(bgp.sessions[i].name) < CV_BGP_SESSION_NAME_MAX);
		assert_int_equal(
			strspn(bgp.sessions[i].name, "abcdefghijklmnopqrstuvwxyz0123456789_"),
			strlen(bgp.sessions[i].name));
	}
	assert_non_null(strstr(bgp.sessions[0].name, "_192_168_100_2"));
	assert_non_null(strstr(bgp.sessions[1].name, "_192_168_200_2"));
}

/* ---- passwords ------------------------------------------------------------------------------ */

#define SECRET_MESH NODES BGP("{nodeMeshPassword: {secretKeyRef: {name: mesh, key: word}}}")

static void test_password(void **state)
{
	(void)state;
	secret = "s3cret\n";
	decide(SECRET_MESH);
	assert_int_equal(bgp.session_count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(bgp.sessions[i].password, "s3cret");
		assert_false(bgp.sessions[i].password_missing);
	}
	assert_int_equal(secrets, 1);
	assert_int_equal(bgp.warnings.count, 0);
}

static void test_bad_password(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{NULL, "there is no word"},
		{"", "empty"},
		{"\n", "empty"},
		{"s3c\"ret", "which BIRD's configuration cannot"},
		{"s3cret\nmore", "newline"},
		{"s3cret\t", "control"},
		{"s3cret-s3cret-s3cret-s3cret-s3cret-s3cret-s3cret-s3cret-s3cret-s3cret-s3cret-"
		 "s3cret",
		 "80 bytes"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		secret = bad[i].text;
		decide(SECRET_MESH);
		assert_int_equal(bgp.session_count, 2);
		assert_true(bgp.sessions[0].password_missing);
		assert_null(bgp.sessions[0].password);
		assert_true(warns(bad[i].why));
		assert_true(warns("BGPConfiguration: password mesh/word"));
		assert_false(warns("s3c"));
	}
}

/* ---- what is announced, and by whom ------------------------------------------------------ */

static void test_exports(void **state)
{
	(void)state;
	decide(NODES POOL DOC("IPPool", "quiet", "{cidr: 10.250.0.0/16, disableBGPExport: true}")
		       DOC("BlockAffinity", "ours", "{cidr: 10.244.1.0/26, node: a1}")
			       DOC("BlockAffinity", "quiet", "{cidr: 10.250.1.0/26, node: a1}") DOC(
				       "BlockAffinity", "theirs", "{cidr: 10.244.2.0/26, node: b1}")
				       DOC("BlockAffinity", "leaving",
					   "{cidr: 10.244.9.0/26, node: a1, "
					   "state: pendingDeletion}")
					       DOC("BlockAffinity", "gone",
						   "{cidr: 10.244.7.0/26, node: "
						   "nobody}") "---\napiVersion: "
							      "culvert/v1\nkind: "
							      "Workload\nmetadata: "
							      "{name: w}\n"
							      "spec: {node: a1, "
							      "addresses: [10.244.1.7, "
							      "10.244.2.9, "
							      "10.244.80.0/28, "
							      "10.9.9.9]}\n"
							      "---\napiVersion: "
							      "culvert/v1\nkind: "
							      "Workload\nmetadata: "
							      "{name: v}\n"
							      "spec: {node: b1, "
							      "addresses: "
							      "[10.244.1.8]}\n" BGP("{}"));
	/* Not single addresses of our own block; not what is in no pool. */
	PREFIXES(export, "10.244.1.0/26 10.244.2.9/32 10.244.80.0/28");
	assert_string_equal(bgp.exports[0].resource->name, "ours");
	assert_string_equal(bgp.exports[1].resource->name, "w");
	/* 10.244.1.0/32: the tunnel address. */
	PREFIXES(block, "10.244.1.0/26 10.244.1.0/32 10.244.1.7/32 10.244.2.0/26 10.244.2.9/32 "
			"10.244.7.0/26 10.244.80.0/28 10.250.1.0/26");
	assert_true(bgp.blocks[0].is_ours && !bgp.blocks[0].is_workload);
	assert_true(bgp.blocks[1].is_ours && bgp.blocks[1].is_workload);
	assert_true(bgp.blocks[2].is_ours && bgp.blocks[2].is_workload);
	assert_false(bgp.blocks[3].is_ours);
	assert_string_equal(bgp.blocks[3].node->name, "b1");
	assert_null(bgp.blocks[5].node);
}

static void test_tunnel_address(void **state)
{
	(void)state;
	decide(NODE("a1", "{ipv4Address: 192.168.100.1/24, ipv4IPIPTunnelAddr: 10.244.99.1}")
		       POOL DOC("BlockAffinity", "ours", "{cidr: 10.244.1.0/26, node: a1}")
			       BGP("{}"));
	PREFIXES(export, "10.244.1.0/26 10.244.99.1/32");
	assert_string_equal(bgp.exports[1].resource->name, "a1");
	/* In a block of ours it needs no words of its own, nor does one that is chosen of it. */
	decide(NODE("a1", "{ipv4Address: 192.168.100.1/24, ipv4IPIPTunnelAddr: 10.244.1.1}")
		       POOL DOC("BlockAffinity", "ours", "{cidr: 10.244.1.0/26, node: a1}")
			       BGP("{}"));
	PREFIXES(export, "10.244.1.0/26");
	decide(NODES POOL DOC("BlockAffinity", "ours", "{cidr: 10.244.1.0/26, node: a1}")
		       BGP("{}"));
	PREFIXES(export, "10.244.1.0/26");
}

static enum cv_bgp_verdict judge(const char *text, const char *next_hop)
{
	const struct cv_resource *about;
	struct cv_prefix prefix;

	assert_int_equal(cv_prefix_parse(text, &prefix), 0);
	return cv_bgp_judge(&bgp, session("culvert_mesh_192_168_100_2"), &prefix,
			    cv_test_address(next_hop), &about);
}

/* … are borrowed by nobody, whether the block around them is declared or not. */
static void test_tunnel_addresses_of_others(void **state)
{
	static const char *const blocks[] = {
		"", DOC("BlockAffinity", "theirs", "{cidr: 10.244.2.0/26, node: b1}")};
	char text[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		snprintf(text, sizeof(text), "%s%s",
			 NODE("a1", "{ipv4Address: 192.168.100.1/24}")
				 NODE("a2", "{ipv4Address: 192.168.100.2/24}")
					 NODE("b1", "{ipv4Address: 192.168.200.2/24, "
						    "ipv4IPIPTunnelAddr: 10.244.2.1}")
						 POOL BGP("{}"),
			 blocks[i]);
		decide(text);
		assert_int_equal(judge("10.244.2.1/32", "192.168.200.2"), CV_BGP_TAKEN);
		assert_int_equal(judge("10.244.2.1/32", "192.168.100.2"),
				 CV_BGP_REFUSED_OTHERS_BLOCK);
		assert_int_equal(judge("10.244.2.2/32", "192.168.100.2"), CV_BGP_TAKEN);
		assert_int_equal(judge("10.244.2.0/26", "192.168.200.2"), CV_BGP_TAKEN);
	}
}

/* ---- nodes and networks ------------------------------------------------------------------ */

static void test_nodes(void **state)
{
	const struct cv_bgp_node *a2, *b1;

	(void)state;
	decide(NODES POOL BGP("{}"));
	assert_int_equal(bgp.node_count, 2);
	a2 = cv_bgp_node_at(&bgp, cv_test_address("192.168.100.2"));
	b1 = cv_bgp_node_at(&bgp, cv_test_address("192.168.200.2"));
	assert_true(a2->on_link);
	assert_int_equal(a2->cross_subnet, CV_PATH_DIRECT);
	assert_false(b1->on_link);
	assert_int_equal(b1->cross_subnet, CV_PATH_TUNNEL);
	assert_null(cv_bgp_node_at(&bgp, cv_test_address("192.168.100.1")));
	assert_string_equal(bgp.pool_device, "culvert0");
	assert_false(bgp.tunnel_forbidden);
	decide(NODES POOL BGP("{}") DOC("FelixConfiguration", "default", "{ipipEnabled: false}"));
	assert_string_equal(bgp.pool_device, "");
	assert_true(bgp.tunnel_forbidden);
}

static void test_never_taken(void **state)
{
	(void)state;
	cv_made_device(&world.host, 300, "eth1", 1500, "172.20.1.1/16 10.244.200.5/24");
	cv_made_device(&world.host, 301, "pods", 1500, "10.244.1.1/26");
	cv_made_device(&world.host, 302, "docker0", 1500, "172.17.0.1/16");
	cv_made_device(&world.host, 303, "culvert0", 1480, "10.244.1.1/32")->is_ours = true;
	cv_made_gateway(&world.host, "10.244.1.9");
	decide(NODES POOL DOC("BlockAffinity", "ours", "{cidr: 10.244.1.0/26, node: a1}")
		       DOC("IPReservation", "kept", "{reservedCIDRs: [10.244.60.0/26]}")
			       DOC("FelixConfiguration", "default",
				   "{externalNodesList: [198.51.100.7, 198.51.101.0/24]}")
				       BGP("{ignoredInterfaces: ['docker*']}"));
	assert_int_equal(bgp.host_count, 5);
	assert_int_equal(bgp.hosts[0], cv_test_address("192.168.100.1"));
	assert_int_equal(bgp.hosts[1], cv_test_address("192.168.100.2"));
	assert_int_equal(bgp.hosts[2], cv_test_address("192.168.100.254"));
	assert_int_equal(bgp.hosts[3], cv_test_address("192.168.200.2"));
	assert_int_equal(bgp.hosts[4], cv_test_address("198.51.100.7"));
	assert_prefixes(bgp.underlay, bgp.underlay_count, sizeof(*bgp.underlay),
			"172.17.0.0/16 172.20.0.0/16 192.168.100.0/24 192.168.200.0/24 "
			"198.51.101.0/24");
	/* A network of the underlay within a pool; a pods' bridge is none. */
	PREFIXES(hole, "10.244.200.0/24");
	PREFIXES(link, "10.244.200.0/24 172.20.0.0/16 192.168.100.0/24");
	assert_string_equal(bgp.links[1].device, "eth1");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_without_configuration, begin, end),
		cmocka_unit_test_setup_teardown(test_who_programs, begin, end),
		cmocka_unit_test_setup_teardown(test_no_address, begin, end),
		cmocka_unit_test_setup_teardown(test_mesh, begin, end),
		cmocka_unit_test_setup_teardown(test_peers, begin, end),
		cmocka_unit_test_setup_teardown(test_both_ends, begin, end),
		cmocka_unit_test_setup_teardown(test_one_per_address, begin, end),
		cmocka_unit_test_setup_teardown(test_reflector, begin, end),
		cmocka_unit_test_setup_teardown(test_long_names, begin, end),
		cmocka_unit_test_setup_teardown(test_password, begin, end),
		cmocka_unit_test_setup_teardown(test_bad_password, begin, end),
		cmocka_unit_test_setup_teardown(test_exports, begin, end),
		cmocka_unit_test_setup_teardown(test_tunnel_address, begin, end),
		cmocka_unit_test_setup_teardown(test_tunnel_addresses_of_others, begin, end),
		cmocka_unit_test_setup_teardown(test_nodes, begin, end),
		cmocka_unit_test_setup_teardown(test_never_taken, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
