/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rulesets as nft 1.0.6 lists them (`nft -j list ruleset`, and the same with numbers), and what
 * becomes of packets in them. tests/packet/doctor.t has the same with the kernel's own.
 */
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

#include "agent/ruleset.h"
#include "netns.h"

#define CHAIN(policy)                                                                \
	"{\"chain\":{\"family\":\"ip\",\"table\":\"t\",\"name\":\"c\",\"handle\":1," \
	"\"type\":\"filter\",\"hook\":\"output\",\"prio\":0,\"policy\":\"" policy "\"}}"
#define RULE_OF(chain, handle, expr)                                       \
	",{\"rule\":{\"family\":\"ip\",\"table\":\"t\",\"chain\":\"" chain \
	"\",\"handle\":" #handle ",\"expr\":[" expr "]}}"
#define RULE(handle, expr) RULE_OF("c", handle, expr)
#define MATCH(op, left, right) \
	"{\"match\":{\"op\":\"" op "\",\"left\":" left ",\"right\":" right "}}"
#define PROTOCOL "{\"payload\":{\"protocol\":\"ip\",\"field\":\"protocol\"}}"
#define L4PROTO	 "{\"meta\":{\"key\":\"l4proto\"}}"
#define SADDR	 "{\"payload\":{\"protocol\":\"ip\",\"field\":\"saddr\"}}"
#define DADDR	 "{\"payload\":{\"protocol\":\"ip\",\"field\":\"daddr\"}}"
#define DPORT	 "{\"payload\":{\"protocol\":\"tcp\",\"field\":\"dport\"}}"
#define TYPE	 "{\"payload\":{\"protocol\":\"icmp\",\"field\":\"type\"}}"
#define OIF	 "{\"meta\":{\"key\":\"oifname\"}}"
#define IIF	 "{\"meta\":{\"key\":\"iifname\"}}"
#define STATE	 "{\"ct\":{\"key\":\"state\"}}"
#define MARK	 "{\"meta\":{\"key\":\"mark\"}}"
#define ACCEPT	 "{\"accept\":null}"
#define DROP	 "{\"drop\":null}"
#define COUNTER	 "{\"counter\":{\"packets\":1,\"bytes\":60}}"

static struct cv_ruleset ruleset;
static struct cv_ruleset_culprit culprit;

/* What the first base chain makes of a packet. */
static enum cv_ruleset_fate judge_as(const char *text, const struct cv_ruleset_packet *packet,
				     bool is_nat)
{
	json_t *listed = json_loads(text, 0, NULL);
	enum cv_ruleset_fate fate;

	assert_non_null(listed);
	cv_ruleset_fini(&ruleset);
	assert_int_equal(cv_ruleset_init(&ruleset, listed), 0);
	json_decref(listed);
	fate = cv_ruleset_judge(&ruleset, json_array_get(ruleset.chains, 0), packet, is_nat,
				&culprit);
	return fate;
}

static struct cv_ruleset_packet outer(void)
{
	return (struct cv_ruleset_packet){
		.protocol = 4,
		.source = cv_addr("192.168.100.1"),
		.destination = cv_addr("192.168.200.2"),
		.iif = "",
		.oif = "eth0",
		.ct_state = "untracked",
	};
}

static enum cv_ruleset_fate judge(const char *text)
{
	const struct cv_ruleset_packet packet = outer();

	return judge_as(text, &packet, false);
}

static json_int_t handle(void)
{
	return json_integer_value(json_object_get(culprit.rule, "handle"));
}

#define RULES(policy, rules) "{\"nftables\":[" CHAIN(policy) rules "]}"

static void obeys_policies(void **state)
{
	(void)state;
	assert_int_equal(judge(RULES("accept", "")), CV_FATE_PASSES);
	assert_int_equal(judge(RULES("drop", "")), CV_FATE_HIT);
	assert_null(culprit.rule);
	assert_int_equal(judge(RULES("drop", RULE(2, COUNTER "," ACCEPT))), CV_FATE_PASSES);
	assert_int_equal(judge(RULES("accept", RULE(2, COUNTER "," DROP))), CV_FATE_HIT);
	assert_int_equal(handle(), 2);
}

