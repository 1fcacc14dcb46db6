/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What doctor makes of BGP, with a network that is only on paper: node a1 (192.168.100.1), a2 in
 * the same subnet, b1 in another, and a router that is no Node.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/doctor_bgp.h"
#include "agent/doctor_routes.h"
#include "agent/metrics_bgp.h"
#include "netns.h"

#define CALICO "{apiVersion: projectcalico.org/v3, kind: "

static const char manifest_text[] = CALICO
	"IPPool, metadata: {name: pool}, spec: {cidr: 10.244.0.0/16, ipipMode: CrossSubnet, "
	"blockSize: 26}}\n---\n" CALICO
	"Node, metadata: {name: a1}, spec: {bgp: {ipv4Address: 192.168.100.1/24}}}\n---\n" CALICO
	"Node, metadata: {name: a2}, spec: {bgp: {ipv4Address: 192.168.100.2/24}}}\n---\n" CALICO
	"Node, metadata: {name: b1}, spec: {bgp: {ipv4Address: 192.168.200.2/24}}}\n---\n" CALICO
	"BlockAffinity, metadata: {name: a1-b}, spec: {cidr: 10.244.1.0/26, node: a1, state: "
	"confirmed}}\n---\n" CALICO
	"BlockAffinity, metadata: {name: a2-b}, spec: {cidr: 10.244.2.0/26, node: a2, state: "
	"confirmed}}\n---\n" CALICO
	"BlockAffinity, metadata: {name: b1-b}, spec: {cidr: 10.244.3.0/26, node: b1, state: "
	"confirmed}}\n---\n" CALICO
	"BGPConfiguration, metadata: {name: default}, spec: {nodeMeshPassword: {secretKeyRef: "
	"{name: bgp, key: mesh}}}}\n---\n" CALICO
	"BGPPeer, metadata: {name: tor}, spec: {node: a1, peerIP: 192.168.100.254, asNumber: "
	"65000}}\n";

enum {
	ETH0 = 2,
	POOL = 9
};

static struct cv_fact_interface interfaces[] = {
	{.index = ETH0, .name = "eth0", .kind = "veth", .mtu = 1500, .flags = IFF_UP},
	{.index = POOL, .name = "culvert0", .kind = "tun", .mtu = 1480, .is_ours = true},
};
static struct cv_fact_address addresses[1];
static const struct cv_facts facts = {
	.interfaces = interfaces,
	.interface_count = 2,
	.addresses = addresses,
	.address_count = 1,
};
static struct cv_intent intent;
static struct cv_bgp_intent bgp;
static struct cv_learned learned;
static struct cv_bird_session sessions[3];
static struct cv_bgp_look look;
static struct cv_node_report report;
static struct cv_doctor_input input;
static struct cv_findings findings;

static int read_secret(const struct cv_bgp_secret *secret, void *data, char **ret_text,
		       struct cv_error *error)
{
	(void)secret;
	(void)data;
	(void)error;
	*ret_text = strdup("hunter2");
	return 0;
}

static void decide_all(struct cv_nl *nl)
{
	struct cv_bgp_input in = {.intent = &intent,
				  .facts = &facts,
				  .pool_device = "culvert0",
				  .read_secret = read_secret};
	struct cv_detect detect;
	struct cv_manifest manifest;
	struct cv_snapshot *snapshot;
	struct cv_error error;
	struct cv_decide_input decide = {.node_name = "a1",
					 .facts = &facts,
					 .pool_device = "culvert0",
					 .detect = &detect,
					 .nl = nl};

	assert_int_equal(cv_detect_parse("first-found", &detect, &error), 0);
	if (cv_manifest_parse("m", manifest_text, strlen(manifest_text), &manifest, &error))
		fail_msg("%s", error.text);
	assert_int_equal(cv_snapshot_create(manifest.resources, manifest.count, &snapshot, &error),
			 0);
	decide.snapshot = snapshot;
	assert_int_equal(cv_decide(&decide, &intent), 0);
	assert_int_equal(cv_bgp_decide(&in, &bgp), 0);
	assert_true(bgp.wanted);
	assert_int_equal(bgp.session_count, 3);
	cv_snapshot_put(snapshot);
	cv_manifest_fini(&manifest);
	cv_detect_fini(&detect);
}

