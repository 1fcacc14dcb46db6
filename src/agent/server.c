/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket.
 *
 * One client can harm nobody, by these invariants:
 * - Only root and the daemon's own user are listened to, whatever the socket's mode.
 * - A client's memory is bounded: one line in (reading stops at its limit), one answer out
 *   (the next request is not looked at before the last answer was taken). A line may be longer than
 *   CV_CONTROL_LINE_MAX on one connection at a time.
 * - One request of a client is handled per turn of the loop.
 * - Every state that waits for the client has a deadline that bytes do not prolong.
 * - A full table cuts off the client that has been silent longest, so that nobody can keep
 *   others out by sitting there.
 */
#include "agent/server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/control.h"
#include "agent/log.h"
#include "agent/request.h"

enum phase {
	PHASE_IDLE,    /* waits for a request to begin */
	PHASE_REQUEST, /* for the rest of a request */
	PHASE_LONG,    /* for the rest of a long one */
	PHASE_ANSWER,  /* for the client to take the answer */
	PHASE_OWED,    /* for the handler to give the answer's second line */
	PHASE_FAREWELL /* for the client to take the last answer */
};

/* A second line that a client waits for. */
struct cv_server_debt {
	struct client *client;
	void (*gone)(void *context);
	void *context;
};

struct client {
	TAILQ_ENTRY(client) entry; /* the one that has been silent longest comes first */
	struct cv_server *server;
	struct bufferevent *stream;
	struct event *deadline;
	struct cv_peer peer;
	enum phase phase;
	size_t searched;	     /* bytes of the input that have no newline */
	bool ended;		     /* the client has closed its sending side */
	struct cv_server_debt *debt; /* NULL: nothing is owed */
};

/* The one line at a time that is longer than CV_CONTROL_LINE_MAX. */
struct long_line {
	struct client *client; /* NULL: there is none */
	char *bytes;	       /* CV_CONTROL_REQUEST_MAX; only those that came are in memory */
	size_t length;
};

struct cv_server {
	struct event_base *base;
	struct evconnlistener *listener;
	struct event *resume; /* accepting, after it failed */
	cv_server_handler handler;
	void *context;
	char *path;
	TAILQ_HEAD(, client) clients;
	unsigned int count;
	struct long_line long_line;
};

static const int limit_s[] = {
	[PHASE_IDLE] = CV_SERVER_IDLE_S, [PHASE_REQUEST] = CV_SERVER_REQUEST_S,
	[PHASE_LONG] = CV_SERVER_LONG_S, [PHASE_ANSWER] = CV_SERVER_ANSWER_S,
	[PHASE_OWED] = CV_SERVER_OWED_S, [PHASE_FAREWELL] = CV_SERVER_FAREWELL_S,
};

/* ---- clients ------------------------------------------------------------------- */

static void release_long(struct client *client)
{
	struct long_line *line = &client->server->long_line;

	if (line->client != client)
		return;
	munmap(line->bytes, CV_CONTROL_REQUEST_MAX);
	*line = (struct long_line){.client = NULL};
	/* What was made of it is free now, in many small pieces that the heap would keep. */
	malloc_trim(0);
}

/* What it is owed, it will not get. */
static void write_off(struct cv_server_debt *debt)
{
	if (!debt)
		return;
	debt->gone(debt->context);
	free(debt);
}

static void cut(struct client *client)
{
	write_off(client->debt);
	release_long(client);
	TAILQ_REMOVE(&client->server->clients, client, entry);
	client->server->count--;
	if (client->deadline)
		event_free(client->deadline);
	if (client->stream)
		bufferevent_free(client->stream);
	free(client);
}

static void enter(struct client *client, enum phase phase)
{
	const struct timeval limit = {.tv_sec = limit_s[phase]};

	client->phase = phase;
	event_add(client->deadline, &limit);
}