/* One match and what it says of the packet above: 2 yes, 1 perhaps, 0 no. */
static void judges_matches(void **state)
{
	static const struct {
		const char *op, *left, *right;
		int truth;
	} cases[] = {
		{"==", PROTOCOL, "4", 2},
		{"==", PROTOCOL, "\"ipencap\"", 2},
		{"==", PROTOCOL, "\"ipip\"", 0}, /* 94 */
		{"!=", PROTOCOL, "4", 0},
		{"!=", PROTOCOL, "\"tcp\"", 2},
		{"==", L4PROTO, "{\"set\":[1,\"ipencap\"]}", 2},
		{"==", L4PROTO, "{\"set\":[\"tcp\",\"udp\"]}", 0},
		{"!=", L4PROTO, "{\"set\":[\"tcp\",\"udp\"]}", 2},
		{"==", L4PROTO, "{\"range\":[3,5]}", 2},
		{"==", L4PROTO, "{\"range\":[5,200]}", 0},
		{"<", L4PROTO, "5", 1},
		{"==", SADDR, "\"192.168.100.1\"", 2},
		{"==", SADDR, "\"192.168.100.2\"", 0},
		{"==", SADDR, "{\"prefix\":{\"addr\":\"192.168.0.0\",\"len\":16}}", 2},
		{"==", SADDR, "{\"prefix\":{\"addr\":\"0.0.0.0\",\"len\":0}}", 2},
		{"==", SADDR, "{\"prefix\":{\"addr\":\"192.168.200.0\",\"len\":24}}", 0},
		{"!=", DADDR, "{\"prefix\":{\"addr\":\"192.168.200.0\",\"len\":24}}", 0},
		{"==", DADDR, "{\"range\":[\"192.168.200.1\",\"192.168.200.9\"]}", 2},
		{"==", DADDR, "{\"set\":[{\"elem\":{\"val\":\"192.168.200.2\",\"timeout\":9}}]}",
		 2},
		{"==", DADDR, "\"@peers\"", 2},
		{"==", SADDR, "\"@peers\"", 0},
		{"==", SADDR, "\"@nobody\"", 1},
		{"==", OIF, "\"eth0\"", 2},
		{"==", OIF, "\"eth*\"", 2},
		{"==", OIF, "\"docker*\"", 0},
		{"!=", OIF, "\"lo\"", 2},
		{"==", IIF, "\"lo\"", 0},
		{"in", STATE, "[\"established\",\"related\"]", 0},
		{"in", STATE, "[2,4]", 0},
		{"in", STATE, "[\"new\",\"untracked\"]", 2},
		{"in", STATE, "[8,64]", 2},
		{"in", STATE, "\"invalid\"", 0},
		{"!=", STATE, "64", 0},
		{"==", "{\"meta\":{\"key\":\"nfproto\"}}", "\"ipv4\"", 2},
		{"==", "{\"meta\":{\"key\":\"nfproto\"}}", "2", 2},
		{"==", "{\"meta\":{\"key\":\"protocol\"}}", "\"ip\"", 2},
		{"==", "{\"meta\":{\"key\":\"protocol\"}}", "8", 2},
		{"==", "{\"meta\":{\"key\":\"protocol\"}}", "\"ip6\"", 0},
		{"==", DPORT, "22", 0},
		{"!=", DPORT, "22", 0}, /* it has no such field */
		{"==", TYPE, "\"echo-request\"", 0},
		{"==", MARK, "1", 1},
		{"!=", MARK, "1", 1},
		{"==", "{\"&\":[" MARK ",16]}", "16", 1},
		{"==", "{\"payload\":{\"protocol\":\"ip6\",\"field\":\"saddr\"}}", "\"::1\"", 0},
	};
	static const char set[] = ",{\"set\":{\"family\":\"ip\",\"name\":\"peers\",\"table\":\"t\","
				  "\"elem\":[\"1.2.3.4\","
				  "{\"prefix\":{\"addr\":\"192.168.200.0\",\"len\":24}}]}}";
	static const enum cv_ruleset_fate fates[] = {CV_FATE_PASSES, CV_FATE_MAYBE, CV_FATE_HIT};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[2048];

		snprintf(text, sizeof(text),
			 "{\"nftables\":[" CHAIN("accept") "%s" RULE(
				 7, MATCH("%s", "%s", "%s") "," DROP) "]}",
			 set, cases[i].op, cases[i].left, cases[i].right);
		if (judge(text) != fates[cases[i].truth])
			fail_msg("%s %s %s: not %d", cases[i].left, cases[i].op, cases[i].right,
				 cases[i].truth);
	}
}

