/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What BIRD says: its status and sessions every POLL_S, its routes when the kernel's have changed
 * (most of what it learns shows there), or when sessions count others than before (what it learned
 * and leaves to the underlay). To tell and to read them takes a tenth of the time at most, BIRD's
 * as ours: it has better things to do while routes flap. A list of routes that is too long to be
 * read is one, too: it is asked for again when something has changed.
 *
 * While BIRD recovers after a restart it knows little, and the kernel still has what it knew: what
 * was learned stays as it was until it has recovered.
 */
#include "agent/bgp_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/log.h"
#include "routing/bird_question.h"

enum {
	POLL_S = 5,
	SOON_MS = 50,
	REST = 10, /* times what reading took */
	AT_ONCE_MS = 2000,
	/* Refused routes are looked at one by one as long as there are no more. */
	REFUSED_MAX = 10000,
};

static void on_status(const char *text, size_t size, void *data);
static void on_sessions(const char *text, size_t size, void *data);
static void on_routes(const char *text, size_t size, void *data);
static void on_refused(const char *text, size_t size, void *data);

/* ---- asking ---------------------------------------------------------------------------- */

static void ask(struct cv_bgp_agent *agent)
{
	if (!agent->bird || cv_bird_state(agent->bird) != CV_BIRD_UP)
		return;
	if (agent->is_asking) {
		agent->is_behind = true;
		return;
	}
	agent->is_behind = false;
	agent->is_asking = !cv_bird_ask(agent->bird, "show status", on_status, agent);
}

static void finish(struct cv_bgp_agent *agent)
{
	agent->is_asking = false;
	if (agent->is_behind)
		cv_bgp_ask_soon(agent);
}

/* The next question of a round, or its end. */
static void go_on(struct cv_bgp_agent *agent, const char *question,
		  void (*done)(const char *text, size_t size, void *data))
{
	if (cv_bird_ask(agent->bird, question, done, agent))
		finish(agent);
}

void cv_bgp_ask_soon(struct cv_bgp_agent *agent)
{
	int64_t wait_us = SOON_MS * 1000 + REST * agent->took_us;
	struct timeval wait = {.tv_sec = wait_us / 1000000, .tv_usec = wait_us % 1000000};

	if (!event_pending(agent->soon, EV_TIMEOUT, NULL))
		event_add(agent->soon, &wait);
}

void cv_bgp_agent_routes_changed(struct cv_bgp_agent *agent)
{
	agent->counted_routes = UINT64_MAX;
	if (agent->bird && cv_bird_state(agent->bird) == CV_BIRD_UP)
		cv_bgp_ask_soon(agent);
}

/* ---- answers --------------------------------------------------------------------------- */

static void on_status(const char *text, size_t size, void *data)
{
	struct cv_bgp_agent *agent = data;

	if (!text || cv_bird_read_status(text, size, &agent->status)) {
		finish(agent);
		return;
	}
	agent->has_status = true;
	/* From now on the kernel's notices tell when there is something to hand over. */
	agent->is_news = !agent->is_ready && !agent->status.is_recovering;
	agent->is_ready = !agent->status.is_recovering;
	go_on(agent, "show protocols all", on_sessions);
}

static void count(const struct cv_bgp_agent *agent, uint64_t *ret_routes, uint64_t *ret_filtered)
{
	*ret_routes = *ret_filtered = 0;
	for (size_t i = 0; i < agent->session_count; i++) {
		const struct cv_bird_session *session = &agent->sessions[i];

		if (!cv_bgp_is_ours(session->name))
			continue;
		*ret_routes += session->imported + session->preferred;
		*ret_filtered += session->filtered;
	}
}

/* What sessions count has changed: look at the refused ones, if that is bearable. */
static bool wants_refused(struct cv_bgp_agent *agent)
{
	uint64_t routes, filtered;

	count(agent, &routes, &filtered);
	if (filtered == agent->counted_filtered)
		return false;
	agent->counted_filtered = filtered;
	memset(agent->refused, 0, sizeof(agent->refused));
	agent->has_refused = !filtered;
	return filtered && filtered <= REFUSED_MAX;
}

static void go_on_with_refused(struct cv_bgp_agent *agent)
{
	char question[CV_BIRD_QUESTION_ROUTES_MAX];

	if (wants_refused(agent))
		go_on(agent, cv_bird_question_routes(true, NULL, question), on_refused);
	else
		finish(agent);
}

