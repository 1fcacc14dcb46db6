/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who programs, and what BIRD is told. What it says is read in bgp_ask.c.
 *
 * Hand-over to BIRD, prefix by prefix: the agent's route to a declared one stays until the kernel
 * has BIRD's, then it is BIRD's for good. So nodes may enter one after the other: who announces
 * nothing yet is reached as before. Back to the agent: its routes are made before BIRD is told to
 * take its own away. At every moment somebody's are there, and both only while one follows the
 * other.
 */
#include "agent/bgp_state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/log.h"
#include "net/route_table.h"
#include "net/vector.h"
#include "routing/bird_config.h"
#include "routing/decide.h"
#include "routing/hand_over.h"

enum {
	SETTLE_S = 5,
	SETTLE_LOOK_US = 100000,
	SECRET_MAX = 4096,
	/* Between two configurations: paths' MTUs change in crowds, and each makes BIRD look at
	 * all routes again. */
	CONFIGURE_REST_MS = 1000,
};

int64_t cv_bgp_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

const char *cv_bgp_mode_name(enum cv_bgp_mode mode)
{
	static const char *const names[] = {
		[CV_BGP_SUPERVISED] = "supervised",
		[CV_BGP_EXTERNAL] = "external",
		[CV_BGP_OFF] = "off",
	};

	return names[mode];
}

static void later(struct cv_bgp_agent *agent, int64_t at_us)
{
	int64_t wait_us = at_us - cv_bgp_now_us();
	struct timeval wait = {.tv_sec = 0, .tv_usec = 1000};

	if (wait_us > 1000) {
		wait.tv_sec = wait_us / 1000000;
		wait.tv_usec = wait_us % 1000000;
	}
	/* What is due earlier stays so: then all of it is looked at. */
	if (event_pending(agent->again, EV_TIMEOUT, NULL) && agent->again_us <= at_us)
		return;
	agent->again_us = at_us;
	event_add(agent->again, &wait);
}

/* ---- who programs -------------------------------------------------------------------- */

enum cv_programs cv_bgp_agent_programs(struct cv_bgp_agent *agent,
				       const struct cv_snapshot *snapshot, const char *node_name,
				       bool *ret_is_handing_over)
{
	agent->wanted = agent->mode == CV_BGP_OFF ? CV_PROGRAMS_AGENT
						  : cv_bgp_programs(snapshot, node_name);
	if (agent->wanted == CV_PROGRAMS_AGENT) {
		agent->is_taken_over = false;
		agent->handed.count = 0;
	}
	*ret_is_handing_over = agent->wanted == CV_PROGRAMS_BIRD && !agent->is_taken_over;
	return agent->wanted;
}

const struct cv_prefix *cv_bgp_agent_handed(const struct cv_bgp_agent *agent, size_t *ret_count)
{
	*ret_count = agent->handed.count;
	return agent->handed.items;
}

bool cv_bgp_agent_is_bird(const struct cv_bgp_agent *agent)
{
	return agent->is_taken_over;
}

const struct cv_learned *cv_bgp_agent_learned(const struct cv_bgp_agent *agent)
{
	return agent->wanted == CV_PROGRAMS_BIRD ? &agent->learned : NULL;
}

struct birds {
	const struct cv_bgp_agent *agent;
	struct cv_vector *prefixes;
};

/* Of a BIRD of ours, whose metric is nobody else's. */
static int take_prefix(const struct cv_table_route *route, void *data)
{
	const struct birds *birds = data;

	if (birds->agent->mode == CV_BGP_SUPERVISED && route->metric != CV_BGP_METRIC)
		return 0;
	return cv_vector_append(birds->prefixes, &route->prefix);
}

static int by_prefix(const void *a, const void *b)
{
	return cv_prefix_compare(a, b);
}

/* The prefixes of BIRD's routes in the kernel, sorted. 0 or -errno; the caller frees the vector. */
static int read_birds(struct cv_bgp_agent *agent, struct cv_vector *ret_have)
{
	struct birds birds;
	int rc;

	cv_vector_init(ret_have, sizeof(struct cv_prefix));
	birds = (struct birds){agent, ret_have};
	rc = cv_route_table_for_each(agent->nl, RTPROT_BIRD, take_prefix, &birds);
	if (ret_have->count)
		qsort(ret_have->items, ret_have->count, sizeof(struct cv_prefix), by_prefix);
	return rc;
}

