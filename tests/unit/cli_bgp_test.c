/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert bgp` in words: what is printed for what culvertd answers, whole or in pieces. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "printed.h"
#include "cli/bgp_text.h"

#define SESSIONS "\"sessions\": {\"count\": 3, \"up\": 2, \"down\": 1, \"clients\": 0}"

static void prints_status(void **state)
{
	(void)state;
	prints(cv_bgp_text_status,
	       "{\"wanted\": true, \"programs\": {\"now\": \"BIRD\", \"wanted\": \"BIRD\", "
	       "\"hand_over\": null}, \"bird\": {\"run\": \"supervised\", \"state\": \"up\", "
	       "\"version\": \"2.0.12\", \"pid\": 77, \"user\": \"bird\", \"last_reboot\": "
	       "\"2026-11-26 13:50:59\", \"restarts\": 1, \"recovering\": false}, \"router_id\": "
	       "\"192.168.100.1\", \"as_number\": 64512, \"listen_port\": 179, \"shape\": "
	       "\"mesh\", " SESSIONS ", \"routes\": {\"learned\": 5, \"imported\": 6, "
	       "\"refused\": 2, \"exported\": 4, \"own\": 2}, \"refused\": {\"default\": 0, "
	       "\"host\": 1, \"underlay\": 1}, \"problems\": [\"node b1 is down\"]}",
	       "routes to other nodes are programmed by BIRD (from what it learned)\n"
	       "BIRD 2.0.12: up, supervised, process 77, user bird, since 2026-11-26 13:50:59, "
	       "died 1 time\n"
	       "this node: AS 64512, router id 192.168.100.1, port 179, in the mesh of all nodes\n"
	       "sessions 3: up 2, down 1\n"
	       "routes: learned 6, refused 2, announced 4 (own prefixes 2)\n"
	       "    refused: host 1, underlay 1\n"
	       "problem: node b1 is down\n");
}

static void prints_hand_over(void **state)
{
	(void)state;
	prints(cv_bgp_text_status,
	       "{\"wanted\": true, \"programs\": {\"now\": \"agent\", \"wanted\": \"BIRD\", "
	       "\"hand_over\": \"2 sessions are not up\"}, \"bird\": {\"run\": \"external\", "
	       "\"state\": \"starting\"}, \"router_id\": null, \"as_number\": 65000, "
	       "\"listen_port\": 1790, \"shape\": \"reflector\", \"cluster_id\": \"244.0.0.1\", "
	       "\"sessions\": {\"count\": 1, \"up\": 0, \"down\": 1, \"clients\": 1}, "
	       "\"routes\": {}, \"refused\": null, \"problems\": []}",
	       "routes to other nodes are programmed by the agent (from resources); being handed "
	       "over to BIRD: 2 sessions are not up\n"
	       "BIRD: starting, external\n"
	       "this node: AS 65000, router id none, port 1790, route reflector of cluster "
	       "244.0.0.1, clients 1\n"
	       "sessions 1: up 0, down 1\n"
	       "routes: learned 0, refused 0, announced 0 (own prefixes 0)\n");
	prints(cv_bgp_text_status, "{\"wanted\": false}",
	       "no BGP: there is no resource BGPConfiguration default\n");
}

static void prints_summary(void **state)
{
	(void)state;
	prints(cv_bgp_text_summary,
	       "{\"programs\": {\"now\": \"BIRD\", \"wanted\": \"BIRD\"}, \"bird\": \"up\", "
	       "\"sessions\": {\"count\": 4, \"up\": 3}, \"problems\": [\"x\"]}",
	       "BGP: sessions 4, up 3; BIRD up; routes are programmed by BIRD (from what it "
	       "learned)\n"
	       "    problem: x\n");
	prints(cv_bgp_text_summary, "[]", "");
}

static void prints_peers(void **state)
{
	(void)state;
	prints(cv_bgp_text_peers,
	       "{\"wanted\": true, \"bird\": \"up\", \"age_s\": 1.5, \"peers\": [{\"name\": "
	       "\"culvert_mesh_1\", \"node\": \"b1\", \"address\": \"192.168.200.2\", \"port\": "
	       "179, \"as_number\": 64512, \"state\": \"Established\", \"since\": \"13:51:00\", "
	       "\"imported\": 1, \"refused\": 0, \"exported\": 2, \"restarting\": false}, "
	       "{\"name\": \"culvert_peer_tor\", \"peer\": \"tor\", \"address\": "
	       "\"192.168.100.254\", \"port\": 1179, \"as_number\": 65000, \"state\": \"Active\", "
	       "\"since\": \"13:50:00\", \"imported\": null, \"problem\": \"it refuses\", "
	       "\"remedy\": \"start it\"}, {\"name\": \"culvert_x\", \"address\": \"10.0.0.1\", "
	       "\"state\": null}]}",
	       "PEER       ADDRESS               AS     STATE        SINCE     IMPORTED  REFUSED  "
	       "EXPORTED\n"
	       "b1         192.168.200.2         64512  Established  13:51:00  1         0        "
	       "2\n"
	       "tor        192.168.100.254:1179  65000  Active       13:50:00  -         -        "
	       "-\n"
	       "culvert_x  10.0.0.1              -      none         -         -         -        "
	       "-\n"
	       "problem: it refuses\n"
	       "    remedy: start it\n");
	prints(cv_bgp_text_peers, "{\"wanted\": true, \"age_s\": null, \"peers\": []}",
	       "no sessions: no other node, and no BGPPeer for this one\n");
	prints(cv_bgp_text_peers, "{\"wanted\": false, \"peers\": []}",
	       "no BGP: there is no resource BGPConfiguration default\n");
	prints(cv_bgp_text_peers,
	       "{\"wanted\": true, \"age_s\": 61, \"peers\": [{\"name\": \"x\"}]}",
	       "PEER  ADDRESS  AS  STATE  SINCE  IMPORTED  REFUSED  EXPORTED\n"
	       "x     -        -   none   -      -         -        -\n"
	       "BIRD said so 1m1s ago\n");
}

/* A hundred nodes that are down for one reason fill no screen. */
static void bounds_problems(void **state)
{
	json_t *peers = json_array(), *result;
	unsigned int lines = 0;
	char *text, *all;

	(void)state;
	for (int i = 0; i < 100; i++)
		json_array_append_new(peers, json_pack("{s:s, s:s, s:s}", "name", "x", "problem",
						       "it is down", "remedy", "start it"));
	result = json_pack("{s:b, s:i, s:o}", "wanted", 1, "age_s", 1, "peers", peers);
	text = json_dumps(result, 0);
	all = printed(cv_bgp_text_peers, text);
	for (const char *p = all; (p = strstr(p, "problem: it is down\n    remedy: start it\n"));
	     p++)
		lines++;
	assert_int_equal(lines, 16);
	assert_non_null(strstr(all, "... and 84 problems more"));
	free(all);
	free(text);
	json_decref(result);
}

static void prints_routes(void **state)
{
	(void)state;
	prints(cv_bgp_text_routes,
	       "{\"which\": \"learned\", \"left_out\": 3, \"routes\": [{\"prefix\": "
	       "\"10.244.2.0/26\", \"next_hop\": \"192.168.200.2\", \"node\": \"b1\", \"way\": "
	       "\"tunnel\", \"reason\": \"ipipMode Always\", \"from\": \"node b1 "
	       "(192.168.200.2)\", \"best\": true, \"stale\": true}]}",
	       "PREFIX         NEXT-HOP         NODE  WAY     WHY"
	       "                                             FROM\n"
	       "10.244.2.0/26  192.168.200.2 *  b1    tunnel  ipipMode Always (kept while its peer "
	       "restarts)  node b1 (192.168.200.2)\n"
	       "... and 3 more; name a prefix to see those in it\n");
	prints(cv_bgp_text_routes,
	       "{\"which\": \"refused\", \"left_out\": 0, \"routes\": [{\"prefix\": "
	       "\"0.0.0.0/0\", \"next_hop\": \"192.168.100.254\", \"from\": \"tor\", "
	       "\"refused\": \"default\", \"reason\": \"it is the default\"}]}",
	       "PREFIX     NEXT-HOP         FROM  WHY\n"
	       "0.0.0.0/0  192.168.100.254  tor   it is the default\n");
	prints(cv_bgp_text_routes,
	       "{\"which\": \"exported\", \"routes\": [{\"prefix\": \"10.244.1.0/26\", \"kind\": "
	       "\"BlockAffinity\", \"resource\": \"a1-b\"}, {\"prefix\": \"10.244.1.64/26\"}]}",
	       "PREFIX          OF\n"
	       "10.244.1.0/26   BlockAffinity a1-b\n"
	       "10.244.1.64/26  -\n");
	prints(cv_bgp_text_routes, "{\"which\": \"refused\", \"routes\": []}",
	       "no routes are refused\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_status),  cmocka_unit_test(prints_hand_over),
		cmocka_unit_test(prints_summary), cmocka_unit_test(prints_peers),
		cmocka_unit_test(prints_routes),  cmocka_unit_test(bounds_problems),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
