/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What doctor makes of rulesets, routes and probes, with a network that is only on paper: node a1
 * (192.168.100.1) and its two peers, a2 in the same subnet and b1 in another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/doctor_firewall.h"
#include "agent/doctor_node.h"
#include "agent/doctor_policy.h"
#include "agent/doctor_probe.h"
#include "agent/doctor_routes.h"
#include "netns.h"

static const char manifest_text[] =
	"{apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: pool}, spec: {cidr: "
	"10.244.0.0/16, ipipMode: CrossSubnet, natOutgoing: true, blockSize: 24}}\n---\n"
	"{apiVersion: projectcalico.org/v3, kind: Node, metadata: {name: a1}, spec: {bgp: "
	"{ipv4Address: 192.168.100.1/24, ipv4IPIPTunnelAddr: 10.244.1.0}}}\n---\n"
	"{apiVersion: projectcalico.org/v3, kind: Node, metadata: {name: a2}, spec: {bgp: "
	"{ipv4Address: 192.168.100.2/24}}}\n---\n"
	"{apiVersion: projectcalico.org/v3, kind: Node, metadata: {name: b1}, spec: {bgp: "
	"{ipv4Address: 192.168.200.2/24, ipv4IPIPTunnelAddr: 10.244.3.0}}}\n---\n"
	"{apiVersion: projectcalico.org/v3, kind: Node, metadata: {name: nowhere}}\n---\n"
	"{apiVersion: projectcalico.org/v3, kind: BlockAffinity, metadata: {name: a1-b}, spec: "
	"{cidr: 10.244.1.0/24, node: a1, state: confirmed}}\n---\n"
	"{apiVersion: projectcalico.org/v3, kind: BlockAffinity, metadata: {name: a2-b}, spec: "
	"{cidr: 10.244.2.0/24, node: a2, state: confirmed}}\n---\n"
	"{apiVersion: projectcalico.org/v3, kind: BlockAffinity, metadata: {name: b1-b}, spec: "
	"{cidr: 10.244.3.0/24, node: b1, state: confirmed}}\n";

static struct cv_fact_interface interfaces[] = {
	{.index = 2, .name = "eth0", .kind = "veth", .mtu = 1500, .flags = IFF_UP},
	{.index = 3, .name = "cni0", .kind = "bridge", .mtu = 1500, .flags = IFF_UP},
	{.index = 9, .name = "culvert0", .kind = "tun", .mtu = 1480, .is_ours = true},
};
static struct cv_fact_address addresses[2];
static const struct cv_facts facts = {
	.interfaces = interfaces,
	.interface_count = 3,
	.addresses = addresses,
	.address_count = 2,
};
static struct cv_intent intent;
static struct cv_node_report report;
static struct cv_doctor_input input;
static struct cv_findings findings;

/* As a1's kernel would answer it: eth0 to all. */
static int set_up(void **state)
{
	struct cv_detect detect;
	struct cv_manifest manifest;
	struct cv_snapshot *snapshot;
	struct cv_error error;
	struct cv_nl *nl;
	struct cv_decide_input decide = {
		.node_name = "a1", .facts = &facts, .pool_device = "culvert0", .detect = &detect};

	(void)state;
	addresses[0] = (struct cv_fact_address){2, {cv_addr("192.168.100.1"), 24}, &interfaces[0]};
	addresses[1] = (struct cv_fact_address){3, {cv_addr("10.244.1.1"), 24}, &interfaces[1]};
	cv_netns_enter_new();
	cv_sh("ip link add eth0 type veth peer name eth1");
	cv_sh("ip link set eth0 up; ip link set eth1 up; ip addr add 192.168.100.1/24 dev eth0; "
	      "ip route add default via 192.168.100.254");
	assert_int_equal(cv_nl_create(&nl), 0);
	assert_int_equal(cv_detect_parse("first-found", &detect, &error), 0);
	assert_int_equal(
		cv_manifest_parse("m", manifest_text, strlen(manifest_text), &manifest, &error), 0);
	assert_int_equal(cv_snapshot_create(manifest.resources, manifest.count, &snapshot, &error),
			 0);
	decide.snapshot = snapshot;
	decide.nl = nl;
	assert_int_equal(cv_decide(&decide, &intent), 0);
	cv_snapshot_put(snapshot);
	cv_manifest_fini(&manifest);
	cv_detect_fini(&detect);
	cv_nl_destroy(nl);
	for (size_t i = 0; i < intent.peer_count; i++)
		intent.peers[i].oif = 2;
	report.nat_in_force = true;
	input = (struct cv_doctor_input){
		.intent = &intent,
		.facts = &facts,
		.report = &report,
		.pool_device = "culvert0",
		.pool_ifindex = 9,
	};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	cv_intent_fini(&intent);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	return cv_findings_init(&findings);
}

