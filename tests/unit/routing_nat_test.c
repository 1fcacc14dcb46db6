/* SPDX-License-Identifier: Apache-2.0 */
/* routing/nat and net/nft: the script, comparing, and the table in the kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/nft.h"
#include "netns.h"
#include "routing/nat.h"

enum {
	MANY = 5000
};

static struct cv_prefix overlay[2], sources[1], hosts[2];

static struct cv_prefix prefix(const char *text)
{
	struct cv_prefix result;

	assert_int_equal(cv_prefix_parse(text, &result), 0);
	return result;
}

static struct cv_nat_intent usual(void)
{
	struct cv_nat_intent nat = {
		.wanted = true,
		.sources = sources,
		.source_count = 1,
		.overlay = overlay,
		.overlay_count = 2,
		.device = "tunl-cv",
		.tunnel_address = cv_addr("10.244.1.1"),
		.outer_source = cv_addr("192.0.2.1"),
	};

	sources[0] = prefix("10.244.0.0/16");
	overlay[0] = prefix("10.244.0.0/16");
	overlay[1] = prefix("10.250.0.0/24");
	hosts[0] = prefix("192.0.2.1/32");
	hosts[1] = prefix("192.0.2.2/32");
	return nat;
}

/* ---- the script ------------------------------------------------------------------------ */

#define SERVICES                                                                                 \
	"\t\tip saddr @overlay ip daddr @overlay ct status dnat meta mark != 0x00000000 return " \
	"comment \"a service, marked for masquerading\"\n"

#define HEAD                        \
	"add table ip culvert\n"    \
	"delete table ip culvert\n" \
	"table ip culvert {\n"      \
	"\tset overlay {\n"         \
	"\t\ttype ipv4_addr; flags interval;\n"

static void assert_script(const struct cv_nat_intent *nat, const char *text)
{
	char *script = cv_nat_script(nat);

	assert_non_null(script);
	assert_string_equal(script, text);
	free(script);
}

static void test_script_of_all(void **state)
{
	struct cv_nat_intent nat = usual();

	(void)state;
	nat.hosts = hosts;
	nat.host_count = 2;
	nat.port_first = 32768;
	nat.port_last = 65535;
	assert_script(&nat,
		      HEAD "\t\telements = { 10.244.0.0/16,\n"
			   "\t\t\t10.250.0.0/24 }\n"
			   "\t}\n"
			   "\tset sources {\n"
			   "\t\ttype ipv4_addr; flags interval;\n"
			   "\t\telements = { 10.244.0.0/16 }\n"
			   "\t}\n"
			   "\tset hosts {\n"
			   "\t\ttype ipv4_addr; flags interval;\n"
			   "\t\telements = { 192.0.2.1/32,\n"
			   "\t\t\t192.0.2.2/32 }\n"
			   "\t}\n"
			   "\tchain prerouting {\n"
			   "\t\ttype filter hook prerouting priority raw;\n"
			   "\t\tip daddr 192.0.2.1 ip protocol 4 notrack "
			   "comment \"tunnel packets to this node\"\n"
			   "\t}\n"
			   "\tchain output {\n"
			   "\t\ttype filter hook output priority raw;\n"
			   "\t\tip saddr 192.0.2.1 ip protocol 4 notrack "
			   "comment \"tunnel packets of this node\"\n"
			   "\t}\n"
			   "\tchain postrouting {\n"
			   "\t\ttype nat hook postrouting priority srcnat - 10;\n" SERVICES
			   "\t\tip saddr @overlay ip daddr @overlay snat to ip saddr "
			   "comment \"within the overlay: as it is\"\n"
			   "\t\tip saddr @overlay ip daddr @hosts snat to ip saddr "
			   "comment \"natOutgoingExclusions: as it is\"\n"
			   "\t\toifname \"tunl-cv\" ip saddr @overlay snat to ip saddr "
			   "comment \"tunnelled: as it is\"\n"
			   "\t\toifname \"tunl-cv\" ip saddr != 10.244.1.1 fib saddr type local "
			   "snat to 10.244.1.1 fully-random "
			   "comment \"this node's other addresses: replies come back tunnelled\"\n"
			   "\t\tip saddr @sources ip daddr != @overlay meta l4proto { tcp, udp } "
			   "masquerade to :32768-65535 fully-random comment \"natOutgoing\"\n"
			   "\t\tip saddr @sources ip daddr != @overlay masquerade fully-random "
			   "comment \"natOutgoing\"\n"
			   "\t}\n"
			   "}\n");
}

static void test_script_of_next_to_nothing(void **state)
{
	const struct cv_nat_intent nat = {.wanted = true};

	(void)state;
	assert_script(&nat, HEAD "\t}\n"
				 "\tchain postrouting {\n"
				 "\t\ttype nat hook postrouting priority srcnat - 10;\n" SERVICES
				 "\t\tip saddr @overlay ip daddr @overlay snat to ip saddr "
				 "comment \"within the overlay: as it is\"\n"
				 "\t}\n"
				 "}\n");
}

