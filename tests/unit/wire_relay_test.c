/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of ICMP errors from within the tunnel: RFC 2003, 4 as a table, type by
 * type and code by code, and everything that is not in it: nothing.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "wire/icmp.h"

enum {
	NEVER = -1
};

/* What is sent to the original sender, and which state is kept. */
struct rule {
	const char *section;
	uint8_t type, code;
	int to_type, to_code;
	bool broken, mtu;
};

/* With a fixed TTL; the differences with an inherited one have a test of their own. */
static const struct rule rules[] = {
	{"4.1 net unreachable: SHOULD, code MUST be 0", 3, 0, 3, 0, true, false},
	{"4.1 host unreachable: SHOULD be relayed", 3, 1, 3, 1, true, false},
	{"4.1 protocol unreachable: as code 0", 3, 2, 3, 0, true, false},
	{"4.1 port unreachable: MUST NOT", 3, 3, NEVER, 0, false, false},
	{"4.1 datagram too big: MUST", 3, 4, 3, 4, false, true},
	{"4.1 source route failed: MUST NOT", 3, 5, NEVER, 0, false, false},
	{"net unknown", 3, 6, 3, 0, true, false},
	{"host unknown", 3, 7, 3, 1, true, false},
	{"source host isolated", 3, 8, 3, 0, true, false},
	{"net prohibited", 3, 9, 3, 0, true, false},
	{"host prohibited", 3, 10, 3, 1, true, false},
	{"net unreachable for TOS", 3, 11, 3, 0, false, false},
	{"host unreachable for TOS", 3, 12, 3, 1, false, false},
	{"communication prohibited", 3, 13, 3, 0, true, false},
	{"host precedence violation", 3, 14, 3, 1, false, false},
	{"precedence cutoff", 3, 15, 3, 0, false, false},
	{"4.2 source quench: SHOULD NOT", 4, 0, NEVER, 0, false, false},
	{"4.3 redirect: MUST NOT", 5, 0, NEVER, 0, false, false},
	{"4.3 redirect: MUST NOT", 5, 1, NEVER, 0, false, false},
	{"4.3 redirect: MUST NOT", 5, 2, NEVER, 0, false, false},
	{"4.3 redirect: MUST NOT", 5, 3, NEVER, 0, false, false},
	{"4.4 time exceeded: MUST, as 3/1", 11, 0, 3, 1, true, false},
	{"4.4 reassembly time exceeded: the same", 11, 1, 3, 1, false, false},
	/* 4.5 parameter problem: below. */
};

static const struct rule *find_rule(unsigned int type, unsigned int code)
{
	static const struct rule nothing = {.section = "not in the table", .to_type = NEVER};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].type == type && rules[i].code == code)
			return &rules[i];
	return &nothing;
}

static const struct cv_ipip_params fixed = {.ttl = 64, .tos = 0, .pmtudisc = true};
static const struct cv_ipip_params inherit = {.ttl = 0, .tos_inherit = true};

static void check_nothing(struct cv_icmp_relay relay)
{
	assert_int_equal(relay.action, CV_ICMP_RELAY_NONE);
	assert_int_equal(relay.type, 0);
	assert_int_equal(relay.code, 0);
	assert_int_equal(relay.pointer, 0);
	assert_int_equal(relay.mtu, 0);
}

static void rfc_2003_4_every_type_and_code(void **state)
{
	(void)state;
	for (unsigned int type = 0; type < 256; type++) {
		for (unsigned int code = 0; code < 256; code++) {
			const struct rule *rule = find_rule(type, code);
			struct cv_icmp_relay relay;

			if (type == 12)
				continue;
			relay = cv_icmp_relay_rule((uint8_t)type, (uint8_t)code, 1400, &fixed);
			assert_int_equal(relay.soft_state_unreachable, rule->broken);
			assert_int_equal(relay.soft_state_mtu, rule->mtu);
			if (rule->to_type == NEVER) {
				check_nothing(relay);
				continue;
			}
			assert_int_equal(relay.action, CV_ICMP_RELAY_SEND);
			assert_int_equal(relay.type, rule->to_type);
			assert_int_equal(relay.code, rule->to_code);
			assert_int_equal(relay.pointer, 0);
			assert_int_equal(relay.mtu, rule->mtu ? 1380 : 0);
		}
	}
}

/* RFC 2003, 5.1: "the MTU of the tunnel minus the size of the encapsulating header". */
static void rfc_2003_5_1_mtu(void **state)
{
	(void)state;
	for (uint32_t mtu = 0; mtu <= 65535; mtu++) {
		struct cv_icmp_relay relay = cv_icmp_relay_rule(3, 4, mtu, &fixed);

		assert_int_equal(relay.action, CV_ICMP_RELAY_SEND);
		/* RFC 1191, 3: no host goes below 68. */
		assert_int_equal(relay.mtu, mtu < 88 ? 68 : mtu - 20);
	}
}

/*
 * RFC 2003, 4.4, with a TTL from the inner packet: it is reported, but the tunnel is
 * not broken for others.
 */
static void rfc_2003_4_4_inherited_ttl(void **state)
{
	struct cv_icmp_relay relay = cv_icmp_relay_rule(11, 0, 0, &inherit);

	(void)state;
	assert_int_equal(relay.action, CV_ICMP_RELAY_SEND);
	assert_int_equal(relay.type, 3);
	assert_int_equal(relay.code, 1);
	assert_false(relay.soft_state_unreachable);
	assert_true(cv_icmp_relay_rule(3, 1, 0, &inherit).soft_state_unreachable);
}

/* RFC 2003, 4.5: only what was copied from the original packet may be relayed. */
static void rfc_2003_4_5_parameter_problem(void **state)
{
	(void)state;
	for (unsigned int pointer = 0; pointer < 256; pointer++) {
		for (unsigned int inherits = 0; inherits < 2; inherits++) {
			struct cv_icmp_relay relay =
				cv_icmp_relay_rule(12, 0, pointer, inherits ? &inherit : &fixed);

			assert_false(relay.soft_state_unreachable);
			assert_false(relay.soft_state_mtu);
			if (pointer < 20 && !(pointer == 1 && inherits)) {
				check_nothing(relay);
				continue;
			}
			assert_int_equal(relay.action, CV_ICMP_RELAY_SEND);
			assert_int_equal(relay.type, 12);
			assert_int_equal(relay.code, 0);
			assert_int_equal(relay.pointer, pointer < 20 ? 1 : pointer - 20);
			assert_int_equal(relay.mtu, 0);
		}
	}
	/* Code 1 is a missing option (RFC 1108), code 2 a bad length: of the outer one. */
	for (unsigned int code = 1; code < 256; code++)
		check_nothing(cv_icmp_relay_rule(12, (uint8_t)code, 40, &inherit));
	check_nothing(cv_icmp_relay_rule(12, 0, 256, &inherit));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_2003_4_every_type_and_code),
		cmocka_unit_test(rfc_2003_5_1_mtu),
		cmocka_unit_test(rfc_2003_4_4_inherited_ttl),
		cmocka_unit_test(rfc_2003_4_5_parameter_problem),
	};

	return cmocka_run_group_tests_name("wire_relay", tests, NULL, NULL);
}