static int end(void **state)
{
	(void)state;
	cv_findings_fini(&findings);
	report.nat_in_force = true;
	input.no_fastpath = NULL;
	return 0;
}

/* The level of the finding with these words: "ok" …; NULL: there is none. */
static const char *level_of(const char *words, const char *remedy)
{
	const json_t *finding;
	size_t i;

	json_array_foreach(findings.list, i, finding)
	{
		const char *text = json_string_value(json_object_get(finding, "text"));
		const char *has = json_string_value(json_object_get(finding, "remedy"));

		if (!strstr(text, words))
			continue;
		if (remedy && (!has || !strstr(has, remedy)))
			fail_msg("\"%s\": remedy %s, not %s", text, has ? has : "none", remedy);
		return json_string_value(json_object_get(finding, "level"));
	}
	return NULL;
}

static void expect(const char *level, const char *words, const char *remedy)
{
	const char *found = level_of(words, remedy);

	if (!found || strcmp(found, level)) {
		json_dumpf(findings.list, stderr, JSON_INDENT(1));
		fail_msg("%s: %s, not %s", words, found ? found : "not found", level);
	}
}

static void forget(void)
{
	json_array_clear(findings.list);
	findings.troubles = 0;
}

/* ---- netfilter --------------------------------------------------------------------------- */

static void judge(const char *text, void (*judge_it)(const struct cv_doctor_input *input,
						     json_t *listed, struct cv_findings *findings))
{
	json_t *listed = json_loads(text, 0, NULL);

	assert_non_null(listed);
	forget();
	judge_it(&input, listed, &findings);
	json_decref(listed);
}

#define CHAIN(family, table, name, type, hook, priority, policy)                         \
	"{\"chain\":{\"family\":\"" family "\",\"table\":\"" table "\",\"name\":\"" name \
	"\",\"type\":\"" type "\",\"hook\":\"" hook "\",\"prio\":" #priority             \
	",\"policy\":\"" policy "\"}}"
#define RULE(family, table, chain, handle, expr)                                           \
	",{\"rule\":{\"family\":\"" family "\",\"table\":\"" table "\",\"chain\":\"" chain \
	"\",\"handle\":" #handle ",\"expr\":[" expr "]}}"
#define LIST(items) "{\"nftables\":[{\"metainfo\":{}}," items "]}"
#define META(key, value)                                                                           \
	"{\"match\":{\"op\":\"==\",\"left\":{\"meta\":{\"key\":\"" key "\"}},\"right\":" value "}" \
	"}"
#define STATES(values) \
	"{\"match\":{\"op\":\"in\",\"left\":{\"ct\":{\"key\":\"state\"}},\"right\":[" values "]}}"
#define DADDR(value)                                                                      \
	"{\"match\":{\"op\":\"==\",\"left\":{\"payload\":{\"protocol\":\"ip\",\"field\":" \
	"\"daddr\"}},"                                                                    \
	"\"right\":\"" value "\"}}"
#define ACCEPT "{\"accept\":null}"
#define DROP   "{\"drop\":null}"

