/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: connections, lines, time limits. What a line means is the handler's. */
#ifndef CV_AGENT_SERVER_H
#define CV_AGENT_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tunnel/error.h"

struct bufferevent;
struct event_base;
struct cv_server;
struct cv_server_debt;

enum {
	CV_SERVER_CLIENTS_MAX = 256,
	CV_SERVER_IDLE_S = 60,	  /* a connection without a request */
	CV_SERVER_REQUEST_S = 5,  /* from the first byte of a request to its last */
	CV_SERVER_LONG_S = 30,	  /* from when a request is longer than CV_CONTROL_LINE_MAX */
	CV_SERVER_OWED_S = 30,	  /* for the second line of an answer: culvertd's own slowness */
	CV_SERVER_ANSWER_S = 10,  /* to take an answer */
	CV_SERVER_FAREWELL_S = 1, /* to take the last one, before the connection is cut */
};

/* Who asks. */
struct cv_peer {
	pid_t pid;
	uid_t uid;
};

/* What is to become of a connection after an answer. All zero: it waits for more requests. */
struct cv_server_then {
	bool close;
	/*
	 * Or, if not NULL: it is no longer the server's. take_over owns the stream, in whose output
	 * the answer still is; NULL: the connection is gone.
	 */
	void (*take_over)(void *context, struct bufferevent *stream);
	/*
	 * Or, if not NULL: the answer is the first of two lines. begin is told where the second one
	 * goes: to cv_server_reply, once, now or in CV_SERVER_OWED_S at most; NULL: the connection
	 * is gone already. If it goes before that, gone is called, and the debt must not be used
	 * again. Until the second line was taken no further request of the client is looked at.
	 */
	void (*begin)(void *context, struct cv_server_debt *debt);
	void (*gone)(void *context);
	void *context;
};

/* Send the second line, with its newline; takes it and the debt over. NULL: cut the connection. */
void cv_server_reply(struct cv_server_debt *debt, char *line);

/*
 * Answer one line (without its newline; not terminated by NUL). Returns the answer with its
 * newline, which the server frees; NULL: cut the connection. *ret_then is all zero on entry.
 */
typedef char *(*cv_server_handler)(void *context, const struct cv_peer *peer, const char *line,
				   size_t length, struct cv_server_then *ret_then);

/*
 * Listen at path, which is replaced if it exists: the caller holds the run directory's lock. 0 or
 * -errno. The caller owns *ret_server: cv_server_destroy, before base is freed.
 */
int cv_server_create(struct event_base *base, const char *path, cv_server_handler handler,
		     void *context, struct cv_server **ret_server, struct cv_error *error);

/* Cut all connections and remove the socket. NULL is fine. */
void cv_server_destroy(struct cv_server *server);

#endif