static int set_up(void **state)
{
	struct cv_nl *nl;

	(void)state;
	addresses[0] =
		(struct cv_fact_address){ETH0, {cv_addr("192.168.100.1"), 24}, &interfaces[0]};
	cv_netns_enter_new();
	cv_sh("ip link add eth0 type veth peer name eth1");
	cv_sh("ip link set eth0 up; ip link set eth1 up; ip addr add 192.168.100.1/24 dev eth0; "
	      "ip route add default via 192.168.100.254");
	assert_int_equal(cv_nl_create(&nl), 0);
	decide_all(nl);
	cv_nl_destroy(nl);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	cv_bgp_intent_fini(&bgp);
	cv_intent_fini(&intent);
	return 0;
}

static struct cv_learned_route routes[8];

static void learn(const char *prefix, const char *next_hop)
{
	struct cv_learned_route *route = &routes[learned.count++];

	assert_int_equal(cv_prefix_parse(prefix, &route->prefix), 0);
	route->next_hop = cv_addr(next_hop);
}

/* All is well: three sessions, two blocks learned. */
static int begin(void **state)
{
	(void)state;
	memset(sessions, 0, sizeof(sessions));
	for (size_t i = 0; i < 3; i++) {
		snprintf(sessions[i].name, sizeof(sessions[i].name), "%s", bgp.sessions[i].name);
		snprintf(sessions[i].state, sizeof(sessions[i].state), "Established");
		sessions[i].address = bgp.sessions[i].address;
		sessions[i].is_established = true;
		sessions[i].imported = 1;
	}
	learned = (struct cv_learned){.items = routes};
	learn("10.244.2.0/26", "192.168.100.2");
	learn("10.244.3.0/26", "192.168.200.2");
	look = (struct cv_bgp_look){
		.view = {.intent = &bgp,
			 .programs_wanted = CV_PROGRAMS_BIRD,
			 .programs_now = CV_PROGRAMS_BIRD,
			 .hand_over = "",
			 .problem = "",
			 .has_status = true,
			 .status = {.version = "2.0.12"},
			 .sessions = sessions,
			 .session_count = 3,
			 .learned = &learned},
		.state = CV_BIRD_UP,
		.problem = "",
	};
	input = (struct cv_doctor_input){
		.intent = &intent,
		.facts = &facts,
		.report = &report,
		.pool_device = "culvert0",
		.pool_ifindex = POOL,
		.bgp = &look,
	};
	return cv_findings_init(&findings);
}

static int end(void **state)
{
	(void)state;
	cv_findings_fini(&findings);
	return 0;
}

/* How many findings of this level have these words. */
static unsigned int count(const char *level, const char *words)
{
	unsigned int found = 0;
	const json_t *finding;
	size_t i;

	json_array_foreach(findings.list, i, finding)
	{
		const char *text = json_string_value(json_object_get(finding, "text"));
		const char *has = json_string_value(json_object_get(finding, "level"));

		found += strstr(text, words) && !strcmp(has, level);
	}
	return found;
}

static void expect(const char *level, const char *words, unsigned int times)
{
	if (count(level, words) == times)
		return;
	json_dumpf(findings.list, stderr, JSON_INDENT(1));
	fail_msg("%s %s: %u times, not %u", level, words, count(level, words), times);
}

static void forget(void)
{
	json_array_clear(findings.list);
	findings.troubles = 0;
}

/* ---- sessions ------------------------------------------------------------------------------- */