static bool has_prefix(const struct cv_vector *have, const struct cv_prefix *prefix)
{
	return have->count &&
	       bsearch(prefix, have->items, have->count, sizeof(struct cv_prefix), by_prefix);
}

/*
 * Whether the kernel has BIRD's routes to all that was learned and is to be reached by node. After
 * some seconds it is said to be so anyway; until then it is looked at again.
 */
static bool is_settled(struct cv_bgp_agent *agent, const struct cv_intent *intent)
{
	int64_t now = cv_bgp_now_us();
	bool is_there = true;
	struct cv_vector have;

	if (read_birds(agent, &have)) {
		cv_vector_fini(&have);
		return true;
	}
	for (size_t i = 0; i < intent->decision_count && is_there; i++) {
		const struct cv_decision *decision = &intent->decisions[i];

		is_there = decision->claim.resource ||
			   (decision->path != CV_PATH_TUNNEL && decision->path != CV_PATH_DIRECT) ||
			   has_prefix(&have, &decision->claim.prefix);
	}
	cv_vector_fini(&have);
	if (is_there) {
		agent->unsettled_us = 0;
		return true;
	}
	if (!agent->unsettled_us)
		agent->unsettled_us = now;
	if (now - agent->unsettled_us >= (int64_t)SETTLE_S * 1000000) {
		/* The next guard waits anew. */
		agent->unsettled_us = 0;
		return true;
	}
	later(agent, now + SETTLE_LOOK_US);
	return false;
}

static bool has_guard(const struct cv_intent *intent, const struct cv_prefix *prefix)
{
	for (size_t i = 0; i < intent->route_count; i++) {
		if (intent->routes[i].metric == CV_METRIC_GUARD &&
		    !cv_prefix_compare(&intent->routes[i].prefix, prefix))
			return true;
	}
	return false;
}

void cv_bgp_agent_hold_guard(struct cv_bgp_agent *agent, const struct cv_intent *before,
			     struct cv_intent *intent)
{
	size_t kept = 0, is_new = 0;

	if (intent->programs != CV_PROGRAMS_BIRD)
		return;
	for (size_t i = 0; i < intent->route_count; i++)
		is_new += intent->routes[i].metric == CV_METRIC_GUARD &&
			  !has_guard(before, &intent->routes[i].prefix);
	if (!is_new || is_settled(agent, intent))
		return;
	for (size_t i = 0; i < intent->route_count; i++) {
		if (intent->routes[i].metric != CV_METRIC_GUARD ||
		    has_guard(before, &intent->routes[i].prefix))
			intent->routes[kept++] = intent->routes[i];
	}
	intent->route_count = kept;
}

/* True: BIRD has taken over something just now; decide again. What it has had a route to once is
 * its for good. */
static bool hand_over(struct cv_bgp_agent *agent, const struct cv_intent *intent)
{
	struct cv_hand_over over = {.missing = 0};
	char text[CV_PREFIX_TEXT_MAX];
	struct cv_vector birds;
	int rc;

	agent->hand_over[0] = '\0';
	if (agent->wanted != CV_PROGRAMS_BIRD || agent->is_taken_over)
		return false;
	if (!agent->bgp.wanted || cv_bird_state(agent->bird) != CV_BIRD_UP || !agent->has_status ||
	    agent->status.is_recovering) {
		snprintf(agent->hand_over, sizeof(agent->hand_over), "BIRD is not there yet");
		return false;
	}
	rc = read_birds(agent, &birds);
	if (!rc)
		rc = cv_hand_over(intent, &birds, &agent->handed, &over);
	cv_vector_fini(&birds);
	if (over.missing)
		snprintf(agent->hand_over, sizeof(agent->hand_over),
			 "BIRD has no route to %zu of the declared prefixes yet (%s)", over.missing,
			 cv_prefix_format(&over.first, text));
	if (rc || over.missing)
		return over.has_news;
	agent->is_taken_over = true;
	cv_log(LOG_NOTICE, "bgp: BIRD programs the routes to other nodes from now on");
	return true;
}

/* ---- secrets --------------------------------------------------------------------------- */

/* The model has seen to it that neither name leads out of the directory. */
static int read_secret(const struct cv_bgp_secret *secret, void *data, char **ret_text,
		       struct cv_error *error)
{
	const struct cv_bgp_agent *agent = data;
	char path[512], text[SECRET_MAX + 1];
	ssize_t size = -1;
	int fd, length, rc = 0;