/* As Docker's engine leaves the filter table (iptables-nft 1.8.9), shortened. */
#define DOCKER                                                                                     \
	CHAIN("ip", "filter", "FORWARD", "filter", "forward", 0, "drop")                           \
	",{\"chain\":{\"family\":\"ip\",\"table\":\"filter\",\"name\":\"DOCKER-USER\"}}"           \
	",{\"chain\":{\"family\":\"ip\",\"table\":\"filter\",\"name\":\"DOCKER\"}}" RULE(          \
		"ip", "filter", "FORWARD", 5, "{\"jump\":{\"target\":\"DOCKER-USER\"}}")           \
		RULE("ip", "filter", "FORWARD", 6,                                                 \
		     META("oifname", "\"docker0\"") ",{\"xt\":null}," ACCEPT)                      \
			RULE("ip", "filter", "FORWARD", 7,                                         \
			     META("oifname", "\"docker0\"") ",{\"jump\":{\"target\":\"DOCKER\"}}") \
				RULE("ip", "filter", "FORWARD", 8,                                 \
				     META("iifname", "\"docker0\"") "," ACCEPT)                    \
					RULE("ip", "filter", "DOCKER-USER", 9,                     \
					     "{\"return\":null}")

static void sees_docker(void **state)
{
	(void)state;
	judge(LIST(DOCKER), cv_doctor_judge_firewall);
	expect("error", "the policy of ip filter FORWARD drops all new packets",
	       "iptables -I DOCKER-USER -i culvert0 -j ACCEPT");
	judge(LIST(DOCKER RULE("ip", "filter", "DOCKER-USER", 1,
			       META("iifname", "\"culvert0\"") "," ACCEPT)),
	      cv_doctor_judge_firewall);
	/* The rule of the list comes behind the return. */
	expect("error", "FORWARD drops", NULL);
}

/* Somebody allowed the first node, and forgot the second. */
static void sees_one_peer_of_two(void **state)
{
	(void)state;
#define OUT(expr)                                                       \
	LIST(CHAIN("inet", "f", "out", "filter", "output", 0, "accept") \
		     RULE("inet", "f", "out", 2, expr))
	input.no_fastpath = "a test";
	judge(LIST(CHAIN("inet", "f", "out", "filter", "output", 0, "drop")
			   RULE("inet", "f", "out", 2, DADDR("192.168.100.2") "," ACCEPT)),
	      cv_doctor_judge_firewall);
	expect("error", "the policy of inet f out drops IP protocol 4 to 192.168.200.2: ",
	       "nft insert rule inet f out meta l4proto 4 accept");
	judge(OUT(META("l4proto", "\"ipencap\"") "," DROP), cv_doctor_judge_firewall);
	expect("error", "rule 2 of inet f out drops IP protocol 4 to 192.168.100.2 and others",
	       NULL);
	/* The fast path's do not pass OUTPUT. */
	input.no_fastpath = NULL;
	judge(OUT(META("l4proto", "4") "," DROP), cv_doctor_judge_firewall);
	expect("warning", "the fast path's pass by it", NULL);
	judge(OUT(META("l4proto", "\"tcp\"") "," DROP), cv_doctor_judge_firewall);
	assert_int_equal(findings.troubles, 0);
	expect("ok", "no rule of netfilter", NULL);
}

static void knows_which_hooks_matter(void **state)
{
	(void)state;
	judge(LIST(CHAIN("ip", "f", "in", "filter", "input", 0, "accept")
			   RULE("ip", "f", "in", 2, META("l4proto", "4") "," DROP)),
	      cv_doctor_judge_firewall);
	assert_int_equal(findings.troubles, 0);
	expect("ok", "without effect on culvertd", NULL);
	judge(LIST(CHAIN("netdev", "f", "eg", "filter", "egress", 0, "accept")
			   RULE("netdev", "f", "eg", 2, META("l4proto", "4") "," DROP)),
	      cv_doctor_judge_firewall);
	expect("error", "what the tunnels send is lost", NULL);
	judge(LIST(CHAIN("netdev", "f", "in", "filter", "ingress", 0, "accept")
			   RULE("netdev", "f", "in", 2, META("l4proto", "4") "," DROP)),
	      cv_doctor_judge_firewall);
	expect("warning", "the engine does not get it", NULL);
	/* Other families are not IPv4's. */
	judge(LIST(CHAIN("ip6", "f", "out", "filter", "output", 0,
			 "drop") "," CHAIN("bridge", "f", "fwd", "filter", "forward", 0, "drop")),
	      cv_doctor_judge_firewall);
	assert_int_equal(findings.troubles, 0);
}