static void judges_sessions(void **state)
{
	(void)state;
	cv_doctor_check_bgp(&input, &findings);
	assert_int_equal(findings.troubles, 0);
	expect("ok", "BIRD 2.0.12; 3 BGP sessions are up; BIRD programs", 1);
	for (size_t i = 0; i < 3; i++) {
		sessions[i].is_established = false;
		snprintf(sessions[i].state, sizeof(sessions[i].state), "Active");
		snprintf(sessions[i].last_error, sizeof(sessions[i].last_error),
			 "Socket: Connection refused");
	}
	forget();
	cv_doctor_check_bgp(&input, &findings);
	expect("error", "refuses connections to TCP port 179", 3);
	expect("error", "node b1 (192.168.200.2)", 1);
	expect("error", "192.168.100.254 (BGPPeer tor)", 1);
	/* It is said once that BIRD is down. */
	look.state = CV_BIRD_DOWN;
	forget();
	cv_doctor_check_bgp(&input, &findings);
	expect("error", "BIRD does not run", 1);
	assert_int_equal(findings.troubles, 1);
	input.bgp = NULL;
	forget();
	cv_doctor_check_bgp(&input, &findings);
	assert_int_equal(json_array_size(findings.list), 0);
}

/* Two hundred nodes, one reason: some lines, and a number. */
static void bounds_lines(void **state)
{
	static struct cv_bird_session many[200];

	(void)state;
	for (size_t i = 0; i < 200; i++) {
		snprintf(many[i].name, sizeof(many[i].name), "culvert_mesh_%zu", i);
		snprintf(many[i].state, sizeof(many[i].state), "Connect");
	}
	look.view.sessions = many;
	look.view.session_count = 200;
	cv_doctor_check_bgp(&input, &findings);
	expect("error", "does not answer connections", 5);
	expect("error", "and 195 BGP sessions more are down like these (no-answer)", 1);
	expect("warning", "does not have the session yet", 3);
}

static void judges_secrets(void **state)
{
	char directory[] = "/tmp/culvert-secrets-XXXXXX", path[128];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(directory));
	cv_doctor_check_secrets(&bgp, directory, &findings);
	expect("error", "is to be read from", 1);
	snprintf(path, sizeof(path), "%s/secrets", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/secrets/bgp", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/secrets/bgp/mesh", directory);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	forget();
	cv_doctor_check_secrets(&bgp, directory, &findings);
	assert_int_equal(json_array_size(findings.list), 0);
	assert_int_equal(chmod(path, 0644), 0);
	cv_doctor_check_secrets(&bgp, directory, &findings);
	expect("warning", "everybody on this host can read", 1);
	cv_sh("rm -r %s", directory);
}

/* ---- routes ------------------------------------------------------------------------------ */

static struct cv_bird_route refused_route(const char *prefix, const char *protocol,
					  const char *next_hop)
{
	struct cv_bird_route route = {.next_hop = cv_addr(next_hop)};

	assert_int_equal(cv_prefix_parse(prefix, &route.prefix), 0);
	for (size_t i = 0; i < bgp.session_count; i++) {
		if (strstr(bgp.sessions[i].name, protocol))
			snprintf(route.protocol, sizeof(route.protocol), "%s",
				 bgp.sessions[i].name);
	}
	assert_true(route.protocol[0]);
	return route;
}

static void judges_refused(void **state)
{
	const struct cv_bird_route list[] = {
		refused_route("0.0.0.0/0", "tor", "192.168.100.254"),
		refused_route("172.16.0.0/12", "tor", "192.168.100.254"),
		refused_route("10.244.1.0/27", "tor", "192.168.100.254"),
		refused_route("10.244.3.0/26", "mesh_192_168_100_2", "192.168.100.2"),
	};
	struct cv_bird_route many[50];

	(void)state;
	cv_doctor_judge_refused(&bgp, list, 4, &findings);
	expect("ok", "2 routes of peers are not the overlay's", 1);
	expect("warning", "192.168.100.254 (BGPPeer tor) announces 10.244.1.0/27", 1);
	expect("warning", "node a2 (192.168.100.2) announces 10.244.3.0/26", 1);
	assert_int_equal(findings.troubles, 2);
	/* A hostile one. */
	for (unsigned int i = 0; i < 50; i++)
		many[i] = list[2];
	forget();
	cv_doctor_judge_refused(&bgp, many, 50, &findings);
	assert_int_equal(findings.troubles, 11);
	expect("warning", "and 40 routes that are refused more", 1);
}