	length = snprintf(path, sizeof(path), "%s/secrets/%s/%s", agent->config_dir, secret->name,
			  secret->key);
	if (length < 0 || (size_t)length >= sizeof(path))
		return cv_error_set(error, -ENAMETOOLONG, "the path of secret %s is too long",
				    secret->name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0)
		size = read(fd, text, sizeof(text));
	if (size < 0)
		rc = cv_error_set(error, -errno, "cannot read the password file %s: %s", path,
				  strerror(errno));
	else if (size > SECRET_MAX)
		rc = cv_error_set(error, -EFBIG, "the password file %s is longer than %d bytes",
				  path, SECRET_MAX);
	if (fd >= 0)
		close(fd);
	if (!rc) {
		/* Editors put a newline at the end, which is no part of it. */
		while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
			size--;
		text[size] = '\0';
		if (!size)
			rc = cv_error_set(error, -EINVAL, "the password file %s is empty", path);
		else if (strlen(text) != (size_t)size)
			rc = cv_error_set(error, -EINVAL, "the password file %s has a NUL in it",
					  path);
	}
	if (!rc) {
		*ret_text = strdup(text);
		rc = *ret_text ? 0 : cv_error_set(error, -ENOMEM, "out of memory");
	}
	explicit_bzero(text, sizeof(text));
	return rc;
}

/* ---- telling BIRD -------------------------------------------------------------------------- */

static void set_problem(struct cv_bgp_agent *agent, const char *text)
{
	if (!strcmp(agent->problem, text))
		return;
	snprintf(agent->problem, sizeof(agent->problem), "%s", text);
	if (*text)
		cv_log(LOG_WARNING, "bgp: %s", text);
	else
		cv_log(LOG_NOTICE, "bgp: all is well again");
}

/* The configuration has passwords. */
static void free_text(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void render(struct cv_bgp_agent *agent, char **ret_main, char **ret_include)
{
	char include_path[512], log_path[512];

	snprintf(include_path, sizeof(include_path), "%s/culvert.conf", agent->directory);
	snprintf(log_path, sizeof(log_path), "%s/bird.log", agent->directory);
	*ret_include = cv_bird_config_include(&agent->bgp);
	*ret_main = agent->mode == CV_BGP_SUPERVISED
			    ? cv_bird_config_main(&agent->bgp, include_path, log_path)
			    : NULL;
}

/* The include without what paths' MTUs make of it; NULL without memory. */
static char *render_core(struct cv_bgp_agent *agent)
{
	struct cv_bgp_intent core = agent->bgp;
	struct cv_bgp_node *nodes = calloc(core.node_count + 1, sizeof(*nodes));
	char *text = NULL;

	if (nodes) {
		if (core.node_count)
			memcpy(nodes, core.nodes, core.node_count * sizeof(*nodes));
		for (size_t i = 0; i < core.node_count; i++)
			nodes[i].mtu = 0;
		core.nodes = nodes;
		text = cv_bird_config_include(&core);
	}
	free(nodes);
	return text;
}

static bool is_same(const char *a, const char *b)
{
	return !a || !b ? a == b : !strcmp(a, b);
}

/* What BIRD has been given: in exchange for what it had. */
static void keep_given(struct cv_bgp_agent *agent, const struct cv_bgp_given *given)
{
	free_text(agent->given.main);
	free_text(agent->given.include);
	free_text(agent->given.core);
	agent->given = *given;
}

/* Whether BIRD can wait: only ways' MTUs have changed, which they do in crowds. */
static bool can_wait(struct cv_bgp_agent *agent, const struct cv_bgp_given *given)
{
	int64_t until_us = agent->configured_us + (int64_t)CONFIGURE_REST_MS * 1000;

	if (!agent->configured_us || cv_bgp_now_us() >= until_us ||
	    !is_same(given->main, agent->given.main) || !is_same(given->core, agent->given.core))
		return false;
	later(agent, until_us);
	return true;
}

/* True: BIRD has it, and given is the agent's now. */
static bool give(struct cv_bgp_agent *agent, struct cv_bgp_given *given)
{
	struct cv_error error = {.text = ""};
	int rc;

	given->core = render_core(agent);
	if (!given->core) {
		set_problem(agent, "out of memory");
		return false;
	}
	if (can_wait(agent, given))
		return false;
	rc = cv_bird_configure(agent->bird, given->main, given->include, &error);
	set_problem(agent, error.text);
	if (rc)
		return false;
	agent->configured_us = cv_bgp_now_us();
	agent->is_stopped = false;
	keep_given(agent, given);
	cv_bgp_ask_soon(agent);
	return true;
}

static void configure(struct cv_bgp_agent *agent)
{
	struct cv_bgp_given given = {.core = NULL};

	render(agent, &given.main, &given.include);
	if (!given.include || (agent->mode == CV_BGP_SUPERVISED && !given.main))
		set_problem(agent, strpbrk(agent->directory, "\"\n")
					   ? "the run directory has a \" or a newline in its name, "
					     "which BIRD cannot read; give another --run-dir"
					   : "out of memory");
	else if (agent->configured_us && is_same(given.main, agent->given.main) &&
		 is_same(given.include, agent->given.include))
		set_problem(agent, "");
	else if (give(agent, &given))
		return;
	free_text(given.main);
	free_text(given.include);
	free_text(given.core);
}

static void stop(struct cv_bgp_agent *agent)
{
	/* The first time, too: an earlier daemon's may run. */
	if (!agent->is_stopped)
		cv_bird_stop(agent->bird);
	agent->is_stopped = true;
	agent->configured_us = 0;
	keep_given(agent, &(struct cv_bgp_given){.main = NULL});
	cv_bgp_forget(agent);
	set_problem(agent, "");
}

/*
 * The kernel drops the routes of a device that goes down or away, and BIRD would not notice; one
 * that was not there made its filter fail, and such a route is never tried again by itself.
 */
static void follow_device(struct cv_bgp_agent *agent, int ifindex)
{
	const char *question =
		agent->mode == CV_BGP_SUPERVISED ? "reload out " CV_BIRD_KERNEL : "reload out all";

	if (ifindex == agent->pool_ifindex)
		return;
	if (ifindex && agent->configured_us && cv_bird_state(agent->bird) == CV_BIRD_UP)
		cv_bird_ask(agent->bird, question, NULL, NULL);
	agent->pool_ifindex = ifindex;
}

/* Whether the daemon before ran a BIRD of its own: an external one has no such file of ours. */
static bool was_supervised(const struct cv_bgp_agent *agent)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/bird.conf", agent->directory);
	return !access(path, F_OK);
}