static void follows_jumps(void **state)
{
	(void)state;
#define JUMP   "{\"jump\":{\"target\":\"d\"}}"
#define GOTO   "{\"goto\":{\"target\":\"d\"}}"
#define RETURN "{\"return\":null}"
	assert_int_equal(judge(RULES("accept", RULE(2, JUMP) RULE_OF("d", 3, DROP))), CV_FATE_HIT);
	assert_int_equal(handle(), 3);
	assert_int_equal(judge(RULES("drop", RULE(2, JUMP) RULE_OF("d", 3, ACCEPT))),
			 CV_FATE_PASSES);
	/* Back from a jump, on with the next rule; back from a goto, at the chain's end. */
	assert_int_equal(
		judge(RULES("accept", RULE(2, JUMP) RULE(4, DROP) RULE_OF("d", 3, RETURN))),
		CV_FATE_HIT);
	assert_int_equal(handle(), 4);
	assert_int_equal(
		judge(RULES("accept", RULE(2, GOTO) RULE(4, DROP) RULE_OF("d", 3, COUNTER))),
		CV_FATE_PASSES);
	assert_int_equal(judge(RULES("accept", RULE(2, MATCH("==", MARK, "1") "," JUMP)
						       RULE_OF("d", 3, DROP))),
			 CV_FATE_MAYBE);
	/* In a circle, which the kernel would not take: the walk ends. */
	assert_int_equal(judge(RULES("accept", RULE(2, JUMP) RULE_OF("d", 3, JUMP))),
			 CV_FATE_PASSES);
}

static void tells_perhaps_from_surely(void **state)
{
	(void)state;
	/* Whoever has the mark passes, all others do not. */
	assert_int_equal(judge(RULES("drop", RULE(2, MATCH("==", MARK, "1") "," ACCEPT))),
			 CV_FATE_MAYBE);
	assert_null(culprit.rule);
	assert_int_equal(judge(RULES("accept", RULE(2, MATCH("==", MARK, "1") "," DROP))),
			 CV_FATE_MAYBE);
	assert_int_equal(handle(), 2);
	assert_int_equal(judge(RULES("accept",
				     RULE(2, "{\"limit\":{\"rate\":3,\"per\":\"second\"}}," DROP))),
			 CV_FATE_MAYBE);
	/* A no is a no, whatever else is not known. */
	assert_int_equal(judge(RULES("accept", RULE(2, MATCH("==", MARK, "1") "," MATCH(
							       "==", PROTOCOL, "6") "," DROP))),
			 CV_FATE_PASSES);
}

static void reads_verdict_maps(void **state)
{
#define VMAP(pairs) "{\"vmap\":{\"key\":" STATE ",\"data\":{\"set\":[" pairs "]}}}"
	(void)state;
	assert_int_equal(judge(RULES("drop", RULE(2, VMAP("[\"invalid\"," DROP
							  "],[\"untracked\"," ACCEPT "]")))),
			 CV_FATE_PASSES);
	assert_int_equal(judge(RULES("accept", RULE(2, VMAP("[1," ACCEPT "],[64," DROP "]")))),
			 CV_FATE_HIT);
	assert_int_equal(judge(RULES("accept", RULE(2, VMAP("[1," DROP "]")))), CV_FATE_PASSES);
}

/* iptables-nft's extensions, as nft 1.0.6 and later ones list them. */
static void reads_what_iptables_wrote(void **state)
{
	static const char *const surely[] = {
		RULES("accept", RULE(2, MATCH("==", PROTOCOL, "4") ",{\"xt\":{\"type\":\"target\","
								   "\"name\":\"REJECT\"}}")),
	};
	static const char *const perhaps[] = {
		RULES("accept", RULE(2, MATCH("==", PROTOCOL, "4") ",{\"xt\":null}")),
		RULES("accept", RULE(2, "{\"xt\":null}," DROP)),
		RULES("accept",
		      RULE(2, "{\"xt\":{\"type\":\"match\",\"name\":\"comment\"}}," DROP)),
	};
	static const char *const passes[] = {
		RULES("accept", RULE(2, MATCH("==", PROTOCOL, "6") ",{\"xt\":null}")),
		RULES("accept", RULE(2, "{\"xt\":{\"type\":\"target\",\"name\":\"LOG\"}}")),
		RULES("accept", RULE(2, "{\"xt\":null}," ACCEPT)),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(surely) / sizeof(surely[0]); i++)
		assert_int_equal(judge(surely[i]), CV_FATE_HIT);
	for (size_t i = 0; i < sizeof(perhaps) / sizeof(perhaps[0]); i++)
		assert_int_equal(judge(perhaps[i]), CV_FATE_MAYBE);
	for (size_t i = 0; i < sizeof(passes) / sizeof(passes[0]); i++)
		assert_int_equal(judge(passes[i]), CV_FATE_PASSES);
}