static void misses_blocks(void **state)
{
	(void)state;
	cv_doctor_check_bgp_routes(&input, &findings);
	assert_int_equal(findings.troubles, 0);
	learned.count = 1;
	forget();
	cv_doctor_check_bgp_routes(&input, &findings);
	expect("warning", "10.244.3.0/26 is node b1's block, and nobody announces it", 1);
	assert_int_equal(findings.troubles, 1);
	/* While the agent programs, nobody needs to. */
	look.view.programs_now = CV_PROGRAMS_AGENT;
	forget();
	cv_doctor_check_bgp_routes(&input, &findings);
	assert_int_equal(findings.troubles, 0);
}

static void finds_overlaps(void **state)
{
	(void)state;
	learned.count = 0;
	learn("10.244.2.0/26", "192.168.100.2");
	learn("10.244.2.5/32", "192.168.200.2");  /* borrowed */
	learn("10.244.2.16/28", "192.168.100.2"); /* of the same node */
	learn("10.244.2.32/28", "192.168.200.2");
	learn("10.244.3.0/26", "192.168.200.2");
	learn("10.244.3.0/26", "192.168.100.2"); /* ECMP */
	cv_doctor_check_bgp_routes(&input, &findings);
	expect("warning", "10.244.2.32/28 of node b1 lies in 10.244.2.0/26 of node a2", 1);
	assert_int_equal(findings.troubles, 1);
}

static struct cv_table_route kernel_route(const char *prefix, uint8_t protocol, int oif,
					  const char *gateway)
{
	struct cv_table_route route = {.type = RTN_UNICAST,
				       .protocol = protocol,
				       .oif = oif,
				       .metric = CV_BGP_METRIC,
				       .gateway = cv_addr(gateway)};

	assert_int_equal(cv_prefix_parse(prefix, &route.prefix), 0);
	return route;
}

static void compares_the_kernel(void **state)
{
	struct cv_table_route table[] = {
		kernel_route("10.244.2.0/26", RTPROT_BIRD, ETH0, "192.168.100.2"),
		kernel_route("10.244.3.0/26", RTPROT_BIRD, POOL, "192.168.200.2"),
	};

	(void)state;
	cv_doctor_judge_bgp_table(&input, table, 2, &findings);
	assert_int_equal(findings.troubles, 0);
	/* Its filter has failed. */
	cv_doctor_judge_bgp_table(&input, table, 1, &findings);
	expect("error", "10.244.3.0/26 of node b1 was learned, and BIRD has no route", 1);
	assert_int_equal(findings.troubles, 1);
	forget();
	table[1].oif = ETH0;
	cv_doctor_judge_bgp_table(&input, table, 2, &findings);
	expect("error", "route 10.244.3.0/26 via 192.168.200.2 dev eth0, of bird, leads past", 1);
	assert_int_equal(findings.troubles, 1);
	/* As FRR does it, while the agent programs. */
	look.view.programs_now = look.view.programs_wanted = CV_PROGRAMS_AGENT;
	learned.count = 0;
	forget();
	table[0] = kernel_route("10.244.3.0/26", RTPROT_BGP, ETH0, "192.168.100.254");
	cv_doctor_judge_bgp_table(&input, table, 1, &findings);
	expect("error", "via 192.168.100.254 dev eth0, of bgp (FRR), leads past the tunnel", 1);
	forget();
	/* Direct is direct. */
	table[0] = kernel_route("10.244.2.0/26", RTPROT_BGP, ETH0, "192.168.100.2");
	cv_doctor_judge_bgp_table(&input, table, 1, &findings);
	assert_int_equal(findings.troubles, 0);
}

