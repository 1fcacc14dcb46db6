/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BIRD as a process: started, watched, asked, stopped. It is nobody's child and outlives culvertd
 * (a restart of ours is none of its own); whether it lives shows by its control socket, on which
 * this keeps a connection. For the main thread; nothing here blocks, but cv_bird_ask_now.
 */
#ifndef CV_AGENT_BIRD_H
#define CV_AGENT_BIRD_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "tunnel/error.h"

struct cv_bird;

enum cv_bird_state {
	CV_BIRD_OFF,	  /* not wanted */
	CV_BIRD_STARTING, /* started, or about to be; its socket does not answer yet */
	CV_BIRD_UP,	  /* answers */
	CV_BIRD_DOWN,	  /* cannot be started, or died; it is tried again. problem says why */
};

struct cv_bird_options {
	struct event_base *base;
	const char *directory; /* <run-dir>/bird: made when it is needed; copied */
	const char *program;   /* NULL: "bird", in PATH and /usr/sbin; copied */
	const char *socket; /* of a BIRD that somebody else runs (external); NULL: ours; copied */
	/* State or problem changed: UP (again), DOWN, refused … Called from the loop, never from
	 * within a call. Neither it nor what cv_bird_ask calls may destroy. */
	void (*changed)(void *data);
	void *data;
};

/* 0 or -errno. The caller owns *ret_bird. Nothing is started. */
int cv_bird_create(const struct cv_bird_options *options, struct cv_bird **ret_bird,
		   struct cv_error *error);
/* The process stays, and no answer comes any more. NULL is fine. */
void cv_bird_destroy(struct cv_bird *bird);

/*
 * Write its files (0640, root and BIRD's own group; aside, renamed) and have it run by them: it is
 * started (with -R, so that what it left in the kernel stays), or told `configure` if it runs and
 * they differ from what it last took (a note of that outlives us). main: NULL for an external BIRD.
 * A configuration that BIRD refuses leaves the former in force and becomes the problem, until
 * another one is given; the state stays UP. The same one again is nothing. 0 or -errno with error:
 * the files cannot be written, a running BIRD goes on as it is; call again.
 */
int cv_bird_configure(struct cv_bird *bird, const char *main, const char *include,
		      struct cv_error *error);

/*
 * `down`: it withdraws its routes from the kernel and ends; one that does not within 10 s is
 * killed, and what routes are left are deleted; its files go. Then the state is OFF. Of a cv_bird
 * that was never configured, this ends the BIRD that an earlier daemon has left. External: its
 * include file becomes empty (and stays, as its configuration names it), and it is told to
 * configure.
 */
void cv_bird_stop(struct cv_bird *bird);

/* For a new binary: `graceful restart`, then start it. 0 or -errno with error (not up, external).
 */
int cv_bird_restart(struct cv_bird *bird, struct cv_error *error);

enum cv_bird_state cv_bird_state(const struct cv_bird *bird);
const char *cv_bird_problem(const struct cv_bird *bird);    /* "" */
unsigned long cv_bird_restarts(const struct cv_bird *bird); /* deaths that we saw, since we began */
int cv_bird_pid(const struct cv_bird *bird);		    /* 0: not known */
bool cv_bird_is_outdated(const struct cv_bird *bird); /* its binary was replaced since it started */
bool cv_bird_is_root(const struct cv_bird *bird);     /* it does not run as user bird */

/*
 * Ask (one line, without newline) and get the whole reply. done is called once, from the loop: text
 * is NULL if BIRD died or took longer than 10 s (size 0), or if the reply was longer than 64 MiB
 * (size: its bytes). Questions are answered in their order. 0 or -errno: it is not up.
 */
int cv_bird_ask(struct cv_bird *bird, const char *question,
		void (*done)(const char *text, size_t size, void *data), void *data);

/* The same and wait, on a connection of its own, at most timeout_ms; -EMSGSIZE: too long a reply.
 * The caller frees *ret_text. */
int cv_bird_ask_now(const struct cv_bird *bird, const char *question, unsigned int timeout_ms,
		    char **ret_text, size_t *ret_size);

/* For --purge: end a BIRD of ours that runs by this directory, its routes too; remove its files. 1:
 * there was one, 0, or -errno with error. */
int cv_bird_purge(const char *directory, struct cv_error *error);

#endif