/* The most usual firewall there is makes a black hole of every path with a smaller MTU. */
static void sees_black_holes(void **state)
{
	(void)state;
#define IN(expr)                                                      \
	LIST(CHAIN("inet", "f", "in", "filter", "input", 0, "accept") \
		     RULE("inet", "f", "in", 2, expr))
	judge(IN(STATES("\"invalid\"") "," DROP), cv_doctor_judge_firewall);
	expect("warning", "fragmentation needed",
	       "nft insert rule inet f in icmp type destination-unreachable accept");
	/* Without fast path and notrack, conntrack knows what the error is about. */
	input.no_fastpath = "a test";
	report.nat_in_force = false;
	judge(IN(STATES("\"invalid\"") "," DROP), cv_doctor_judge_firewall);
	assert_int_equal(findings.troubles, 0);
}

/* As Felix leaves them with iptables-nft, and with its own table. */
static void sees_policies(void **state)
{
#define BARE(family, table, name) \
	"{\"chain\":{\"family\":\"" family "\",\"table\":\"" table "\",\"name\":\"" name "\"}}"
	static const char *const enforced[] = {
		LIST(BARE("ip", "filter", "cali-FORWARD") "," BARE("ip", "filter",
								   "cali-pi-_Gx7Qw")),
		LIST(BARE("ip", "calico", "filter-cali-po-_Gx7Qw")),
		LIST(BARE("ip", "filter", "KUBE-NWPLCY-5D2")),
	};
	json_t *listed;

	(void)state;
	for (size_t i = 0; i < sizeof(enforced) / sizeof(enforced[0]); i++) {
		forget();
		listed = json_loads(enforced[i], 0, NULL);
		assert_non_null(listed);
		cv_doctor_judge_policies(listed, &findings);
		json_decref(listed);
		expect("warning", "Culvert enforces none", "bypass off");
		assert_int_equal(findings.troubles, 1);
	}
	forget();
	listed = json_loads(LIST(BARE("ip", "filter", "cali-FORWARD")), 0, NULL);
	cv_doctor_judge_policies(listed, &findings);
	json_decref(listed);
	cv_doctor_judge_legacy("", &findings);
	assert_int_equal(findings.troubles, 0);
	cv_doctor_judge_legacy("nat\nfilter\n", &findings);
	expect("warning", "tables here (nat filter)", "iptables-legacy-save");
}

static void sees_the_wrong_number(void **state)
{
	(void)state;
	judge(LIST(CHAIN("inet", "f", "in", "filter", "input", 0, "accept")
			   RULE("inet", "f", "in", 2, META("l4proto", "\"ipip\"") "," ACCEPT)),
	      cv_doctor_judge_firewall);
	expect("warning", "protocol 94", "meta l4proto 4 accept");
}

static void sees_earlier_nat(void **state)
{
#define NAT(priority, expr)                                                  \
	LIST(CHAIN("ip", "f", "p", "nat", "postrouting", priority, "accept") \
		     RULE("ip", "f", "p", 2, expr "{\"masquerade\":null}"))
	(void)state;
	judge(NAT(80, ""), cv_doctor_judge_nat);
	expect("error", "rule 2 of ip f p translates", "nft insert rule ip f p oifname culvert0");
	judge(NAT(90, META("mark", "1") ","), cv_doctor_judge_nat);
	expect("warning", "perhaps translates", NULL);
	judge(NAT(80, META("oifname", "\"lo\"") ","), cv_doctor_judge_nat);
	assert_int_equal(findings.troubles, 0);
	judge(NAT(100, ""), cv_doctor_judge_nat);
	assert_int_equal(findings.troubles, 0);
	expect("ok", "natOutgoing is in force", NULL);
	/* With ours not there, all of them count. */
	report.nat_in_force = false;
	judge(NAT(100, ""), cv_doctor_judge_nat);
	expect("error", "our rule against that is not there", NULL);
	/* Ours is nobody's. */
	judge(LIST(CHAIN("ip", "culvert", "p", "nat", "postrouting", 90, "accept")
			   RULE("ip", "culvert", "p", 2, "{\"masquerade\":null}")),
	      cv_doctor_judge_nat);
	assert_int_equal(findings.troubles, 0);
}

