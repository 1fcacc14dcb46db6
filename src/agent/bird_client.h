/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BIRD's control socket: one connection, questions in their order, one under way at a time. For
 * bird.c alone.
 */
#ifndef CV_AGENT_BIRD_CLIENT_H
#define CV_AGENT_BIRD_CLIENT_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
	CV_BIRD_REPLY_MAX = 64 << 20,	/* bytes; a longer one is not kept */
	CV_BIRD_REPLY_LINE_MAX = 65536, /* BIRD's own lines have less than 1 KiB */
	CV_BIRD_QUESTION_MAX = 1000,
	CV_BIRD_ANSWER_MS = 10000, /* how long BIRD may say nothing to what it was asked */
	CV_BIRD_QUESTIONS_MAX = 256,
};

struct cv_bird_client;

struct cv_bird_client_options {
	struct event_base *base;
	const char *socket; /* copied */
	/* Its greeting came: it answers. */
	void (*ready)(void *data);
	/* The connection is gone: -ECONNRESET (BIRD closed it), -ETIMEDOUT, -EPROTO (that is not
	 * BIRD), … All that was asked has been told so. */
	void (*lost)(int err, void *data);
	void *data;
};

/* Both callbacks, and `done`, come from the loop; they may ask, connect and disconnect, but not
 * destroy. 0 or -errno. */
int cv_bird_client_create(const struct cv_bird_client_options *options,
			  struct cv_bird_client **ret_client);
/* What was asked is forgotten: no `done` comes. NULL is fine. */
void cv_bird_client_destroy(struct cv_bird_client *client);

/* 0 or -errno: -ECONNREFUSED, -ENOENT: nobody listens; -EAGAIN: somebody does, and takes nobody up
 * any more. */
int cv_bird_client_connect(struct cv_bird_client *client);
/* Without a call of lost; what was asked is told NULL. */
void cv_bird_client_disconnect(struct cv_bird_client *client);
bool cv_bird_client_is_connected(const struct cv_bird_client *client);

/* Who listens, as the kernel noted it when it began to; 0: not known. */
pid_t cv_bird_client_peer(const struct cv_bird_client *client);

/*
 * Ask; before the greeting, too. done (NULL: nobody is told): text is NULL when the connection was
 * lost (size 0), or the answer was too long (size: its bytes). 0 or -errno:
 * -ENOTCONN, -EINVAL (a newline, too long), -ENOBUFS (too many are waiting), -ENOMEM.
 */
int cv_bird_client_ask(struct cv_bird_client *client, const char *question,
		       void (*done)(const char *text, size_t size, void *data), void *data);
size_t cv_bird_client_waiting(const struct cv_bird_client *client);

/* On a connection of its own, and wait. 0 or -errno (-EMSGSIZE: too long an answer); the caller
 * frees *ret_text. */
int cv_bird_client_ask_now(const char *socket, const char *question, unsigned int timeout_ms,
			   char **ret_text, size_t *ret_size);

#endif
