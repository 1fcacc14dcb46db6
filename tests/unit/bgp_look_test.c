/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a session is down: from what BIRD 2.0.12 was seen to say (state, last error), and what the
 * kernel has counted, to the cause and its words.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/bgp_look.h"
#include "agent/bgp_md5.h"
#include "netns.h"

static char password[] = "hunter2";
static struct cv_bgp_peer tor_fields = {.as_number = 65000};
static struct cv_resource node = {.kind = CV_KIND_NODE, .name = (char[]){"b1"}};
static struct cv_resource tor = {
	.kind = CV_KIND_BGP_PEER, .name = (char[]){"tor"}, .bgp_peer = &tor_fields};
static struct cv_bgp_session wanted[2];
static struct cv_bgp_intent intent;
static struct cv_bird_session is;
static struct cv_learned learned;
static struct cv_bgp_look look;

static int set_up(void **state)
{
	(void)state;
	memset(wanted, 0, sizeof(wanted));
	snprintf(wanted[0].name, sizeof(wanted[0].name), "culvert_mesh_b1");
	wanted[0].node = &node;
	wanted[0].address = cv_addr("192.168.200.2");
	wanted[0].port = 179;
	wanted[0].as_number = wanted[0].local_as_number = 64512;
	wanted[1] = wanted[0];
	snprintf(wanted[1].name, sizeof(wanted[1].name), "culvert_peer_tor");
	wanted[1].node = NULL;
	wanted[1].peer = &tor;
	wanted[1].address = cv_addr("192.168.100.254");
	wanted[1].as_number = 65000;
	intent = (struct cv_bgp_intent){
		.wanted = true,
		.local = cv_addr("192.168.100.1"),
		.as_number = 64512,
		.listen_port = 179,
		.sessions = wanted,
		.session_count = 2,
	};
	memset(&is, 0, sizeof(is));
	snprintf(is.name, sizeof(is.name), "culvert_mesh_b1");
	is.address = wanted[0].address;
	look = (struct cv_bgp_look){
		.view = {.intent = &intent,
			 .programs_wanted = CV_PROGRAMS_BIRD,
			 .programs_now = CV_PROGRAMS_BIRD,
			 .hand_over = "",
			 .problem = "",
			 .sessions = &is,
			 .session_count = 1,
			 .learned = &learned},
		.state = CV_BIRD_UP,
		.problem = "",
	};
	return 0;
}

/* words: of which the sentence must have this one. */
static void expect(const char *state, const char *error, enum cv_bgp_cause cause, const char *words)
{
	struct cv_bgp_pair pair = {&wanted[0], &is};
	char text[CV_BGP_TEXT_MAX], remedy[CV_BGP_TEXT_MAX];
	enum cv_bgp_cause found;

	snprintf(is.state, sizeof(is.state), "%s", state);
	snprintf(is.last_error, sizeof(is.last_error), "%s", error);
	found = cv_bgp_diagnose(&look, &pair, text, remedy);
	assert_string_equal(cv_bgp_cause_name(found), cv_bgp_cause_name(cause));
	assert_non_null(strstr(text, words));
	assert_non_null(strstr(text, "node b1 (192.168.200.2)"));
	assert_true(remedy[0] != '\0');
	assert_null(strstr(text, password));
	assert_null(strstr(remedy, password));
}

static void finds_causes(void **state)
{
	(void)state;
	expect("Active", "Socket: Connection refused", CV_BGP_CAUSE_PORT_CLOSED,
	       "refuses connections to TCP port 179");
	/* The next attempt is under way, and will be refused as well. */
	expect("Connect", "Socket: Connection refused", CV_BGP_CAUSE_PORT_CLOSED, "refuses");
	expect("Connect", "", CV_BGP_CAUSE_NO_ANSWER, "does not answer");
	/* What BIRD remembers is older than the attempt that gets no answer. */
	expect("Connect", "BGP Error: Hold timer expired", CV_BGP_CAUSE_NO_ANSWER,
	       "does not answer");
	expect("Connect", "BGP Error: Bad peer AS", CV_BGP_CAUSE_NO_ANSWER, "does not answer");
	expect("Active", "Socket: Connection timed out", CV_BGP_CAUSE_NO_ANSWER, "firewall");
	expect("Active", "Socket: No route to host", CV_BGP_CAUSE_NO_ROUTE, "No route to host");
	expect("Connect", "Socket: No route to host", CV_BGP_CAUSE_NO_ROUTE, "No route to host");
	expect("Idle", "BGP Error: Bad peer AS", CV_BGP_CAUSE_PEER_AS, "another AS number than");
	expect("Idle", "Received: Bad peer AS", CV_BGP_CAUSE_OUR_AS, "of us than our 64512");
	expect("Active", "Socket: Connection reset by peer", CV_BGP_CAUSE_RESET, "cuts");
	/* Its graceful restart shows that it knows us. */
	is.is_restarting = true;
	expect("Active", "Socket: Connection reset by peer", CV_BGP_CAUSE_RESET, "was cut");
	is.is_restarting = false;
	expect("Idle", "BGP Error: Hold timer expired", CV_BGP_CAUSE_HOLD_TIMER, "hold timer");
	expect("Active", "Received: Hold timer expired", CV_BGP_CAUSE_HOLD_TIMER,
	       "at the other end");
	expect("OpenSent", "BGP Error: Hold timer expired", CV_BGP_CAUSE_HOLD_TIMER, "hold timer");
	expect("OpenSent", "", CV_BGP_CAUSE_SILENT, "says nothing");
	expect("OpenSent", "Socket: Connection refused", CV_BGP_CAUSE_SILENT, "says nothing");
	expect("Idle", "Automatic shutdown: Route limit exceeded", CV_BGP_CAUSE_LIMIT,
	       "100000 routes");
	expect("Idle", "Error: No listening socket", CV_BGP_CAUSE_LISTEN, "TCP port 179");
	expect("Idle", "Received: Administrative shutdown", CV_BGP_CAUSE_PEER_CLOSED,
	       "Administrative shutdown");
	expect("Idle", "BGP Error: Malformed AS_PATH", CV_BGP_CAUSE_OTHER, "Malformed AS_PATH");
	expect("Active", "", CV_BGP_CAUSE_NEW, "without an error");
	expect("Down", "", CV_BGP_CAUSE_DISABLED, "disabled");
}