static void assert_has(const struct cv_nat_intent *nat, const char *text)
{
	char *script = cv_nat_script(nat);

	assert_non_null(script);
	if (!strstr(script, text))
		fail_msg("no \"%s\" in:\n%s", text, script);
	free(script);
}

static void test_script_with_a_fixed_address(void **state)
{
	struct cv_nat_intent nat = usual();

	(void)state;
	nat.address = cv_addr("203.0.113.9");
	assert_has(&nat,
		   "@overlay snat to 203.0.113.9 fully-random comment \"natOutgoing\"\n\t}\n");
	nat.port_first = 1024;
	nat.port_last = 1024;
	assert_has(&nat, "{ tcp, udp } snat to 203.0.113.9:1024-1024 fully-random");
}

/* What nft would refuse for its overlaps: the same host twice, a host in a prefix. */
static void test_script_merges_overlaps(void **state)
{
	struct cv_prefix many[] = {prefix("192.0.2.2/32"), prefix("192.0.2.2/32"),
				   prefix("198.51.100.0/24"), prefix("198.51.100.7/32"),
				   prefix("192.0.2.3/32")};
	struct cv_nat_intent nat = usual();

	(void)state;
	nat.hosts = many;
	nat.host_count = 5;
	assert_has(&nat, "elements = { 192.0.2.2/31,\n\t\t\t198.51.100.0/24 }");
}

/* ---- comparing -------------------------------------------------------------------------- */

static void test_equal(void **state)
{
	const struct cv_nat_intent a = usual();
	struct cv_nat_intent b = usual();
	struct cv_prefix other[2] = {overlay[0], prefix("10.250.0.0/25")};

	(void)state;
	assert_true(cv_nat_equal(&a, &b));
#define DIFFERS(change)                             \
	do {                                        \
		b = usual();                        \
		(change);                           \
		assert_false(cv_nat_equal(&a, &b)); \
		assert_false(cv_nat_equal(&b, &a)); \
	} while (0)
	DIFFERS(b.wanted = false);
	DIFFERS(b.source_count = 0);
	DIFFERS(b.overlay_count = 1);
	DIFFERS(b.overlay = other);
	DIFFERS((b.hosts = hosts, b.host_count = 1));
	DIFFERS(b.port_first = 1);
	DIFFERS(b.port_last = 1);
	DIFFERS(b.address = cv_addr("192.0.2.1"));
	DIFFERS(b.device[0] = 'x');
	DIFFERS(b.tunnel_address = 0);
	DIFFERS(b.outer_source = 0);
#undef DIFFERS
	b = usual();
	b.overlay = (struct cv_prefix[]){overlay[0], overlay[1]};
	assert_true(cv_nat_equal(&a, &b));
}

/* ---- in the kernel ------------------------------------------------------------------------ */

static struct cv_error error;

static int apply(struct cv_nat *nat, const struct cv_nat_intent *wanted, bool look)
{
	int result;

	error.text[0] = '\0';
	result = cv_nat_apply(nat, wanted, look, &error);
	if (result < 0)
		print_message("# %s\n", error.text);
	return result;
}

static void test_makes_and_removes(void **state)
{
	struct cv_nat *nat = cv_nat_create(false);
	struct cv_nat_intent wanted = usual();

	(void)state;
	cv_netns_enter_new();
	wanted.wanted = false;
	assert_int_equal(apply(nat, &wanted, true), 0);
	wanted = usual();
	assert_int_equal(apply(nat, &wanted, false), 1);
	cv_sh("nft list chain ip culvert postrouting | grep -q masquerade");
	assert_int_equal(apply(nat, &wanted, false), 0);
	assert_int_equal(apply(nat, &wanted, true), 0);
	/* A change: the whole anew. */
	wanted.hosts = hosts;
	wanted.host_count = 2;
	assert_int_equal(apply(nat, &wanted, false), 1);
	cv_sh("nft list set ip culvert hosts | grep -q 192.0.2.1");
	wanted.wanted = false;
	assert_int_equal(apply(nat, &wanted, false), 1);
	cv_sh("test -z \"$(nft list ruleset)\"");
	assert_int_equal(apply(nat, &wanted, true), 0);
	cv_nat_destroy(nat);
	cv_nat_destroy(NULL);
}

static void test_what_a_former_daemon_has_left(void **state)
{
	struct cv_nat *nat;
	struct cv_nat_intent wanted = usual();

	(void)state;
	cv_netns_enter_new();
	cv_sh("nft 'table ip culvert { chain old { type nat hook postrouting priority 5; }; }'");
	nat = cv_nat_create(true);
	assert_int_equal(apply(nat, &wanted, false), 1);
	assert_int_not_equal(cv_sh_status("nft list chain ip culvert old 2>/dev/null"), 0);
	cv_nat_destroy(nat);
	nat = cv_nat_create(true);
	wanted.wanted = false;
	assert_int_equal(apply(nat, &wanted, false), 1);
	cv_sh("test -z \"$(nft list ruleset)\"");
	/* It was there, the state file says; somebody has flushed it. */
	cv_nat_destroy(nat);
	nat = cv_nat_create(true);
	assert_int_equal(apply(nat, &wanted, false), 0);
	assert_int_equal(cv_nat_purge(&error), 0);
	wanted = usual();
	assert_int_equal(apply(nat, &wanted, false), 1);
	assert_int_equal(cv_nat_purge(&error), 1);
	cv_sh("test -z \"$(nft list ruleset)\"");
	cv_nat_destroy(nat);
}