/*
 * BIRD disables a session when it cannot listen, and does not try again, even when the program that
 * had the port has gone. Who is disabled without that error, somebody has disabled.
 */
static void enable(struct cv_bgp_agent *agent)
{
	char question[CV_BIRD_WORD_MAX + sizeof("enable ")];

	for (size_t i = 0; i < agent->session_count; i++) {
		const struct cv_bird_session *session = &agent->sessions[i];

		if (strcmp(session->state, "Down") != 0 ||
		    !strstr(session->last_error, "No listening socket") ||
		    !cv_bgp_session_named(&agent->bgp, session->name))
			continue;
		snprintf(question, sizeof(question), "enable %s", session->name);
		if (cv_bird_ask(agent->bird, question, NULL, NULL))
			return; /* enough for now: the next round goes on */
	}
}

static bool is_round_done(const struct cv_bgp_agent *agent, uint64_t routes)
{
	return agent->status.is_recovering || routes == agent->counted_routes;
}

static void tell_news(struct cv_bgp_agent *agent, bool is_news)
{
	is_news |= agent->is_news;
	agent->is_news = false;
	if (is_news)
		agent->changed(agent->data);
}

static void on_sessions(const char *text, size_t size, void *data)
{
	struct cv_bgp_agent *agent = data;
	char question[CV_BIRD_QUESTION_ROUTES_MAX];
	struct cv_bird_session *sessions;
	uint64_t routes, filtered;
	size_t session_count;

	if (!text || cv_bird_read_sessions(text, size, &sessions, &session_count)) {
		finish(agent);
		return;
	}
	free(agent->sessions);
	agent->sessions = sessions;
	agent->session_count = session_count;
	agent->asked_us = cv_bgp_now_us();
	enable(agent);
	count(agent, &routes, &filtered);
	if (is_round_done(agent, routes)) {
		go_on_with_refused(agent);
		tell_news(agent, false);
		return;
	}
	agent->counted_routes = routes;
	agent->question_us = cv_bgp_now_us();
	go_on(agent, cv_bird_question_routes(false, NULL, question), on_routes);
}

/* True: it is news. */
static bool take_routes(struct cv_bgp_agent *agent, const char *text, size_t size)
{
	struct cv_learned learned = {.count = 0};
	struct cv_bird_route *routes;
	size_t route_count;
	int rc = cv_bird_read_routes(text, size, &routes, &route_count);

	if (rc)
		return false;
	rc = cv_learned_make(routes, route_count, &learned);
	free(routes);
	if (rc || cv_learned_equal(&learned, &agent->learned)) {
		cv_learned_fini(&learned);
		return false;
	}
	cv_learned_fini(&agent->learned);
	agent->learned = learned;
	return true;
}

/* unread: bytes of what was learned that were too many to read; 0: they were not. Said once. */
static void note_unread(struct cv_bgp_agent *agent, size_t unread)
{
	if (unread && !agent->learned_unread)
		cv_log(LOG_WARNING,
		       "bgp: BIRD's list of the routes that it has learned is too long to be read "
		       "(%zu MiB): culvertd goes on with what it knew before",
		       unread >> 20);
	else if (!unread && agent->learned_unread)
		cv_log(LOG_NOTICE, "bgp: BIRD's list of the routes that it has learned can be "
				   "read again");
	agent->learned_unread = unread;
}

static void on_routes(const char *text, size_t size, void *data)
{
	struct cv_bgp_agent *agent = data;
	bool is_news = text && take_routes(agent, text, size), has_answer = text || size;

	if (has_answer)
		note_unread(agent, text ? 0 : size);
	if (has_answer)
		agent->took_us = cv_bgp_now_us() - agent->question_us;
	else
		agent->counted_routes = UINT64_MAX;
	go_on_with_refused(agent);
	tell_news(agent, is_news);
}