static void finds_passwords(void **state)
{
	(void)state;
	/* Of a stranger's segments nothing follows for who answers. */
	look.view.md5.unexpected = 3;
	expect("Active", "Socket: Connection refused", CV_BGP_CAUSE_PORT_CLOSED, "refuses");
	expect("Connect", "", CV_BGP_CAUSE_PASSWORD, "this one has none (3 segments");
	expect("Active", "Socket: Connection timed out", CV_BGP_CAUSE_PASSWORD,
	       "this one has none");
	wanted[0].password = password;
	expect("Connect", "", CV_BGP_CAUSE_NO_ANSWER, "only one end has a password");
	look.view.md5.not_found = 4;
	expect("Connect", "", CV_BGP_CAUSE_PASSWORD, "the other has none (4 segments");
	look.view.md5.failure = 5;
	expect("Connect", "", CV_BGP_CAUSE_PASSWORD, "differ (5 segments");
	wanted[0].password_missing = true;
	expect("Connect", "", CV_BGP_CAUSE_NO_SECRET, "cannot be read");
}

static void needs_bird(void **state)
{
	struct cv_bgp_pair pair = {&wanted[1], NULL};
	char text[CV_BGP_TEXT_MAX], remedy[CV_BGP_TEXT_MAX];

	(void)state;
	assert_int_equal(cv_bgp_diagnose(&look, &pair, text, remedy), CV_BGP_CAUSE_NOT_MADE);
	assert_non_null(strstr(text, "192.168.100.254 (BGPPeer tor)"));
	look.state = CV_BIRD_DOWN;
	assert_int_equal(cv_bgp_diagnose(&look, &pair, text, remedy), CV_BGP_CAUSE_BIRD);
	look.state = CV_BIRD_UP;
	is.is_established = true;
	pair = (struct cv_bgp_pair){&wanted[0], &is};
	assert_int_equal(cv_bgp_diagnose(&look, &pair, text, remedy), CV_BGP_CAUSE_NONE);
	assert_string_equal(text, "");
	assert_string_equal(remedy, "");
}

/* What is wanted, what BIRD has of ours although nobody wants it; not an operator's own. */
static void pairs_sessions(void **state)
{
	struct cv_bird_session sessions[3] = {is, is, is};
	struct cv_bgp_pair *pairs;
	size_t count;

	(void)state;
	snprintf(sessions[1].name, sizeof(sessions[1].name), "culvert_gone");
	snprintf(sessions[2].name, sizeof(sessions[2].name), "uplink");
	look.view.sessions = sessions;
	look.view.session_count = 3;
	assert_int_equal(cv_bgp_pairs(&look.view, &pairs, &count), 0);
	assert_int_equal(count, 3);
	assert_ptr_equal(pairs[0].is, &sessions[1]);
	assert_null(pairs[0].wanted);
	assert_ptr_equal(pairs[1].wanted, &wanted[0]);
	assert_ptr_equal(pairs[1].is, &sessions[0]);
	assert_ptr_equal(pairs[2].wanted, &wanted[1]);
	assert_null(pairs[2].is);
	free(pairs);
}

static void parses_counters(void **state)
{
	static const char text[] =
		"TcpExt: SyncookiesSent TCPMD5NotFound TCPMD5Unexpected X TCPMD5Failure\n"
		"TcpExt: 7 1 22 9 333\n"
		"IpExt: InNoRoutes\nIpExt: 5\n";
	struct cv_bgp_md5 md5;

	(void)state;
	cv_bgp_md5_parse(text, &md5);
	assert_int_equal(md5.not_found, 1);
	assert_int_equal(md5.unexpected, 22);
	assert_int_equal(md5.failure, 333);
	cv_bgp_md5_parse("TcpExt: TCPMD5Failure\n", &md5);
	assert_int_equal(md5.failure, 0);
	cv_bgp_md5_parse("TcpExt: A TCPMD5Failure\nTcpExt: 4\n", &md5);
	assert_int_equal(md5.failure, 0);
	cv_bgp_md5_parse("", &md5);
	assert_int_equal(md5.unexpected, 0);
}

