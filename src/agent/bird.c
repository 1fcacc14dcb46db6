/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BIRD, watched over. What is to be (aim) and what is there (connection, greeting, process) are
 * looked at in one place, attend(), that is called again whenever one of them has changed or a
 * while has passed; it does one step.
 *
 * Invariants: never two BIRDs of one directory: one is started only when nobody listens on its
 * socket and no process of it lives; a process is killed only through a pidfd of one that was
 * recognised, and only where its end was asked for or its socket is gone; `changed` is called from
 * an event of its own.
 */
#include "agent/bird.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "agent/bird_client.h"
#include "agent/bird_files.h"
#include "agent/bird_process.h"
#include "routing/bird_reply.h"

enum {
	BACK_OFF_MIN_MS = 100,
	BACK_OFF_MAX_MS = 10000,
	LOOK_MS = 20,	      /* for the socket of one that was just started */
	RETRY_MS = 1000,      /* to reach one that does not answer */
	GREETING_MS = 10000,  /* after which one without a socket is given up */
	PATIENCE_MS = 10000,  /* with one that is to end */
	LOOK_AFTER_MS = 5000, /* one that is not asked for anything */
	WORDS_MAX = 300,
};

enum aim {
	AIM_NONE,
	AIM_RUN,
	AIM_STOP,
};