static void on_refused(const char *text, size_t size, void *data)
{
	struct cv_bgp_agent *agent = data;
	struct cv_bird_route *routes;
	const struct cv_resource *about;
	size_t route_count;

	if (text && !cv_bird_read_routes(text, size, &routes, &route_count)) {
		memset(agent->refused, 0, sizeof(agent->refused));
		for (size_t i = 0; i < route_count; i++) {
			const struct cv_bgp_session *session =
				cv_bgp_session_named(&agent->bgp, routes[i].protocol);

			if (session)
				agent->refused[cv_bgp_judge(&agent->bgp, session, &routes[i].prefix,
							    routes[i].next_hop, &about)]++;
		}
		agent->has_refused = true;
		free(routes);
	}
	finish(agent);
}

/* ---- at the start --------------------------------------------------------------------------- */

void cv_bgp_ask_at_once(struct cv_bgp_agent *agent)
{
	char question[CV_BIRD_QUESTION_ROUTES_MAX], *text;
	size_t size;
	int rc;

	cv_bird_question_routes(false, NULL, question);
	rc = cv_bird_ask_now(agent->bird, question, AT_ONCE_MS, &text, &size);
	if (rc) {
		cv_log(LOG_INFO, "bgp: BIRD %s; its routes in the kernel stay",
		       rc == -EMSGSIZE ? "has too many routes to be read" : "does not answer yet");
		return;
	}
	take_routes(agent, text, size);
	free(text);
}

/* ---- life ------------------------------------------------------------------------------------ */

void cv_bgp_forget(struct cv_bgp_agent *agent)
{
	cv_learned_fini(&agent->learned);
	agent->learned_unread = 0;
	free(agent->sessions);
	agent->sessions = NULL;
	agent->session_count = 0;
	agent->has_status = agent->has_refused = false;
	agent->counted_routes = agent->counted_filtered = UINT64_MAX;
	memset(agent->refused, 0, sizeof(agent->refused));
}

/*
 * Up, or no longer, or up with another configuration problem. Sessions of a BIRD that is not there
 * are not shown; what it had learned is still in the kernel, and so still in our decisions.
 */
void cv_bgp_bird_changed(void *data)
{
	struct cv_bgp_agent *agent = data;
	enum cv_bird_state state = cv_bird_state(agent->bird);
	bool is_still_up = state == CV_BIRD_UP && agent->seen == CV_BIRD_UP;

	agent->seen = state;
	/* What it was asked meanwhile is answered: only its configuration is news. */
	if (is_still_up) {
		if (*cv_bird_problem(agent->bird))
			cv_log(LOG_WARNING, "bgp: %s", cv_bird_problem(agent->bird));
		agent->changed(agent->data);
		return;
	}
	if (state == CV_BIRD_UP)
		cv_log(LOG_NOTICE, "bgp: BIRD is up, process %d", cv_bird_pid(agent->bird));
	else if (state == CV_BIRD_DOWN)
		cv_log(LOG_WARNING, "bgp: %s; its routes in the kernel stay as they are",
		       cv_bird_problem(agent->bird));
	agent->is_asking = false;
	agent->has_status = agent->is_ready = false;
	agent->counted_routes = agent->counted_filtered = UINT64_MAX;
	free(agent->sessions);
	agent->sessions = NULL;
	agent->session_count = 0;
	if (state == CV_BIRD_UP)
		ask(agent);
	agent->changed(agent->data);
}

static void watch_md5(struct cv_bgp_agent *agent)
{
	struct cv_bgp_md5 now;

	cv_bgp_md5_read(&now);
	cv_bgp_md5_watch(&agent->md5, &now, cv_bgp_now_us());
}

static void on_poll(evutil_socket_t fd, short what, void *data)
{
	struct cv_bgp_agent *agent = data;

	(void)fd;
	(void)what;
	if (agent->bgp.wanted)
		watch_md5(agent);
	ask(agent);
}

int cv_bgp_ask_init(struct cv_bgp_agent *agent, struct event_base *base)
{
	static const struct timeval period = {.tv_sec = POLL_S};

	cv_bgp_forget(agent);
	agent->poll = event_new(base, -1, EV_PERSIST, on_poll, agent);
	agent->soon = evtimer_new(base, on_poll, agent);
	if (!agent->poll || !agent->soon || event_add(agent->poll, &period))
		return -ENOMEM;
	return 0;
}

void cv_bgp_ask_fini(struct cv_bgp_agent *agent)
{
	if (agent->poll)
		event_free(agent->poll);
	if (agent->soon)
		event_free(agent->soon);
	cv_bgp_forget(agent);
}