static void sees(struct cv_bgp_md5_watch *watch, unsigned int at_s, unsigned int not_found,
		 unsigned int failure)
{
	const struct cv_bgp_md5 now = {.not_found = not_found, .failure = failure};

	cv_bgp_md5_watch(watch, &now, (int64_t)at_s * 1000000);
	cv_bgp_md5_recent(watch, &look.view.md5);
}

/* What was counted when the passwords were changed is no reason for a host that is off today. */
static void forgets_old_segments(void **state)
{
	struct cv_bgp_md5_watch watch = {.is_begun = false};

	(void)state;
	wanted[0].password = password;
	sees(&watch, 7, 3, 40); /* since the host is up */
	expect("Connect", "", CV_BGP_CAUSE_NO_ANSWER, "does not answer");
	sees(&watch, 12, 3, 42);
	expect("Connect", "", CV_BGP_CAUSE_PASSWORD, "differ (2 segments");
	for (unsigned int at_s = 17; at_s <= 192; at_s += 5)
		sees(&watch, at_s, 3, 42);
	expect("Connect", "", CV_BGP_CAUSE_PASSWORD, "differ (2 segments");
	/* Another counter that grows keeps nothing alive. */
	sees(&watch, 197, 4, 42);
	assert_int_equal(look.view.md5.failure, 0);
	expect("Connect", "", CV_BGP_CAUSE_PASSWORD, "the other has none (1 segments");
	for (unsigned int at_s = 202; at_s <= 382; at_s += 5)
		sees(&watch, at_s, 4, 42);
	expect("Connect", "", CV_BGP_CAUSE_NO_ANSWER, "does not answer");
	/* Nobody has watched since: it may have grown long ago. */
	sees(&watch, 1000, 9, 99);
	expect("Connect", "", CV_BGP_CAUSE_NO_ANSWER, "does not answer");
	sees(&watch, 1005, 9, 100);
	expect("Connect", "", CV_BGP_CAUSE_PASSWORD, "differ (1 segments");
}

/* ---- problems of BIRD itself -------------------------------------------------------------- */

static char told[4096];
static unsigned int errors;

static void tell(bool is_error, const char *text, const char *remedy, void *data)
{
	size_t length = strlen(told);

	(void)remedy;
	(void)data;
	errors += is_error;
	snprintf(told + length, sizeof(told) - length, "%s\n", text);
}

static void expect_problem(unsigned int error_count, const char *words)
{
	told[0] = '\0';
	errors = 0;
	cv_bgp_problems(&look, tell, NULL);
	assert_int_equal(errors, error_count);
	if (words)
		assert_non_null(strstr(told, words));
	else
		assert_string_equal(told, "");
}

static void tells_of_bird(void **state)
{
	(void)state;
	expect_problem(0, NULL);
	look.is_outdated = true;
	expect_problem(0, "was replaced");
	look.is_root = true;
	expect_problem(0, "runs as root");
	look.problem = "bird.conf:7: syntax error";
	expect_problem(1, "former configuration: bird.conf:7");
	look.state = CV_BIRD_DOWN;
	look.problem = "there is no program bird";
	expect_problem(1, "BIRD does not run: there is no program bird");
	look.state = CV_BIRD_STARTING;
	expect_problem(0, "being started");
	look.state = CV_BIRD_UP;
	look.problem = "";
	look.view.learned_unread = 70 << 20;
	expect_problem(1, "too long to be read (70 MiB)");
	look.view.learned_unread = 0;
	look.view.programs_now = CV_PROGRAMS_AGENT;
	look.view.hand_over = "2 sessions are not up";
	expect_problem(0, "2 sessions are not up");
	look.view.mode = CV_BGP_OFF;
	intent.programs = CV_PROGRAMS_BIRD;
	expect_problem(1, "--bgp off");
	intent.programs = CV_PROGRAMS_AGENT;
	expect_problem(0, NULL);
	intent.programs = CV_PROGRAMS_BIRD;
	intent.wanted = false;
	expect_problem(0, NULL);
	snprintf(intent.problem, sizeof(intent.problem), "this node has no address");
	expect_problem(2, "this node has no address");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(finds_causes, set_up),
		cmocka_unit_test_setup(finds_passwords, set_up),
		cmocka_unit_test_setup(needs_bird, set_up),
		cmocka_unit_test_setup(pairs_sessions, set_up),
		cmocka_unit_test_setup(parses_counters, set_up),
		cmocka_unit_test_setup(forgets_old_segments, set_up),
		cmocka_unit_test_setup(tells_of_bird, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