/* ---- routes ------------------------------------------------------------------------------ */

static bool is_in_the_way(const char *prefix, uint8_t protocol, uint32_t metric)
{
	struct cv_table_route route = {
		.type = RTN_UNICAST, .protocol = protocol, .metric = metric, .oif = 2};

	assert_int_equal(cv_prefix_parse(prefix, &route.prefix), 0);
	return cv_doctor_check_route(&input, &route, &findings);
}

static void sees_routes_in_the_way(void **state)
{
	(void)state;
	assert_true(is_in_the_way("10.244.3.0/24", RTPROT_STATIC, 0));
	assert_true(is_in_the_way("10.244.3.0/24", RTPROT_STATIC, CV_METRIC_NODE));
	assert_true(is_in_the_way("10.244.3.7/32", RTPROT_STATIC, 4000));
	assert_true(is_in_the_way("10.244.2.0/25", RTPROT_BOOT, 0));
	expect("warning", "10.244.2.0/25 dev eth0", "ip route del 10.244.2.0/25 dev eth0");
	assert_true(is_in_the_way("10.244.77.0/24", RTPROT_BIRD, 0));
	expect("warning", "of bird, leads into the overlay", "ip route show proto 12");
	/* Behind ours, ours, our own pods', wider, and somewhere else. */
	assert_false(is_in_the_way("10.244.3.0/24", RTPROT_STATIC, CV_METRIC_NODE + 1));
	assert_false(is_in_the_way("10.244.3.0/24", CV_ROUTE_PROTOCOL, 0));
	assert_false(is_in_the_way("10.244.1.7/32", RTPROT_STATIC, 0));
	assert_false(is_in_the_way("10.244.1.0/24", RTPROT_KERNEL, 0));
	assert_false(is_in_the_way("10.244.1.64/26", RTPROT_BIRD, 0));
	assert_false(is_in_the_way("10.0.0.0/8", RTPROT_STATIC, 0));
	assert_false(is_in_the_way("0.0.0.0/0", RTPROT_BIRD, 0));
	assert_false(is_in_the_way("172.16.0.0/12", RTPROT_BIRD, 0));
}

/* ---- resources --------------------------------------------------------------------------- */

static void sees_resources(void **state)
{
	(void)state;
	cv_doctor_check_peers(&input, &findings);
	expect("error", "1 node has no bgp.ipv4Address, nowhere: nothing",
	       "culvert get node nowhere");
	forget();
	cv_doctor_check_self(&input, &findings);
	assert_int_equal(findings.troubles, 0);
	expect("ok", "this node is a1, 192.168.100.1/24", NULL);
	input.store_problem = "x.yaml:3:1: what";
	cv_doctor_check_store(&input, &findings);
	input.store_problem = NULL;
	expect("error", "x.yaml:3:1: what", NULL);
}

/* ---- probes ---------------------------------------------------------------------------------- */

static void finds_targets(void **state)
{
	struct cv_probe_target target;
	struct cv_error error;

	(void)state;
	assert_int_equal(cv_doctor_find_target(&input, "b1", &target, &error), 0);
	assert_int_equal(target.peer, cv_addr("192.168.200.2"));
	assert_int_equal(target.self, cv_addr("192.168.100.1"));
	assert_int_equal(target.inner_source, cv_addr("10.244.1.0"));
	assert_int_equal(target.inner_peer, cv_addr("10.244.3.0"));
	/* Its Node does not say: the first of its block, as it chooses itself. */
	assert_int_equal(cv_doctor_find_target(&input, "192.168.100.2", &target, &error), 0);
	assert_int_equal(target.inner_peer, cv_addr("10.244.2.0"));
	assert_int_equal(cv_doctor_find_target(&input, "192.0.2.9", &target, &error), 0);
	assert_int_equal(target.inner_peer, 0);
	assert_false(target.is_tunnel);
	assert_int_equal(cv_doctor_find_target(&input, "a1", &target, &error), -EINVAL);
	assert_int_equal(cv_doctor_find_target(&input, "192.168.100.1", &target, &error), -EINVAL);
	assert_int_equal(cv_doctor_find_target(&input, "nowhere", &target, &error), -ENOENT);
	assert_int_equal(cv_doctor_find_target(&input, "10.0.0.0/8", &target, &error), -ENOENT);
	assert_int_equal(cv_doctor_find_target(&input, "c3", &target, &error), -ENOENT);
}