struct cv_bird {
	struct event_base *base;
	struct cv_bird_files files;
	char *program;
	bool external;
	char socket[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	void (*changed)(void *data);
	void *data;
	struct cv_bird_client *client;
	struct event *timer;	/* attend() is due */
	struct event *notice;	/* `changed` is due */
	struct event *patience; /* one that is to end has not */
	enum aim aim;
	enum cv_bird_state state;
	bool is_greeted, is_ending; /* its end was asked for */
	bool was_up;		    /* this process was */
	bool is_new;		    /* we started it: it takes what is written */
	bool is_rewritten;	    /* since then: who knows which it has read */
	bool recover;		    /* until it is up: it takes over from one that left traces */
	pid_t pid;
	int pidfd; /* -1 */
	struct event *ended;
	int words;	       /* -1; what it said on its start */
	int64_t since_ms;      /* started, or without its socket */
	int64_t up_ms;	       /* came up */
	unsigned int pause_ms; /* before the next start */
	unsigned long restarts;
	char wanted[CV_BIRD_DIGEST_MAX]; /* written; "": nothing */
	char asked[CV_BIRD_DIGEST_MAX];	 /* `configure` is under way; "": it is not */
	char taken[CV_BIRD_DIGEST_MAX], refused[CV_BIRD_DIGEST_MAX];
	struct cv_error problem; /* why it is not up */
	struct cv_error refusal; /* why the configuration is not in force */
};

static void attend(struct cv_bird *bird);

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- what is told --------------------------------------------------------------------- */

static void wait_ms(struct event *event, unsigned int ms)
{
	const struct timeval pause = {.tv_sec = ms / 1000,
				      .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	event_add(event, &pause);
}

static void attend_in(struct cv_bird *bird, unsigned int ms)
{
	wait_ms(bird->timer, ms);
}

static void on_notice(evutil_socket_t fd, short what, void *data)
{
	struct cv_bird *bird = data;

	(void)fd;
	(void)what;
	if (bird->changed)
		bird->changed(bird->data);
}

static void set_state(struct cv_bird *bird, enum cv_bird_state state, const char *problem)
{
	if (state == bird->state && !strcmp(problem, bird->problem.text))
		return;
	bird->state = state;
	cv_error_set(&bird->problem, 0, "%s", problem);
	wait_ms(bird->notice, 0);
}

__attribute__((format(printf, 2, 3))) static void set_down(struct cv_bird *bird, const char *format,
							   ...)
{
	char problem[CV_ERROR_TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(problem, sizeof(problem), format, arguments);
	va_end(arguments);
	set_state(bird, CV_BIRD_DOWN, problem);
}

static void set_refusal(struct cv_bird *bird, const char *refusal)
{
	if (!strcmp(refusal, bird->refusal.text))
		return;
	cv_error_set(&bird->refusal, 0, "%s", refusal);
	wait_ms(bird->notice, 0);
}

/* ---- the process ---------------------------------------------------------------------- */

static void forget_process(struct cv_bird *bird)
{
	if (bird->ended)
		event_free(bird->ended);
	bird->ended = NULL;
	if (bird->pidfd >= 0)
		close(bird->pidfd);
	bird->pidfd = -1;
	if (bird->words >= 0)
		close(bird->words);
	bird->words = -1;
	bird->pid = 0;
	bird->was_up = false;
	bird->is_new = false;
}

static unsigned int back_off(struct cv_bird *bird)
{
	unsigned int pause = bird->pause_ms;

	bird->pause_ms = pause * 2 < BACK_OFF_MAX_MS ? pause * 2 : BACK_OFF_MAX_MS;
	return pause;
}

/* It is gone, and is not to be again: nothing of it stays. */
static void finish_stop(struct cv_bird *bird)
{
	/* One that was killed, or had `persist`, has left its routes. */
	if (cv_bird_files_taken(&bird->files, bird->taken))
		cv_bird_routes_delete();
	cv_bird_files_remove(&bird->files);
	bird->aim = AIM_NONE;
	bird->wanted[0] = bird->taken[0] = bird->refused[0] = '\0';
	bird->recover = false;
	bird->refusal.text[0] = '\0';
	set_state(bird, CV_BIRD_OFF, "");
}

/* It ended before it was up: what it said of its configuration is a refusal, too, unless that has
 * been replaced since: what is there now has yet to be tried. */
static bool take_back(struct cv_bird *bird, const char *words)
{
	if (bird->is_rewritten ||
	    (!strstr(words, CV_BIRD_CONFIG) && !strstr(words, CV_BIRD_INCLUDE)))
		return false;
	if (!cv_bird_files_restore(&bird->files))
		return false;
	memcpy(bird->refused, bird->wanted, sizeof(bird->refused));
	cv_bird_files_taken(&bird->files, bird->taken);
	return true;
}

static void tell_death(struct cv_bird *bird)
{
	char words[WORDS_MAX], text[CV_ERROR_TEXT_MAX];

	cv_bird_process_words(bird->words, words, sizeof(words));
	if (bird->was_up) {
		bird->restarts++;
		set_down(bird, "BIRD (process %d) has died; %s", (int)bird->pid,
			 bird->external ? "start it again" : "it is started again");
		return;
	}
	snprintf(text, sizeof(text), "BIRD does not start: %s",
		 words[0] ? words : "it gives no reason");
	if (take_back(bird, words))
		set_refusal(bird, text);
	else
		set_state(bird, CV_BIRD_DOWN, text);
}

static void handle_end(struct cv_bird *bird)
{
	bool expected = bird->is_ending;
	bool stable = bird->was_up && now_ms() - bird->up_ms >= BACK_OFF_MAX_MS;

	event_del(bird->patience);
	bird->is_greeted = false;
	bird->is_ending = false;
	bird->asked[0] = '\0';
	cv_bird_client_disconnect(bird->client);
	if (!expected)
		tell_death(bird);
	else if (bird->aim == AIM_RUN)
		set_state(bird, CV_BIRD_STARTING, "");
	forget_process(bird);
	if (expected || stable)
		bird->pause_ms = BACK_OFF_MIN_MS;
	if (bird->aim == AIM_STOP)
		finish_stop(bird);
	else
		attend_in(bird, expected ? 0 : back_off(bird));
}

static void on_ended(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	handle_end(data);
}

/* Know it by its pid, and when it ends. */
static void watch(struct cv_bird *bird, pid_t pid)
{
	if (pid == bird->pid)
		return;
	forget_process(bird);
	bird->pid = pid;
	bird->pidfd = pid > 0 ? cv_bird_process_open(pid) : -1;
	if (bird->pidfd < 0)
		return;
	bird->ended = event_new(bird->base, bird->pidfd, EV_READ, on_ended, bird);
	if (bird->ended)
		event_add(bird->ended, NULL);
}

static void end_process(struct cv_bird *bird)
{
	bird->is_ending = true;
	if (bird->pidfd >= 0)
		cv_bird_process_kill(bird->pidfd);
	else
		handle_end(bird);
}

static void on_patience(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	end_process(data);
}

/*
 * Whether there are traces of a BIRD that has not ended by itself: then the kernel, and its peers,
 * still have routes, and -R keeps them. Without any, -R would only hold new routes back until all
 * peers are there, or its time is over (`graceful restart wait`).
 */
static bool has_left_traces(const struct cv_bird *bird)
{
	char digest[CV_BIRD_DIGEST_MAX];

	if (bird->recover)
		return true;
	return cv_bird_files_taken(&bird->files, digest) &&
	       (cv_bird_files_has(&bird->files, CV_BIRD_PID) || cv_bird_routes_count() > 0);
}

static void start(struct cv_bird *bird)
{
	struct cv_error error;
	int words = -1, rc;
	pid_t pid = 0;

	bird->recover = has_left_traces(bird);
	bird->is_rewritten = false;
	cv_bird_files_remove_pid(&bird->files);
	rc = cv_bird_process_start(&bird->files, bird->program, bird->recover, &pid, &words,
				   &error);
	if (rc) {
		set_state(bird, CV_BIRD_DOWN, error.text);
		attend_in(bird, rc == -ENOENT ? BACK_OFF_MAX_MS : back_off(bird));
		return;
	}
	watch(bird, pid);
	bird->words = words;
	bird->is_new = true;
	bird->since_ms = now_ms();
	/* Once it was down, it is so until it is up. */
	if (bird->state == CV_BIRD_OFF)
		set_state(bird, CV_BIRD_STARTING, "");
	attend_in(bird, LOOK_MS);
}

/* ---- its configuration ---------------------------------------------------------------- */

static void come_up(struct cv_bird *bird)
{
	if (!bird->was_up)
		bird->up_ms = now_ms();
	bird->was_up = true;
	bird->recover = false;
	set_state(bird, CV_BIRD_UP, "");
	attend_in(bird, LOOK_AFTER_MS);
}

static void accept_config(struct cv_bird *bird, const char *digest)
{
	memmove(bird->taken, digest, sizeof(bird->taken));
	cv_bird_files_accept(&bird->files, digest);
	bird->refused[0] = '\0';
	set_refusal(bird, "");
}

/* "0002-Reading …\n8002 /run/culvert/bird/culvert.conf:2:8 syntax error, …\n" */
static void refuse_config(struct cv_bird *bird, const char *text, size_t size)
{
	char refusal[CV_ERROR_TEXT_MAX], directory[CV_BIRD_PATH_MAX];
	const char *last = memrchr(text, '\n', size - 1);
	const char *words = (last ? last + 1 : text) + strlen("8002 ");
	int length = (int)(text + size - 1 - words);
	size_t skipped;

	cv_bird_files_path(&bird->files, "", directory);
	skipped = strlen(directory);
	if (length > (int)skipped && !strncmp(words, directory, skipped)) {
		words += skipped;
		length -= (int)skipped;
	}
	snprintf(refusal, sizeof(refusal),
		 "BIRD refuses its configuration, the former stays in force: %.*s", length, words);
	memcpy(bird->refused, bird->asked, sizeof(bird->refused));
	cv_bird_files_restore(&bird->files);
	set_refusal(bird, refusal);
}

static void send_config(struct cv_bird *bird);

static void on_configured(const char *text, size_t size, void *data)
{
	struct cv_bird *bird = data;
	int code = text ? cv_bird_reply_end(text, size, &size) : -ENOTCONN;
	bool is_latest = !strcmp(bird->asked, bird->wanted);

	if (code < 0) {
		bird->asked[0] = '\0';
		return; /* it is asked again by the next connection */
	}
	if (code < 8000 && is_latest)
		accept_config(bird, bird->asked);
	else if (is_latest)
		refuse_config(bird, text, size);
	bird->asked[0] = '\0';
	if (bird->external && bird->aim == AIM_STOP && is_latest) {
		bird->aim = AIM_NONE;
		cv_bird_client_disconnect(bird->client);
		bird->is_greeted = false;
		set_state(bird, CV_BIRD_OFF, "");
		return;
	}
	if (!is_latest)
		send_config(bird);
	else if (!bird->is_ending)
		come_up(bird);
}

/*
 * Not `configure soft`: that leaves routes as they are that former filters let through. What did
 * not change, BIRD leaves alone either way.
 */
static void send_config(struct cv_bird *bird)
{
	if (bird->asked[0])
		return; /* looked at again when that is answered */
	memcpy(bird->asked, bird->wanted, sizeof(bird->asked));
	if (cv_bird_client_ask(bird->client, "configure", on_configured, bird))
		bird->asked[0] = '\0';
}

/* Bring what it took and what is wanted together. */
static void settle_config(struct cv_bird *bird)
{
	if (!strcmp(bird->taken, bird->wanted) || !strcmp(bird->refused, bird->wanted))
		come_up(bird);
	else
		send_config(bird);
}

/* ---- the connection ------------------------------------------------------------------- */

static void ask_to_end(struct cv_bird *bird, const char *how)
{
	bird->is_ending = true;
	wait_ms(bird->patience, PATIENCE_MS);
	cv_bird_client_ask(bird->client, how, NULL, NULL);
}

/* What it has, as far as that can be known. */
static void find_taken(struct cv_bird *bird)
{
	/* It may have read what was there before, what is there now, or half of each. */
	if (bird->is_new && bird->is_rewritten)
		bird->taken[0] = '\0';
	else if (bird->is_new && strcmp(bird->refused, bird->wanted) != 0)
		accept_config(bird, bird->wanted);
	else if (!cv_bird_files_taken(&bird->files, bird->taken))
		bird->taken[0] = '\0';
}

static void on_ready(void *data)
{
	struct cv_bird *bird = data;

	bird->is_greeted = true;
	if (bird->aim == AIM_STOP && !bird->external) {
		ask_to_end(bird, "down");
		return;
	}
	find_taken(bird);
	bird->is_new = false;
	settle_config(bird);
}

static void on_lost(int err, void *data)
{
	struct cv_bird *bird = data;

	bird->is_greeted = false;
	bird->asked[0] = '\0';
	bird->since_ms = now_ms();
	if (bird->is_ending && bird->pidfd < 0) {
		handle_end(bird);
		return;
	}
	if (bird->aim == AIM_STOP && err == -ETIMEDOUT && !bird->external) {
		end_process(bird);
		return;
	}
	if (err == -ETIMEDOUT)
		set_down(bird,
			 "BIRD (process %d) does not answer; if that lasts, `kill -9 %d`: then it "
			 "is started again",
			 (int)bird->pid, (int)bird->pid);
	else if (err != -ECONNRESET)
		set_down(bird, "what listens at %s does not speak as BIRD does", bird->socket);
	else if (bird->external)
		set_down(bird, "BIRD at %s has closed the connection", bird->socket);
	/* If it has died, that is noticed by then. */
	attend_in(bird, err == -ECONNRESET ? BACK_OFF_MIN_MS : RETRY_MS);
}

static void look_after(struct cv_bird *bird)
{
	if (bird->is_greeted && !cv_bird_client_waiting(bird->client))
		cv_bird_client_ask(bird->client, "show status", NULL, NULL);
	if (bird->is_greeted)
		attend_in(bird, LOOK_AFTER_MS);
}

/* Connected: who is it? */
static void meet(struct cv_bird *bird)
{
	pid_t pid = cv_bird_client_peer(bird->client);
	/* One that we watch may have ended since, and then shows no name. */
	bool ours = bird->external || !pid || pid == bird->pid ||
		    cv_bird_process_is_ours(pid, &bird->files);

	if (ours && cv_bird_process_is_here(pid)) {
		watch(bird, pid);
		if (bird->state == CV_BIRD_OFF)
			set_state(bird, CV_BIRD_STARTING, "");
		return; /* its greeting, or silence, comes next */
	}
	cv_bird_client_disconnect(bird->client);
	if (bird->aim == AIM_STOP) {
		bird->aim = AIM_NONE;
		set_state(bird, CV_BIRD_OFF, "");
		return;
	}
	if (ours)
		set_down(bird, "BIRD (process %d) runs in another network namespace; end it there",
			 (int)pid);
	else
		set_down(bird, "process %d listens at %s, and is no BIRD of ours; end it", (int)pid,
			 bird->socket);
	attend_in(bird, RETRY_MS);
}

/* Nobody listens, but a process of it lives: it has just been started, or its socket was taken
 * away; then nobody can tell it anything any more. */
static void wait_for_socket(struct cv_bird *bird)
{
	if (now_ms() - bird->since_ms < GREETING_MS)
		attend_in(bird, bird->is_new ? LOOK_MS : RETRY_MS);
	else
		end_process(bird);
}

static void handle_absence(struct cv_bird *bird, int err)
{
	pid_t pid;

	if (bird->external) {
		if (bird->aim == AIM_STOP) {
			bird->aim = AIM_NONE;
			set_state(bird, CV_BIRD_OFF, "");
			return;
		}
		set_down(bird, "no BIRD listens at %s: %s; start it", bird->socket, strerror(-err));
		attend_in(bird, back_off(bird));
		return;
	}
	if (bird->pidfd < 0) {
		pid = cv_bird_process_find_pid(&bird->files);
		if (pid) {
			watch(bird, pid);
			bird->since_ms = bird->aim == AIM_STOP ? 0 : now_ms();
		}
	}
	if (bird->pidfd >= 0)
		wait_for_socket(bird);
	else if (bird->aim == AIM_STOP)
		finish_stop(bird);
	else
		start(bird);
}

static void attend(struct cv_bird *bird)
{
	int rc;

	if (bird->aim == AIM_NONE)
		return;
	if (cv_bird_client_is_connected(bird->client)) {
		look_after(bird);
		return;
	}
	rc = cv_bird_client_connect(bird->client);
	if (!rc) {
		if (bird->external)
			bird->pause_ms = BACK_OFF_MIN_MS;
		meet(bird);
	} else if (rc == -ECONNREFUSED || rc == -ENOENT) {
		handle_absence(bird, rc);
	} else {
		set_down(bird,
			 rc == -EAGAIN ? "BIRD at %s takes up no connection any more%s"
				       : "cannot reach BIRD at %s: %s",
			 bird->socket, rc == -EAGAIN ? "" : strerror(-rc));
		attend_in(bird, RETRY_MS);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	attend(data);
}

/* ---- what people ask for --------------------------------------------------------------- */

int cv_bird_configure(struct cv_bird *bird, const char *main, const char *include,
		      struct cv_error *error)
{
	char digest[CV_BIRD_DIGEST_MAX];
	int rc;

	cv_bird_files_digest(main, include, digest);
	if (bird->aim == AIM_RUN && !strcmp(digest, bird->wanted))
		return 0;
	rc = cv_bird_files_prepare(&bird->files, error);
	if (!rc)
		rc = cv_bird_files_write(&bird->files, main, include, error);
	if (rc)
		return rc;
	memcpy(bird->wanted, digest, sizeof(bird->wanted));
	bird->is_rewritten = true;
	bird->refused[0] = '\0';
	set_refusal(bird, "");
	bird->aim = AIM_RUN;
	if (bird->is_ending)
		return 0; /* started anew when that has ended */
	if (bird->is_greeted)
		settle_config(bird);
	else if (!cv_bird_client_is_connected(bird->client))
		attend_in(bird, 0);
	return 0;
}

/* Nobody includes anything of ours any more. */
static void stop_external(struct cv_bird *bird)
{
	struct cv_error error;

	cv_bird_files_digest(NULL, "", bird->wanted);
	if (cv_bird_files_prepare(&bird->files, &error) ||
	    cv_bird_files_write(&bird->files, NULL, "", &error))
		bird->wanted[0] = '\0';
	if (bird->is_greeted && bird->wanted[0])
		send_config(bird);
	else if (!cv_bird_client_is_connected(bird->client))
		attend_in(bird, 0);
}

void cv_bird_stop(struct cv_bird *bird)
{
	if (bird->aim == AIM_STOP)
		return;
	bird->aim = AIM_STOP;
	if (bird->external) {
		stop_external(bird);
		return;
	}
	if (bird->is_ending)
		return;
	if (bird->is_greeted)
		ask_to_end(bird, "down");
	else if (!cv_bird_client_is_connected(bird->client))
		attend_in(bird, 0);
}

int cv_bird_restart(struct cv_bird *bird, struct cv_error *error)
{
	if (bird->external)
		return cv_error_set(error, -EOPNOTSUPP,
				    "BIRD is run by somebody else; restart it as it was started");
	if (bird->state != CV_BIRD_UP || bird->is_ending || bird->aim != AIM_RUN)
		return cv_error_set(error, -ENOTCONN, "BIRD is not up");
	bird->recover = true;
	ask_to_end(bird, "graceful restart");
	return 0;
}

enum cv_bird_state cv_bird_state(const struct cv_bird *bird)
{
	return bird->state;
}

const char *cv_bird_problem(const struct cv_bird *bird)
{
	return bird->problem.text[0] ? bird->problem.text : bird->refusal.text;
}

unsigned long cv_bird_restarts(const struct cv_bird *bird)
{
	return bird->restarts;
}

int cv_bird_pid(const struct cv_bird *bird)
{
	return (int)bird->pid;
}

bool cv_bird_is_outdated(const struct cv_bird *bird)
{
	return cv_bird_process_is_outdated(bird->pid, bird->program);
}

bool cv_bird_is_root(const struct cv_bird *bird)
{
	return cv_bird_process_is_root(bird->pid);
}

int cv_bird_ask(struct cv_bird *bird, const char *question,
		void (*done)(const char *text, size_t size, void *data), void *data)
{
	if (bird->state != CV_BIRD_UP || bird->is_ending)
		return -ENOTCONN;
	return cv_bird_client_ask(bird->client, question, done, data);
}

int cv_bird_ask_now(const struct cv_bird *bird, const char *question, unsigned int timeout_ms,
		    char **ret_text, size_t *ret_size)
{
	return cv_bird_client_ask_now(bird->socket, question, timeout_ms, ret_text, ret_size);
}

/* ---- create, destroy -------------------------------------------------------------------- */

static int name_socket(struct cv_bird *bird, const char *socket, struct cv_error *error)
{
	char path[CV_BIRD_PATH_MAX];

	if (!socket)
		socket = cv_bird_files_path(&bird->files, CV_BIRD_SOCKET, path);
	if (strlen(socket) >= sizeof(bird->socket))
		return cv_error_set(error, -ENAMETOOLONG,
				    "%.200s: too long a name for BIRD's control socket (at most "
				    "%zu characters); give a shorter one",
				    socket, sizeof(bird->socket) - 1);
	memcpy(bird->socket, socket, strlen(socket) + 1);
	return 0;
}

static int make_events(struct cv_bird *bird)
{
	const struct cv_bird_client_options options = {
		.base = bird->base,
		.socket = bird->socket,
		.ready = on_ready,
		.lost = on_lost,
		.data = bird,
	};

	bird->timer = evtimer_new(bird->base, on_timer, bird);
	bird->notice = evtimer_new(bird->base, on_notice, bird);
	bird->patience = evtimer_new(bird->base, on_patience, bird);
	if (!bird->timer || !bird->notice || !bird->patience)
		return -ENOMEM;
	return cv_bird_client_create(&options, &bird->client);
}

static int fill(struct cv_bird *bird, const struct cv_bird_options *options, struct cv_error *error)
{
	int rc = cv_bird_files_init(&bird->files, options->directory, error);

	if (!rc)
		rc = name_socket(bird, options->socket, error);
	if (rc)
		return rc;
	bird->base = options->base;
	bird->external = options->socket;
	bird->changed = options->changed;
	bird->data = options->data;
	if (options->program) {
		bird->program = strdup(options->program);
		if (!bird->program)
			return cv_error_set(error, -ENOMEM, "out of memory");
	}
	rc = make_events(bird);
	return rc ? cv_error_set(error, rc, "BIRD: %s", strerror(-rc)) : 0;
}

int cv_bird_create(const struct cv_bird_options *options, struct cv_bird **ret_bird,
		   struct cv_error *error)
{
	struct cv_bird *bird = calloc(1, sizeof(*bird));
	int rc;

	if (!bird)
		return cv_error_set(error, -ENOMEM, "out of memory");
	bird->pidfd = bird->words = -1;
	bird->pause_ms = BACK_OFF_MIN_MS;
	rc = fill(bird, options, error);
	if (rc) {
		cv_bird_destroy(bird);
		return rc;
	}
	*ret_bird = bird;
	return 0;
}

void cv_bird_destroy(struct cv_bird *bird)
{
	struct event *events[3];

	if (!bird)
		return;
	cv_bird_client_destroy(bird->client);
	forget_process(bird);
	events[0] = bird->timer;
	events[1] = bird->notice;
	events[2] = bird->patience;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (events[i])
			event_free(events[i]);
	}
	free(bird->program);
	free(bird);
}