static void judges_translation(void **state)
{
	static const char text[] =
		"{\"nftables\":[{\"chain\":{\"family\":\"ip\",\"table\":\"t\",\"name\":\"c\","
		"\"type\":\"nat\",\"hook\":\"postrouting\",\"prio\":80,\"policy\":\"accept\"}"
		"}" RULE(2, MATCH("==", DADDR,
				  "{\"prefix\":{\"addr\":\"10.0.0.0\",\"len\":8}}") "," ACCEPT)
			RULE(3, MATCH("!=", OIF, "\"lo\"") ",{\"masquerade\":null}") "]}";
	struct cv_ruleset_packet packet = outer();

	(void)state;
	assert_int_equal(judge_as(text, &packet, true), CV_FATE_HIT);
	assert_int_equal(handle(), 3);
	packet.destination = cv_addr("10.244.3.7");
	assert_int_equal(judge_as(text, &packet, true), CV_FATE_PASSES);
	packet.destination = 0;
	assert_int_equal(judge_as(text, &packet, true), CV_FATE_MAYBE);
	packet = outer();
	packet.oif = "lo";
	assert_int_equal(judge_as(text, &packet, true), CV_FATE_PASSES);
	assert_true(cv_ruleset_is_hook(json_array_get(ruleset.chains, 0), "postrouting"));
	assert_false(cv_ruleset_is_hook(json_array_get(ruleset.chains, 0), "output"));
}

static void knows_devices(void **state)
{
	char name[CV_RULESET_NAME_MAX];
	json_t *chain = json_loads("{\"family\":\"netdev\",\"table\":\"t\",\"name\":\"in\","
				   "\"hook\":\"ingress\",\"dev\":\"eth0\"}",
				   0, NULL);

	(void)state;
	assert_true(cv_ruleset_is_on_device(chain, "eth0"));
	assert_false(cv_ruleset_is_on_device(chain, "eth1"));
	json_object_set_new(chain, "dev", json_pack("[s, s]", "eth1", "eth2"));
	assert_false(cv_ruleset_is_on_device(chain, "eth0"));
	assert_true(cv_ruleset_is_on_device(chain, "eth2"));
	json_object_del(chain, "dev"); /* nft 1.0.6 */
	assert_true(cv_ruleset_is_on_device(chain, "eth0"));
	assert_string_equal(cv_ruleset_chain_name(chain, name), "netdev t in");
	json_decref(chain);
}

/* Whatever is listed: no crash, and "passes" where there is nothing to say. */
static void survives_nonsense(void **state)
{
	static const char *const lists[] = {
		RULES("accept", RULE(2, "")),
		RULES("accept", RULE(2, "null,1,\"x\",[]")),
		RULES("accept", RULE(2, "{\"jump\":null}")),
		RULES("accept", RULE(2, "{\"vmap\":{}}")),
		RULES("accept", RULE(2, "{\"match\":null}")),
		RULES("accept", ",{\"rule\":{}},{\"set\":{}},{\"chain\":{}},null,7"),
	};
	json_t *none = json_object();

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		assert_int_equal(judge(lists[i]), CV_FATE_PASSES);
	/* A match that is none may be anything. */
	assert_int_equal(judge(RULES("accept", RULE(2, "{\"match\":{}}," DROP))), CV_FATE_MAYBE);
	cv_ruleset_fini(&ruleset);
	assert_int_equal(cv_ruleset_init(&ruleset, none), -EINVAL);
	json_decref(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(obeys_policies),     cmocka_unit_test(judges_matches),
		cmocka_unit_test(follows_jumps),      cmocka_unit_test(tells_perhaps_from_surely),
		cmocka_unit_test(reads_verdict_maps), cmocka_unit_test(reads_what_iptables_wrote),
		cmocka_unit_test(judges_translation), cmocka_unit_test(knows_devices),
		cmocka_unit_test(survives_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