/*
 * A BIRD of ours that an earlier daemon ran, and this one does not want: by now what replaces its
 * routes is there.
 */
static void end_former(struct cv_bgp_agent *agent)
{
	struct cv_error error;
	int rc;

	if (agent->mode == CV_BGP_SUPERVISED || agent->has_ended_former)
		return;
	agent->has_ended_former = true;
	/* What is of an external one stays: it includes it. */
	if (!was_supervised(agent))
		return;
	rc = cv_bird_purge(agent->directory, &error);
	if (rc > 0)
		cv_log(LOG_NOTICE, "bgp: ended the BIRD that an earlier culvertd ran");
	else if (rc < 0)
		set_problem(agent, error.text);
}

void cv_bgp_agent_apply(struct cv_bgp_agent *agent, const struct cv_intent *intent,
			const struct cv_facts *facts, const char *pool_device, int pool_ifindex)
{
	const struct cv_bgp_input input = {
		.intent = intent,
		.facts = facts,
		.pool_device = pool_device,
		.read_secret = read_secret,
		.data = agent,
	};
	struct cv_bgp_configuration configuration;
	struct cv_bgp_intent bgp;

	if (cv_bgp_decide(&input, &bgp)) {
		set_problem(agent, "out of memory");
		return;
	}
	cv_bgp_intent_fini(&agent->bgp);
	agent->bgp = bgp;
	end_former(agent);
	if (agent->mode == CV_BGP_OFF)
		return;
	if (bgp.wanted) {
		configure(agent);
		follow_device(agent, pool_ifindex);
	} else if (!cv_snapshot_bgp(intent->snapshot, intent->self.name, &configuration)) {
		stop(agent);
	} else {
		/* No address, for the moment: BIRD goes on with what it has. */
		set_problem(agent, bgp.problem);
	}
	if (hand_over(agent, intent))
		later(agent, cv_bgp_now_us());
}

static void on_again(evutil_socket_t fd, short what, void *data)
{
	struct cv_bgp_agent *agent = data;

	(void)fd;
	(void)what;
	agent->changed(agent->data);
}