/* Takes text over. The client is cut, and gone, when there is no text. */
static bool answer(struct client *client, char *text, enum phase phase)
{
	if (!text || bufferevent_write(client->stream, text, strlen(text))) {
		free(text);
		cut(client);
		return false;
	}
	free(text);
	release_long(client);
	bufferevent_disable(client->stream, EV_READ);
	enter(client, phase);
	return true;
}

static void dismiss(struct client *client, int err, const char *why)
{
	answer(client, cv_answer_error(json_null(), err, why, -1), PHASE_FAREWELL);
}

/* Takes text over. The client is no longer ours, unless it is cut. */
static void hand_over(struct client *client, char *text, const struct cv_server_then *then)
{
	struct bufferevent *stream = client->stream;

	if (!answer(client, text, PHASE_ANSWER)) {
		then->take_over(then->context, NULL);
		return;
	}
	bufferevent_setcb(stream, NULL, NULL, NULL, NULL);
	client->stream = NULL;
	cut(client);
	then->take_over(then->context, stream);
}

/* As hand_over, but the client stays ours. */
static void owe(struct client *client, char *text, const struct cv_server_then *then)
{
	struct cv_server_debt *debt = calloc(1, sizeof(*debt));

	if (!debt) {
		free(text);
		text = NULL;
	}
	if (!answer(client, text, PHASE_ANSWER)) {
		free(debt);
		then->begin(then->context, NULL);
		return;
	}
	/* Without text, answer() would have cut. */
	*debt = (struct cv_server_debt){/* NOLINT(clang-analyzer-core.NullDereference) */
					.client = client,
					.gone = then->gone,
					.context = then->context};
	client->debt = debt;
	then->begin(then->context, debt);
}

void cv_server_reply(struct cv_server_debt *debt, char *text)
{
	struct client *client = debt->client;

	client->debt = NULL;
	free(debt);
	answer(client, text, PHASE_ANSWER);
}

/* Length of the first line in the input, or -1: not all there. */
static ssize_t find_line(struct client *client, struct evbuffer *input)
{
	struct evbuffer_ptr from, found;

	if (evbuffer_ptr_set(input, &from, client->searched, EVBUFFER_PTR_SET))
		return -1;
	found = evbuffer_search(input, "\n", 1, &from);
	if (found.pos < 0)
		client->searched = evbuffer_get_length(input);
	else
		client->searched = 0;
	return found.pos;
}

static char *ask(struct client *client, const char *line, size_t length,
		 struct cv_server_then *ret_then)
{
	struct cv_server *server = client->server;

	/* Now it is the one that was heard last. */
	TAILQ_REMOVE(&server->clients, client, entry);
	TAILQ_INSERT_TAIL(&server->clients, client, entry);
	return line ? server->handler(server->context, &client->peer, line, length, ret_then)
		    : NULL;
}

/* Takes text over. */
static void settle(struct client *client, char *text, const struct cv_server_then *then)
{
	if (then->take_over)
		hand_over(client, text, then);
	else if (then->begin)
		owe(client, text, then);
	else
		answer(client, text, then->close ? PHASE_FAREWELL : PHASE_ANSWER);
}

static void handle_line(struct client *client, struct evbuffer *input, size_t length)
{
	const char *line = (const char *)evbuffer_pullup(input, (ssize_t)length + 1);
	struct cv_server_then then = {.close = false};
	char *text = ask(client, line, length, &then);

	evbuffer_drain(input, length + 1);
	settle(client, text, &then);
}

/* ---- long lines ------------------------------------------------------------------ */

/* Move what is there of it to where it is all together. */
static void look_at_long(struct client *client, struct evbuffer *input)
{
	struct long_line *line = &client->server->long_line;
	struct evbuffer_ptr end = evbuffer_search(input, "\n", 1, NULL);
	size_t count = end.pos < 0 ? evbuffer_get_length(input) : (size_t)end.pos;
	struct cv_server_then then = {.close = false};

	if (count >= CV_CONTROL_REQUEST_MAX - line->length)
		return dismiss(client, -EMSGSIZE, "the request is too long");
	evbuffer_remove(input, line->bytes + line->length, count);
	line->length += count;
	if (end.pos >= 0) {
		evbuffer_drain(input, 1);
		settle(client, ask(client, line->bytes, line->length, &then), &then);
	} else if (client->ended) {
		cut(client);
	}
}