/* The agent programs, and this host's file lacks what only BGP tells. */
static void misses_resources(void **state)
{
	(void)state;
	learn("10.244.9.0/26", "192.168.100.2");
	look.view.programs_now = look.view.programs_wanted = CV_PROGRAMS_AGENT;
	cv_doctor_judge_bgp_table(&input, NULL, 0, &findings);
	expect("warning", "10.244.9.0/26 of node a2 was learned by BGP, but no resource has it", 1);
	assert_int_equal(findings.troubles, 1);
	/* Handed over: BIRD's are there yet. */
	look.view.programs_now = CV_PROGRAMS_BIRD;
	look.state = CV_BIRD_DOWN;
	forget();
	cv_doctor_judge_bgp_table(&input, NULL, 0, &findings);
	assert_int_equal(findings.troubles, 0);
}

/* doctor_routes.c: what BIRD programs is no stranger's, while it is BIRD's to program. */
static void expects_birds_routes(void **state)
{
	const struct cv_table_route route =
		kernel_route("10.244.3.0/26", RTPROT_BIRD, POOL, "192.168.200.2");

	(void)state;
	assert_false(cv_doctor_check_route(&input, &route, &findings));
	look.view.programs_now = look.view.programs_wanted = CV_PROGRAMS_AGENT;
	assert_true(cv_doctor_check_route(&input, &route, &findings));
	input.bgp = NULL;
	assert_true(cv_doctor_check_route(&input, &route, &findings));
}

/* ---- metrics ----------------------------------------------------------------------------- */

static void prints_metrics(void **state)
{
	struct cv_metrics_writer writer;
	char *text;

	(void)state;
	sessions[0].is_established = false;
	look.view.has_refused = true;
	look.view.refused[CV_BGP_REFUSED_HOST] = 7;
	look.restarts = 2;
	assert_int_equal(cv_metrics_writer_init(&writer), 0);
	cv_metrics_bgp(&look, &writer);
	text = cv_metrics_writer_finish(&writer);
	assert_non_null(strstr(text, "culvert_bgp_programs{program=\"bird\"} 1\n"));
	assert_non_null(strstr(text, "culvert_bgp_programs{program=\"agent\"} 0\n"));
	assert_non_null(strstr(text, "culvert_bgp_bird_restarts_total 2\n"));
	assert_non_null(strstr(text, "culvert_bgp_routes_refused{reason=\"host\"} 7\n"));
	assert_non_null(strstr(text, "node=\"b1\",address=\"192.168.200.2\"} 1\n"));
	assert_non_null(strstr(text,
			       "culvert_bgp_session_up{session=\"culvert_mesh_192_168_100_2\","
			       "node=\"a2\",address=\"192.168.100.2\"} 0\n"));
	assert_null(
		strstr(text, "culvert_bgp_session_imported{session=\"culvert_mesh_192_168_100_2"));
	assert_null(strstr(text, "hunter2"));
	free(text);
	assert_int_equal(cv_metrics_writer_init(&writer), 0);
	cv_metrics_bgp(NULL, &writer);
	text = cv_metrics_writer_finish(&writer);
	assert_null(strstr(text, "\nculvert_bgp"));
	assert_non_null(strstr(text, "# TYPE culvert_bgp_session_up gauge"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(judges_sessions, begin, end),
		cmocka_unit_test_setup_teardown(bounds_lines, begin, end),
		cmocka_unit_test_setup_teardown(judges_secrets, begin, end),
		cmocka_unit_test_setup_teardown(judges_refused, begin, end),
		cmocka_unit_test_setup_teardown(misses_blocks, begin, end),
		cmocka_unit_test_setup_teardown(finds_overlaps, begin, end),
		cmocka_unit_test_setup_teardown(compares_the_kernel, begin, end),
		cmocka_unit_test_setup_teardown(misses_resources, begin, end),
		cmocka_unit_test_setup_teardown(expects_birds_routes, begin, end),
		cmocka_unit_test_setup_teardown(prints_metrics, begin, end),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
