/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies of Debian's bird 2.0.12, as they came from its control socket (shortened), and what it
 * never says.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "routing/bird_reply.h"

/* ---- where it ends ----------------------------------------------------------------- */

static void test_ends(void **state)
{
	static const struct {
		const char *text;
		int code;
		size_t size;
	} cases[] = {
		{"0001 BIRD 2.0.12 ready.\n", 1, 24},
		{"0000 \n", 0, 6},
		{"0000 \n0001 BIRD\n", 0, 6},
		{"0002-Reading configuration from x\n0003 Reconfigured\n", 3, 52},
		{"0002-Reading configuration from x\n8002 x:2:8 syntax error\n", 8002, 58},
		{"9001 syntax error, unexpected CF_SYM_UNDEFINED\n", 9001, 47},
		{"1006-\n1002-a\n \n0000 \n", 0, 21},
		{"", -EAGAIN, 0},
		{"0003 Reconf", -EAGAIN, 0},
		{"0002-Reading\n0003 Reconf", -EAGAIN, 13},
		{"0002-Reading\n more of it\n", -EAGAIN, 25},
		{" the rest\n0000 \n", 0, 16},
		{"+a message\n0000 \n", 0, 17},
		{"\n", -EINVAL, 0},
		{"hello, world\n", -EINVAL, 0},
		{"0000\n", -EINVAL, 0},
		{"000x-a\n", -EINVAL, 0},
		{"0000:a\n", -EINVAL, 0},
		{"-001 a\n", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t size = 0;

		assert_int_equal(cv_bird_reply_end(cases[i].text, strlen(cases[i].text), &size),
				 cases[i].code);
		assert_int_equal(size, cases[i].size);
	}
}

/* Whatever pieces it comes in: going on from where one was told, it ends at the same place. */
static void test_ends_in_pieces(void **state)
{
	static const char text[] = "1000-BIRD 2.0.12\n1011-Router ID is 10.0.0.1\n Hostname is vm\n"
				   "0013 Daemon is up and running\n0000 \n";
	const size_t end = sizeof(text) - 1 - strlen("0000 \n");

	(void)state;
	for (size_t piece = 1; piece < sizeof(text); piece++) {
		size_t from = 0, size = 0;
		int rc = -EAGAIN;

		for (size_t have = piece; rc == -EAGAIN; have += piece) {
			if (have > sizeof(text) - 1)
				have = sizeof(text) - 1;
			rc = cv_bird_reply_end(text + from, have - from, &size);
			from += size;
		}
		assert_int_equal(rc, 13);
		assert_int_equal(from, end);
	}
}

/* ---- show status ------------------------------------------------------------------- */

static void test_status(void **state)
{
	static const char text[] = "1000-BIRD 2.0.12\n"
				   "1011-Router ID is 10.0.0.1\n"
				   " Hostname is vm\n"
				   " Current server time is 2026-11-26 13:52:51.266\n"
				   " Last reboot on 2026-11-26 13:52:48.713\n"
				   " Last reconfiguration on 2026-11-26 13:52:51.102\n"
				   "0024-Graceful restart recovery in progress\n"
				   "   Waiting for 2 channels to recover\n"
				   "   Wait timer is 17.446/20\n"
				   "0013 Daemon is up and running\n";
	static const char plain[] = "1000-BIRD 2.0.12\n0013 Daemon is up and running\n";
	struct cv_bird_status status;

	(void)state;
	assert_int_equal(cv_bird_read_status(text, sizeof(text) - 1, &status), 0);
	assert_string_equal(status.version, "2.0.12");
	assert_int_equal(status.router_id, inet_addr("10.0.0.1"));
	assert_string_equal(status.last_reboot, "2026-11-26 13:52:48.713");
	assert_string_equal(status.last_reconfiguration, "2026-11-26 13:52:51.102");
	assert_true(status.is_recovering);
	assert_int_equal(cv_bird_read_status(plain, sizeof(plain) - 1, &status), 0);
	assert_false(status.is_recovering);
	assert_int_equal(status.router_id, 0);
	assert_int_equal(cv_bird_read_status(text, sizeof(text) - 2, &status), -EINVAL);
	assert_int_equal(cv_bird_read_status("0000 \n", 6, &status), -EINVAL);
	assert_int_equal(cv_bird_read_status("9001 no\n", 8, &status), -EREMOTEIO);
}

/* ---- show protocols all ------------------------------------------------------------- */

static const char protocols[] =
	"2002-Name       Proto      Table      State  Since         Info\n"
	"1002-kernel1    Kernel     master4    up     14:01:40.385  \n"
	"1006-  Channel ipv4\n"
	"     State:          UP\n"
	"     Routes:         7 imported, 20 exported, 0 preferred\n"
	" \n"
	"1002-culvert_b  BGP        ---        up     14:04:43.625  Established   \n"
	"1006-  BGP state:          Established\n"
	"     Neighbor address: 10.9.0.2\n"
	"     Neighbor AS:      64512\n"
	"     Local AS:         64513\n"
	"     Neighbor ID:      10.0.0.2\n"
	"     Local capabilities\n"
	"       Graceful restart\n"
	"         Restart time: 120\n"
	"     Session:          internal multihop AS4\n"
	"     Source address:   10.9.0.1\n"
	"     Hold timer:       178.899/240\n"
	"     Keepalive timer:  50.484/80\n"
	"   Channel ipv4\n"
	"     State:          UP\n"
	"     Table:          master4\n"
	"     Routes:         19 imported, 1 filtered, 2 exported, 18 preferred\n"
	"     Route change stats:     received   rejected   filtered    ignored   accepted\n"
	"       Import updates:             20          0          1          0         19\n"
	"     Receive limit:  100000\n"
	"       Action:       restart\n"
	"     BGP Next hop:   10.9.0.1\n"
	"   Channel ipv6\n"
	"     Routes:         99 imported, 99 filtered, 99 exported, 99 preferred\n"
	" \n"
	"1002-culvert_limited BGP        ---        start  14:08:55.927  Idle          "
	"Automatic shutdown: Route limit exceeded\n"
	"1006-  BGP state:          Idle\n"
	"     Neighbor address: 10.9.0.5\n"
	"     Neighbor AS:      4200000000\n"
	"     Error wait:       50.001/60\n"
	"     Last error:       Automatic shutdown: Route limit exceeded\n"
	"   Channel ipv4\n"
	"     State:          DOWN\n"
	"     Receive limit:  1 [HIT]\n"
	"       Action:       restart\n"
	" \n"
	"1002-culvert_c  BGP        ---        start  2026-11-26 14:09:06  Active        Socket: "
	"Connection refused\n"
	"1006-  BGP state:          Active\n"
	"     Neighbor address: 10.9.0.3\n"
	"     Neighbor graceful restart active\n"
	"     Restart timer:    117.861/-\n"
	"     Last error:       Socket: Connection refused\n"
	"   Channel ipv4\n"
	"     State:          START\n"
	"     Routes:         2 imported, 0 filtered, 0 exported, 1 preferred\n"
	"     Neighbor GR:    Regular\n"
	" \n"
	"1002-culvert_off BGP        ---        down   2026-11-25    \n"
	"1006-  BGP state:          Down\n"
	"     Neighbor address: 10.9.0.99\n"
	" \n"
	"1002-multi      BGP        ---        down   14:01:01.407  Error: No listening socket\n"
	"1006-  BGP state:          Down\n"
	"     Last error:       Error: No listening socket\n"
	" \n"
	"0000 \n";

static void test_sessions(void **state)
{
	struct cv_bird_session *sessions = NULL, *s;
	size_t count = 0;

	(void)state;
	assert_int_equal(cv_bird_read_sessions(protocols, sizeof(protocols) - 1, &sessions, &count),
			 0);
	assert_int_equal(count, 5);
	s = &sessions[0];
	assert_string_equal(s->name, "culvert_b");
	assert_string_equal(s->state, "Established");
	assert_string_equal(s->since, "14:04:43.625");
	assert_string_equal(s->last_error, "");
	assert_int_equal(s->address, inet_addr("10.9.0.2"));
	assert_int_equal(s->as_number, 64512);
	assert_true(s->is_established && !s->is_limited && !s->is_restarting);
	assert_int_equal(s->hold_s, 240);
	assert_int_equal(s->keepalive_s, 80);
	assert_int_equal(s->imported, 19);
	assert_int_equal(s->filtered, 1);
	assert_int_equal(s->exported, 2);
	assert_int_equal(s->preferred, 18);

	s = &sessions[1];
	assert_string_equal(s->name, "culvert_limited");
	assert_string_equal(s->state, "Idle");
	assert_string_equal(s->last_error, "Automatic shutdown: Route limit exceeded");
	assert_int_equal(s->as_number, 4200000000);
	assert_true(s->is_limited && !s->is_established && !s->is_restarting);
	assert_int_equal(s->hold_s, 0);

	s = &sessions[2];
	assert_string_equal(s->since, "2026-11-26 14:09:06");
	assert_string_equal(s->state, "Active");
	assert_true(s->is_restarting && !s->is_established);
	assert_int_equal(s->imported, 2);

	assert_string_equal(sessions[3].state, "Down");
	assert_string_equal(sessions[3].since, "2026-11-25");
	assert_string_equal(sessions[4].last_error, "Error: No listening socket");
	free(sessions);
}

static void test_no_sessions(void **state)
{
	static const char refused[] = "8003 No protocols match\n", cut[] = "1002-a BGP\n",
			  odd[] = "1002-\n1002-x\n1002-x BGP\n1006-\n1006-  Channel\n"
				  "1006-  Routes:\n1006-  Hold timer:\n0000 \n";
	struct cv_bird_session *sessions = NULL;
	size_t count = 9;

	(void)state;
	assert_int_equal(cv_bird_read_sessions(refused, sizeof(refused) - 1, &sessions, &count),
			 -EREMOTEIO);
	assert_int_equal(cv_bird_read_sessions(cut, sizeof(cut) - 1, &sessions, &count), -EINVAL);
	assert_int_equal(count, 9);
	assert_int_equal(cv_bird_read_sessions("0000 \n", 6, &sessions, &count), 0);
	assert_int_equal(count, 0);
	assert_null(sessions);
	assert_int_equal(cv_bird_read_sessions(odd, sizeof(odd) - 1, &sessions, &count), 0);
	assert_int_equal(count, 1);
	assert_string_equal(sessions[0].state, "");
	free(sessions);
}

/* What a peer may write into a shutdown message (RFC 9003) reaches no terminal. */
static void test_hostile_words(void **state)
{
	static const char text[] = "1002-a BGP --- start 1:2 Idle x\n"
				   "1006-  Last error: Received: \x1b[2J\x07 \xc3\xa4\n0000 \n";
	struct cv_bird_session *sessions = NULL;
	size_t count = 0;

	(void)state;
	assert_int_equal(cv_bird_read_sessions(text, sizeof(text) - 1, &sessions, &count), 0);
	assert_string_equal(sessions[0].last_error, "Received: ?[2J? ??");
	free(sessions);
}

/* ---- show route all ------------------------------------------------------------------ */

static const char routes_text[] =
	"1007-Table master4:\n"
	" 10.250.0.0/26        unicast [culvert_b 14:08:54.486 from 10.9.0.9] * (100) [i]\n"
	" \tvia 10.9.0.2 on e0\n"
	"1008-\tType: BGP univ\n"
	"1012-\tBGP.origin: IGP\n"
	" \tBGP.as_path: \n"
	" \tBGP.next_hop: 10.9.0.2\n"
	" \tBGP.local_pref: 100\n"
	"1007-                     unicast [culvert_c 14:08:54.441] (100/20) [AS65001i]\n"
	" \tvia 10.9.0.3 on e0\n"
	" \tvia 10.9.0.4 on e0\n"
	"1008-\tType: BGP univ\n"
	"1012-\tBGP.origin: IGP\n"
	" \tBGP.as_path: 65001 65005\n"
	" \tBGP.next_hop: 10.9.0.3\n"
	"1007-10.244.1.0/26        blackhole [culvert_own 13:52:00.763] * (200)\n"
	"1008-\tType: static univ\n"
	"1007-10.250.9.0/26        unreachable [culvert_b 13:51:55.346 from 10.9.0.2] ! (100s/-) "
	"[i]\n"
	"1008-\tType: BGP univ\n"
	"1012-\tBGP.as_path: {1 2} 65000\n"
	" \tBGP.next_hop: 10.9.0.2\n"
	"1007-fd00::/64            unicast [other 13:51:55.346] * (100) [i]\n"
	"1012-\tBGP.next_hop: 10.9.0.7\n"
	"1007-                     unicast [other2 13:51:55.346] (100) [i]\n"
	"1012-\tBGP.next_hop: 10.9.0.7\n"
	"1007-10.250.7.1/26        unicast [bits 13:51:55.346] * (100) [i]\n"
	"1012-\tBGP.next_hop: 10.9.0.7\n"
	"1007-Table other:\n"
	" 10.1.2.3/32          unicast [c 2026-11-26] * (100) [i]\n"
	"1012-\tBGP.next_hop: fe80::1 10.0.0.1\n"
	"0000 \n";

static void test_routes(void **state)
{
	struct cv_bird_route *routes = NULL, *r;
	char text[CV_PREFIX_TEXT_MAX];
	size_t count = 0;

	(void)state;
	assert_int_equal(cv_bird_read_routes(routes_text, sizeof(routes_text) - 1, &routes, &count),
			 0);
	assert_int_equal(count, 5);
	r = &routes[0];
	assert_string_equal(cv_prefix_format(&r->prefix, text), "10.250.0.0/26");
	assert_string_equal(r->protocol, "culvert_b");
	assert_int_equal(r->next_hop, inet_addr("10.9.0.2"));
	assert_true(r->is_best && !r->is_unreachable && !r->is_stale && !r->is_refused);
	assert_string_equal(r->as_path, "");
	r = &routes[1];
	assert_string_equal(cv_prefix_format(&r->prefix, text), "10.250.0.0/26");
	assert_string_equal(r->protocol, "culvert_c");
	assert_int_equal(r->next_hop, inet_addr("10.9.0.3"));
	assert_true(!r->is_best && !r->is_stale);
	assert_string_equal(r->as_path, "65001 65005");
	r = &routes[2];
	assert_string_equal(r->protocol, "culvert_own");
	assert_int_equal(r->next_hop, 0);
	assert_true(r->is_best && !r->is_unreachable);
	r = &routes[3];
	assert_string_equal(cv_prefix_format(&r->prefix, text), "10.250.9.0/26");
	assert_true(r->is_best && r->is_refused && r->is_unreachable && r->is_stale);
	assert_string_equal(r->as_path, "{1 2} 65000");
	r = &routes[4];
	assert_string_equal(cv_prefix_format(&r->prefix, text), "10.1.2.3/32");
	assert_int_equal(r->next_hop, 0);
	free(routes);
}

static void test_no_routes(void **state)
{
	static const char none[] = "8001 Network not found\n", wrong[] = "9001 syntax error\n",
			  odd[] = "1007-Table x:\n"
				  "1007-                  unicast [a 1] * (1)\n"
				  "1007-10.0.0.0/8\n1007-10.0.0.0/8 unicast\n"
				  "1007-10.0.0.0/8 unicast []\n1007-10.0.0.0/8 [a 1]\n"
				  "1007-\n1012-\tBGP.next_hop: 1.2.3.4\n0000 \n";
	struct cv_bird_route *routes = NULL;
	size_t count = 9;

	(void)state;
	assert_int_equal(cv_bird_read_routes(wrong, sizeof(wrong) - 1, &routes, &count),
			 -EREMOTEIO);
	assert_int_equal(count, 9);
	assert_int_equal(cv_bird_read_routes(none, sizeof(none) - 1, &routes, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(cv_bird_read_routes(odd, sizeof(odd) - 1, &routes, &count), 0);
	assert_int_equal(count, 0);
	assert_null(routes);
}

/* Every prefix of a whole reply is refused, and none makes a reader look behind its end. */
static void test_cut_short(void **state)
{
	const size_t last = sizeof(routes_text) - 1;

	(void)state;
	for (size_t size = 0; size < last; size++) {
		struct cv_bird_route *routes = NULL;
		size_t count = 0;
		char *text = malloc(size ? size : 1);

		assert_non_null(text);
		memcpy(text, routes_text, size);
		assert_int_equal(cv_bird_read_routes(text, size, &routes, &count), -EINVAL);
		free(text);
	}
}

enum {
	MANY = 20000,
	ROUTE_TEXT_MAX = 320,
};

static char *make_many(size_t *ret_size)
{
	char *text = malloc((size_t)MANY * ROUTE_TEXT_MAX);
	size_t used = 0;

	assert_non_null(text);
	used += (size_t)sprintf(text, "1007-Table master4:\n");
	for (unsigned int i = 0; i < MANY; i++)
		used += (size_t)sprintf(
			text + used,
			"%s10.%u.%u.0/24          unicast [culvert_mesh_192_168_200_%u "
			"14:08:54.486 from 10.9.0.9] * (100) [i]\n"
			" \tvia 10.9.0.2 on e0\n1008-\tType: BGP univ\n1012-\tBGP.origin: IGP\n"
			" \tBGP.as_path: 65000\n \tBGP.next_hop: 10.9.0.%u\n"
			" \tBGP.local_pref: 100\n",
			i ? "1007-" : " ", i / 250, i % 250, i % 200, i % 200);
	used += (size_t)sprintf(text + used, "0000 \n");
	*ret_size = used;
	return text;
}

/* Best of three: others use this machine, too. Sanitizers make it slower than the bound is. */
static void test_many_routes_fast(void **state)
{
	double best = 1e9;
	size_t size;
	char *text = make_many(&size);

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct cv_bird_route *routes = NULL;
		struct timespec from, to;
		size_t count = 0;
		double ms;

		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
		assert_int_equal(cv_bird_read_routes(text, size, &routes, &count), 0);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
		assert_int_equal(count, MANY);
		assert_int_equal(routes[MANY - 1].next_hop, inet_addr("10.9.0.199"));
		free(routes);
		ms = (double)(to.tv_sec - from.tv_sec) * 1e3 +
		     (double)(to.tv_nsec - from.tv_nsec) / 1e6;
		best = ms < best ? ms : best;
	}
	free(text);
	print_message("# %d routes, %zu bytes: %.1f ms\n", MANY, size, best);
	assert_true(best < 100);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),	    cmocka_unit_test(test_ends_in_pieces),
		cmocka_unit_test(test_status),	    cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_no_sessions), cmocka_unit_test(test_hostile_words),
		cmocka_unit_test(test_routes),	    cmocka_unit_test(test_no_routes),
		cmocka_unit_test(test_cut_short),   cmocka_unit_test(test_many_routes_fast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