static void begin_long(struct client *client, struct evbuffer *input)
{
	struct long_line *line = &client->server->long_line;
	void *bytes;

	if (line->client)
		return dismiss(client, -EBUSY,
			       "another long request is under way; try again in a moment");
	/* Mapped, not allocated: what was touched of it goes back at once, whoever allocates. */
	bytes = mmap(NULL, CV_CONTROL_REQUEST_MAX, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bytes == MAP_FAILED)
		return dismiss(client, -ENOMEM, "out of memory");
	line->bytes = bytes;
	line->client = client;
	client->searched = 0;
	enter(client, PHASE_LONG);
	look_at_long(client, input);
}

/* ---- what a connection tells ------------------------------------------------------ */

/* Look at what there is to read; only while no answer is under way. */
static void look(struct client *client)
{
	struct evbuffer *input = bufferevent_get_input(client->stream);
	ssize_t length;

	if (client->phase == PHASE_LONG)
		return look_at_long(client, input);
	length = find_line(client, input);
	if (length >= 0 && length < CV_CONTROL_LINE_MAX)
		return handle_line(client, input, (size_t)length);
	if (length >= 0 || evbuffer_get_length(input) >= CV_CONTROL_LINE_MAX)
		return begin_long(client, input);
	if (client->ended)
		return cut(client);
	if (evbuffer_get_length(input) == 0)
		enter(client, PHASE_IDLE);
	else if (client->phase != PHASE_REQUEST)
		enter(client, PHASE_REQUEST);
}

static bool is_reading(const struct client *client)
{
	return client->phase == PHASE_IDLE || client->phase == PHASE_REQUEST ||
	       client->phase == PHASE_LONG;
}

static void on_read(struct bufferevent *stream, void *data)
{
	struct client *client = data;

	(void)stream;
	if (is_reading(client))
		look(client);
}

/* The answer was taken. */
static void on_written(struct bufferevent *stream, void *data)
{
	struct client *client = data;

	if (client->phase == PHASE_FAREWELL)
		return cut(client);
	if (client->phase != PHASE_ANSWER)
		return;
	if (client->debt)
		return enter(client, PHASE_OWED);
	enter(client, PHASE_IDLE);
	bufferevent_enable(stream, EV_READ);
	look(client);
}

static void on_end(struct bufferevent *stream, short what, void *data)
{
	struct client *client = data;

	(void)stream;
	/* It may still be waiting for answers to what it sent before. */
	if ((what & BEV_EVENT_EOF) && !(what & BEV_EVENT_ERROR)) {
		client->ended = true;
		if (is_reading(client))
			look(client);
		return;
	}
	cut(client);
}

static void on_deadline(evutil_socket_t fd, short what, void *data)
{
	struct client *client = data;

	(void)fd;
	(void)what;
	if (client->phase == PHASE_REQUEST || client->phase == PHASE_LONG)
		return dismiss(client, -ETIMEDOUT, "the request took too long to arrive");
	cut(client);
}

/* ---- accepting ----------------------------------------------------------------- */

static bool is_trusted(int fd, struct cv_peer *ret_peer)
{
	struct ucred credentials;
	socklen_t length = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length))
		return false;
	ret_peer->pid = credentials.pid;
	ret_peer->uid = credentials.uid;
	return credentials.uid == 0 || credentials.uid == geteuid();
}

