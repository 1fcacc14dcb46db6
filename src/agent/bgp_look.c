/* SPDX-License-Identifier: Apache-2.0 */
/* How BGP is: BIRD itself, and sessions as wanted and as they are. */
#include "agent/bgp_look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cv_bgp_look(const struct cv_node_agent *node, struct cv_bgp_look *ret_look)
{
	struct cv_bgp_look look = {.problem = ""};

	cv_bgp_agent_view(cv_node_bgp(node), &look.view);
	if (look.view.bird) {
		look.state = cv_bird_state(look.view.bird);
		look.problem =
			look.view.problem[0] ? look.view.problem : cv_bird_problem(look.view.bird);
		look.restarts = cv_bird_restarts(look.view.bird);
		look.pid = cv_bird_pid(look.view.bird);
		look.is_outdated = cv_bird_is_outdated(look.view.bird);
		look.is_root = cv_bird_is_root(look.view.bird);
	}
	*ret_look = look;
}

bool cv_bgp_is_asked_for(const struct cv_bgp_view *view)
{
	return view->intent && (view->intent->wanted || view->intent->problem[0]);
}

static int compare_pairs(const void *a, const void *b)
{
	const struct cv_bgp_pair *one = a, *two = b;

	return strcmp(one->wanted ? one->wanted->name : one->is->name,
		      two->wanted ? two->wanted->name : two->is->name);
}

static int compare_sessions(const void *key, const void *item)
{
	return strcmp(key, ((const struct cv_bgp_session *)item)->name);
}

static const struct cv_bgp_session *find_wanted(const struct cv_bgp_intent *intent,
						const char *name)
{
	if (!intent || !intent->session_count)
		return NULL;
	return bsearch(name, intent->sessions, intent->session_count, sizeof(*intent->sessions),
		       compare_sessions);
}

int cv_bgp_pairs(const struct cv_bgp_view *view, struct cv_bgp_pair **ret_pairs, size_t *ret_count)
{
	const struct cv_bgp_intent *intent = view->intent;
	size_t wanted_count = intent ? intent->session_count : 0, count = 0;
	struct cv_bgp_pair *pairs = calloc(wanted_count + view->session_count + 1, sizeof(*pairs));
	bool *is_had = calloc(wanted_count + 1, sizeof(*is_had));

	if (!pairs || !is_had) {
		free(pairs);
		free(is_had);
		return -ENOMEM;
	}
	for (size_t i = 0; i < view->session_count; i++) {
		const struct cv_bird_session *is = &view->sessions[i];
		const struct cv_bgp_session *wanted = find_wanted(intent, is->name);

		if (!wanted && !cv_bgp_is_ours(is->name))
			continue;
		if (wanted)
			is_had[wanted - intent->sessions] = true;
		pairs[count++] = (struct cv_bgp_pair){wanted, is};
	}
	for (size_t i = 0; i < wanted_count; i++) {
		if (!is_had[i])
			pairs[count++] = (struct cv_bgp_pair){&intent->sessions[i], NULL};
	}
	free(is_had);
	qsort(pairs, count, sizeof(*pairs), compare_pairs);
	*ret_pairs = pairs;
	*ret_count = count;
	return 0;
}

/* ---- problems beside the sessions -------------------------------------------------------- */

struct telling {
	void (*tell)(bool is_error, const char *text, const char *remedy, void *data);
	void *data;
};

static void tell_of_daemon(const struct cv_bgp_look *look, const struct telling *t)
{
	char text[CV_BGP_TEXT_MAX];
	bool external = look->view.mode == CV_BGP_EXTERNAL;

	if (look->state == CV_BIRD_DOWN) {
		snprintf(text, sizeof(text), "BIRD does not run%s%.300s",
			 look->problem[0] ? ": " : "", look->problem);
		t->tell(true, text,
			external ? "start it (systemctl start bird), and let culvertd reach its "
				   "socket (--bird-socket)"
				 : "apt-get install bird2 (culvertd starts it by itself, and tries "
				   "again); bird/bird.log in the run directory says more",
			t->data);
	} else if (look->state == CV_BIRD_STARTING) {
		t->tell(false, "BIRD is being started, and does not answer yet",
			"culvert bgp status (in some seconds again)", t->data);
	} else if (look->state == CV_BIRD_UP && look->problem[0]) {
		snprintf(text, sizeof(text), "BIRD goes on with its former configuration: %.300s",
			 look->problem);
		t->tell(true, text, "culvert -s status; bird/bird.log in the run directory",
			t->data);
	}
}

static void tell_of_process(const struct cv_bgp_look *look, const struct telling *t)
{
	if (look->state != CV_BIRD_UP)
		return;
	if (look->is_outdated)
		t->tell(false,
			"BIRD's program was replaced since it was started: the old one still runs",
			look->view.mode == CV_BGP_EXTERNAL ? "systemctl restart bird"
							   : "culvert bgp restart",
			t->data);
	if (look->is_root && look->view.mode != CV_BGP_EXTERNAL)
		t->tell(false,
			"BIRD runs as root: there is no user bird that can reach its run directory",
			"chmod o+x the directories above the run directory; apt-get install bird2 "
			"makes the "
			"user; then culvert bgp restart",
			t->data);
}

void cv_bgp_problems(const struct cv_bgp_look *look,
		     void (*tell)(bool is_error, const char *text, const char *remedy, void *data),
		     void *data)
{
	const struct cv_bgp_view *view = &look->view;
	const struct telling t = {tell, data};
	char text[CV_BGP_TEXT_MAX];

	if (!cv_bgp_is_asked_for(view))
		return;
	if (view->intent->problem[0])
		tell(true, view->intent->problem, "culvert status", data);
	if (view->mode == CV_BGP_OFF) {
		/* With programClusterRoutes: Disabled, another daemon (FRR) may do the speaking. */
		if (view->intent->programs == CV_PROGRAMS_BIRD)
			tell(true,
			     "BGPConfiguration default has BIRD program the routes to other nodes, "
			     "and culvertd runs with --bgp off: the agent does",
			     "start culvertd without it, or set programClusterRoutes: Disabled",
			     data);
		return;
	}
	if (!view->intent->wanted)
		return;
	tell_of_daemon(look, &t);
	tell_of_process(look, &t);
	if (view->learned_unread) {
		snprintf(text, sizeof(text),
			 "BIRD's list of the routes that it has learned is too long to be read "
			 "(%zu MiB): what is told of them, and decided by them, is older",
			 view->learned_unread >> 20);
		tell(true, text,
		     "culvert bgp peers: who announces so many; have it announce less (aggregate, "
		     "or filter)",
		     data);
	}
	if (view->programs_now != view->programs_wanted) {
		snprintf(text, sizeof(text), "%s still programs the routes, and %s is to%s%.200s",
			 cv_programs_name(view->programs_now),
			 cv_programs_name(view->programs_wanted), view->hand_over[0] ? ": " : "",
			 view->hand_over);
		tell(false, text, "culvert bgp status (in some seconds again)", data);
	}
}