#define ECHO                                               \
	{                                                  \
		.was_asked = true, .answer = CV_PROBE_ECHO \
	}
#define SILENCE                                               \
	{                                                     \
		.was_asked = true, .answer = CV_PROBE_SILENCE \
	}
#define ICMP(code_)                                                                    \
	{                                                                              \
		.was_asked = true, .answer = CV_PROBE_ICMP, .type = 3, .code = (code_) \
	}
#define REFUSED                                                                    \
	{                                                                          \
		.was_asked = true, .answer = CV_PROBE_ERROR, .error = -ENETUNREACH \
	}

static void finds_words(void **state)
{
	static const struct {
		struct cv_probe_result underlay, inner;
		bool by_4, delivered;
		const char *level, *words;
	} cases[] = {
		{ECHO, ECHO, true, true, "ok", "passes both ways"},
		{ECHO, ECHO, false, true, "ok", "came back outside the tunnel"},
		{ECHO, ECHO, true, false, "error", "this host does not deliver it"},
		{SILENCE, ECHO, true, true, "ok", "something filters ICMP"},
		{ECHO, SILENCE, false, false, "error", "allowed by its number"},
		{ECHO, SILENCE, false, false, "warning", "does not know this node"},
		{ECHO, ICMP(2), false, false, "error", "culvertd does not run"},
		{ECHO, ICMP(13), false, false, "error",
		 "administratively prohibited, says 192.168.200.2"},
		{SILENCE, SILENCE, false, false, "error", "on the underlay: no answer to 3"},
		{ICMP(1), SILENCE, false, false, "error", "host unreachable, says"},
		{REFUSED, SILENCE, false, false, "error",
		 "it cannot be sent: Network is unreachable"},
		{ECHO, {.was_asked = false}, false, false, "warning", "was not tried"},
	};
	struct cv_probe_target target;
	struct cv_error error;

	(void)state;
	assert_int_equal(cv_doctor_find_target(&input, "b1", &target, &error), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cv_probe_report probed = {
			.underlay = cases[i].underlay,
			.inner = cases[i].inner,
			.came_by_protocol_4 = cases[i].by_4,
			.was_delivered = cases[i].delivered,
		};

		probed.inner.offender = target.peer;
		forget();
		cv_doctor_judge_probe(&input, &target, &probed, &findings);
		expect(cases[i].level, cases[i].words, NULL);
	}
	assert_string_equal(cv_probe_icmp_text(3, 200), "an ICMP error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sees_docker, begin, end),
		cmocka_unit_test_setup_teardown(sees_one_peer_of_two, begin, end),
		cmocka_unit_test_setup_teardown(knows_which_hooks_matter, begin, end),
		cmocka_unit_test_setup_teardown(sees_black_holes, begin, end),
		cmocka_unit_test_setup_teardown(sees_the_wrong_number, begin, end),
		cmocka_unit_test_setup_teardown(sees_policies, begin, end),
		cmocka_unit_test_setup_teardown(sees_earlier_nat, begin, end),
		cmocka_unit_test_setup_teardown(sees_routes_in_the_way, begin, end),
		cmocka_unit_test_setup_teardown(sees_resources, begin, end),
		cmocka_unit_test_setup_teardown(finds_targets, begin, end),
		cmocka_unit_test_setup_teardown(finds_words, begin, end),
	};

	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