static struct client *create_client(struct cv_server *server, int fd)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client) {
		close(fd);
		return NULL;
	}
	client->server = server;
	TAILQ_INSERT_TAIL(&server->clients, client, entry);
	server->count++;
	client->deadline = evtimer_new(server->base, on_deadline, client);
	client->stream = bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!client->stream)
		close(fd);
	if (!client->stream || !client->deadline) {
		cut(client);
		return NULL;
	}
	bufferevent_setcb(client->stream, on_read, on_written, on_end, client);
	bufferevent_setwatermark(client->stream, EV_READ, 0, CV_CONTROL_LINE_MAX);
	return client;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
		      int length, void *data)
{
	struct cv_server *server = data;
	struct client *client;
	struct cv_peer peer = {.pid = 0};
	bool trusted = is_trusted(fd, &peer);

	(void)listener;
	(void)address;
	(void)length;
	if (server->count >= CV_SERVER_CLIENTS_MAX)
		cut(TAILQ_FIRST(&server->clients));
	client = create_client(server, fd);
	if (!client)
		return;
	client->peer = peer;
	if (!trusted)
		return dismiss(client, -EPERM, "only root may control culvertd");
	bufferevent_enable(client->stream, EV_READ | EV_WRITE);
	enter(client, PHASE_IDLE);
}

/* As when there are no file descriptors left: without a pause this would be a busy loop. */
static void on_accept_error(struct evconnlistener *listener, void *data)
{
	static const struct timeval pause = {.tv_sec = 1};
	struct cv_server *server = data;

	cv_log(LOG_WARNING, "cannot accept a control connection: %s",
	       evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
	evconnlistener_disable(listener);
	event_add(server->resume, &pause);
}

static void on_resume(evutil_socket_t fd, short what, void *data)
{
	struct cv_server *server = data;

	(void)fd;
	(void)what;
	evconnlistener_enable(server->listener);
}

/* ---- the socket ---------------------------------------------------------------- */

static int bind_socket(int fd, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	if (unlink(path) && errno != ENOENT)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	/* Nobody can connect before listen(). */
	if (chmod(path, 0600) || listen(fd, CV_SERVER_CLIENTS_MAX)) {
		int rc = -errno;

		unlink(path);
		return rc;
	}
	return 0;
}

static int listen_at(struct cv_server *server)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	rc = bind_socket(fd, server->path);
	if (rc) {
		close(fd);
		return rc;
	}
	server->listener = evconnlistener_new(server->base, on_accept, server,
					      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!server->listener) {
		unlink(server->path);
		close(fd);
		return -ENOMEM;
	}
	evconnlistener_set_error_cb(server->listener, on_accept_error);
	return 0;
}

int cv_server_create(struct event_base *base, const char *path, cv_server_handler handler,
		     void *context, struct cv_server **ret_server, struct cv_error *error)
{
	struct cv_server *server = calloc(1, sizeof(*server));
	int rc = -ENOMEM;

	if (!server)
		return cv_error_set(error, rc, "out of memory");
	TAILQ_INIT(&server->clients);
	server->base = base;
	server->handler = handler;
	server->context = context;
	server->path = strdup(path);
	server->resume = evtimer_new(base, on_resume, server);
	if (server->path && server->resume)
		rc = listen_at(server);
	if (rc) {
		cv_server_destroy(server);
		return cv_error_set(error, rc,
				    "cannot listen at %s: %s; remove what is there, or "
				    "make that directory writable",
				    path, strerror(-rc));
	}
	*ret_server = server;
	return 0;
}

void cv_server_destroy(struct cv_server *server)
{
	if (!server)
		return;
	/* cut() takes the client off the list, which the analyzer does not follow. */
	while (!TAILQ_EMPTY(&server->clients))
		cut(TAILQ_FIRST(&server->clients)); /* NOLINT(clang-analyzer-unix.Malloc) */
	if (server->listener) {
		evconnlistener_free(server->listener);
		/* Whoever listens has a path. */
		unlink(server->path); /* NOLINT(clang-analyzer-core.NonNullParamChecker) */
	}
	if (server->resume)
		event_free(server->resume);
	free(server->path);
	free(server);
}