int cv_bgp_agent_restart(struct cv_bgp_agent *agent, struct cv_error *error)
{
	if (agent->mode == CV_BGP_OFF)
		return cv_error_set(error, -EINVAL,
				    "culvertd runs with --bgp off: there is no BIRD");
	return cv_bird_restart(agent->bird, error);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static int open_bird(struct cv_bgp_agent *agent, const struct cv_bgp_agent_options *options,
		     struct cv_error *error)
{
	const struct cv_bird_options bird = {
		.base = options->base,
		.directory = agent->directory,
		.program = options->program,
		.socket = options->mode != CV_BGP_EXTERNAL ? NULL
			  : options->socket		   ? options->socket
							   : CV_BGP_EXTERNAL_SOCKET,
		.changed = cv_bgp_bird_changed,
		.data = agent,
	};

	if (options->mode == CV_BGP_OFF)
		return 0;
	return cv_bird_create(&bird, &agent->bird, error);
}

static int copy_paths(struct cv_bgp_agent *agent, const struct cv_bgp_agent_options *options)
{
	if (asprintf(&agent->directory, "%s/bird", options->run_dir) < 0)
		agent->directory = NULL;
	agent->config_dir = strdup(options->config_dir);
	return agent->directory && agent->config_dir ? 0 : -ENOMEM;
}

int cv_bgp_agent_create(const struct cv_bgp_agent_options *options, struct cv_bgp_agent **ret_agent,
			struct cv_error *error)
{
	struct cv_bgp_agent *agent = calloc(1, sizeof(*agent));
	int rc = -ENOMEM;

	if (agent) {
		agent->nl = options->nl;
		agent->mode = options->mode;
		agent->changed = options->changed;
		agent->data = options->data;
		cv_vector_init(&agent->handed, sizeof(struct cv_prefix));
		agent->again = evtimer_new(options->base, on_again, agent);
		rc = cv_bgp_ask_init(agent, options->base);
		if (!rc)
			rc = agent->again ? copy_paths(agent, options) : -ENOMEM;
	}
	if (rc) {
		cv_bgp_agent_destroy(agent);
		return cv_error_set(error, rc, "out of memory");
	}
	/* If it is the same BIRD: another's routes go, or nobody minds them, before this one has
	 * any. A hand-over that is under way goes on where it was. */
	if (agent->mode != CV_BGP_OFF &&
	    was_supervised(agent) == (agent->mode == CV_BGP_SUPERVISED)) {
		agent->is_taken_over = options->was_bird;
		read_birds(agent, &agent->handed);
	}
	rc = open_bird(agent, options, error);
	if (rc) {
		cv_bgp_agent_destroy(agent);
		return rc;
	}
	if (agent->is_taken_over)
		cv_bgp_ask_at_once(agent);
	*ret_agent = agent;
	return 0;
}

void cv_bgp_agent_destroy(struct cv_bgp_agent *agent)
{
	if (!agent)
		return;
	cv_bird_destroy(agent->bird);
	cv_bgp_ask_fini(agent);
	if (agent->again)
		event_free(agent->again);
	cv_bgp_intent_fini(&agent->bgp);
	cv_vector_fini(&agent->handed);
	keep_given(agent, &(struct cv_bgp_given){.main = NULL});
	free(agent->directory);
	free(agent->config_dir);
	free(agent);
}

/* ---- looking at it ----------------------------------------------------------------------- */

void cv_bgp_agent_view(const struct cv_bgp_agent *agent, struct cv_bgp_view *ret_view)
{
	*ret_view = (struct cv_bgp_view){
		.mode = agent->mode,
		.intent = &agent->bgp,
		.bird = agent->bird,
		.programs_wanted = agent->wanted,
		.programs_now = agent->wanted == CV_PROGRAMS_BIRD && !agent->is_taken_over
					? CV_PROGRAMS_AGENT
					: agent->wanted,
		.hand_over = agent->hand_over,
		.problem = agent->problem[0] || !agent->bird ? agent->problem
							     : cv_bird_problem(agent->bird),
		.has_status = agent->has_status,
		.status = agent->status,
		.sessions = agent->sessions,
		.session_count = agent->session_count,
		.asked_us = agent->asked_us,
		.learned = &agent->learned,
		.learned_unread = agent->learned_unread,
		.has_refused = agent->has_refused,
	};
	memcpy(ret_view->refused, agent->refused, sizeof(ret_view->refused));
	cv_bgp_md5_recent(&agent->md5, &ret_view->md5);
}