static const char delete_rule[] =
	"nft delete rule ip culvert postrouting handle $(nft -a list chain ip culvert postrouting |"
	" sed -n 's/.*tunnelled: as.*handle //p')";

static void test_notices_every_change(void **state)
{
	static const char *const changes[] = {
		"nft flush ruleset",
		"nft delete table ip culvert",
		"nft flush chain ip culvert postrouting",
		"nft flush chain ip culvert output",
		"nft flush chain ip culvert prerouting && nft delete chain ip culvert prerouting",
		delete_rule,
		"nft insert rule ip culvert postrouting accept",
		"nft add rule ip culvert output counter",
		"nft delete element ip culvert overlay '{ 10.250.0.0/24 }'",
		"nft add element ip culvert sources '{ 10.9.0.0/16 }'",
		"nft add chain ip culvert mine",
		"nft 'add set ip culvert mine { type ipv4_addr; }'",
		"nft 'add chain ip culvert postrouting { policy drop; }'",
	};
	struct cv_nat *nat = cv_nat_create(false);
	const struct cv_nat_intent wanted = usual();

	(void)state;
	cv_netns_enter_new();
	assert_int_equal(apply(nat, &wanted, true), 1);
	cv_sh("nft list table ip culvert >/tmp/culvert-nat-test.%d", getpid());
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		cv_sh("%s", changes[i]);
		assert_int_equal(apply(nat, &wanted, false), 0);
		if (apply(nat, &wanted, true) != 1)
			fail_msg("not noticed: %s", changes[i]);
		cv_sh("nft list table ip culvert | cmp - /tmp/culvert-nat-test.%d", getpid());
	}
	/* What concerns others is no change, though it moves the handles. */
	cv_sh("nft 'table ip culvert2 { chain c { }; }; table ip6 culvert { chain c { }; }' && "
	      "nft delete table ip culvert2");
	assert_int_equal(apply(nat, &wanted, true), 0);
	cv_sh("rm /tmp/culvert-nat-test.%d", getpid());
	cv_nat_destroy(nat);
}

static void test_many_hosts(void **state)
{
	struct cv_prefix *many = calloc(MANY, sizeof(*many));
	struct cv_nat *nat = cv_nat_create(false);
	struct cv_nat_intent wanted = usual();
	json_t *list;

	(void)state;
	assert_non_null(many);
	cv_netns_enter_new();
	for (uint32_t i = 0; i < MANY; i++)
		many[i] = cv_prefix_of(htonl(0xac100000 + 2 * i), 32);
	wanted.hosts = many;
	wanted.host_count = MANY;
	assert_int_equal(apply(nat, &wanted, false), 1);
	assert_int_equal(apply(nat, &wanted, true), 0);
	cv_sh("nft get element ip culvert hosts '{ 172.16.0.2 }' >/dev/null && "
	      "! nft get element ip culvert hosts '{ 172.16.0.3 }' 2>/dev/null");
	assert_int_equal(cv_nft_list("list set ip culvert hosts", &list), 0);
	json_decref(list);
	free(many);
	cv_nat_destroy(nat);
}

/* ---- net/nft ------------------------------------------------------------------------------- */

static void test_nft_says_what_is_wrong(void **state)
{
	json_t *list;
	char why[256];

	(void)state;
	cv_netns_enter_new();
	assert_int_equal(cv_nft_run("add table ip a\nfrobnicate", why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "syntax error"));
	assert_null(strchr(why, '\n'));
	assert_int_equal(cv_nft_run("delete table ip a", why, sizeof(why)), -ENOENT);
	assert_string_equal(why, "Could not process rule: No such file or directory");
	assert_int_equal(cv_nft_run("delete table ip a", why, 8), -ENOENT);
	assert_string_equal(why, "Could n");
	assert_int_equal(cv_nft_list("list table ip a", &list), -ENOENT);
	/* All or nothing. */
	assert_int_equal(cv_nft_run("add table ip a\nadd chain ip b c", why, sizeof(why)), -ENOENT);
	cv_sh("test -z \"$(nft list ruleset)\"");
	assert_int_equal(cv_nft_run("add table ip a", why, sizeof(why)), 0);
	assert_string_equal(why, "");
	assert_int_equal(cv_nft_list("list tables", &list), 0);
	assert_int_equal(json_array_size(json_object_get(list, "nftables")), 2);
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_script_of_all),
		cmocka_unit_test(test_script_of_next_to_nothing),
		cmocka_unit_test(test_script_with_a_fixed_address),
		cmocka_unit_test(test_script_merges_overlaps),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_makes_and_removes),
		cmocka_unit_test(test_what_a_former_daemon_has_left),
		cmocka_unit_test(test_notices_every_change),
		cmocka_unit_test(test_many_hosts),
		cmocka_unit_test(test_nft_says_what_is_wrong),
	};

	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
