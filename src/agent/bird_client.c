/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection. BIRD greets ("0001 BIRD 2.0.12 ready."), then answers line by line; it reads the
 * next question only when it has answered the last, so more than one under way gains nothing, and a
 * question always fits the socket's buffer.
 *
 * Invariants: the greeting is the answer to a first question that is not sent; whatever is not the
 * one awaited answer (nothing for CV_BIRD_ANSWER_MS, not lines of BIRD) ends the connection, as
 * what follows could be taken for the answer to another question; of an answer that is too long the
 * end is awaited, and nothing kept: the same question would end the next connection, too; a
 * question leaves the list before its `done` is called.
 */
#include "agent/bird_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "routing/bird_reply.h"

enum {
	CHUNK = 65536,
	CHUNKS_PER_TURN = 16, /* then others have theirs */
};

struct question {
	struct question *next;
	void (*done)(const char *text, size_t size, void *data); /* NULL: nobody */
	void *data;
	bool is_greeting;
	char text[]; /* with its newline */
};

/* An answer as it comes in. */
struct answer {
	char *bytes;
	size_t size, capacity;
	size_t scanned; /* of its whole lines */
	size_t whole;	/* its length, when its last line is there */
	size_t dropped; /* too long: bytes that were read and are not kept; 0: it is not */
};

struct cv_bird_client {
	struct event_base *base;
	struct sockaddr_un address;
	void (*ready)(void *data);
	void (*lost)(int err, void *data);
	void *data;
	int fd; /* -1: not connected */
	struct event *readable, *timeout;
	struct question *first, **end;
	size_t waiting;
	struct answer answer;
};

/* ---- answers ----------------------------------------------------------------------- */

static void answer_reset(struct answer *answer)
{
	free(answer->bytes);
	*answer = (struct answer){0};
}

/* Its whole lines; the one that is not is short. */
static void drop_scanned(struct answer *answer)
{
	answer->dropped += answer->scanned;
	answer->size -= answer->scanned;
	memmove(answer->bytes, answer->bytes + answer->scanned, answer->size);
	answer->scanned = 0;
}

static int make_room(struct answer *answer)
{
	size_t capacity = answer->capacity ? answer->capacity * 2 : CHUNK;
	char *bytes;

	if (answer->capacity - answer->size >= CHUNK / 2)
		return 0;
	if (capacity > CV_BIRD_REPLY_MAX) {
		drop_scanned(answer);
		return 0;
	}
	bytes = realloc(answer->bytes, capacity);
	if (!bytes)
		return -ENOMEM;
	answer->bytes = bytes;
	answer->capacity = capacity;
	return 0;
}

/* 1: the answer is whole; 0: more is to come, -errno. */
static int scan(struct answer *answer)
{
	size_t size = 0;
	int rc = cv_bird_reply_end(answer->bytes + answer->scanned, answer->size - answer->scanned,
				   &size);

	if (rc == -EINVAL)
		return -EPROTO;
	answer->scanned += size;
	if (rc == -EAGAIN)
		return answer->size - answer->scanned > CV_BIRD_REPLY_LINE_MAX ? -EPROTO : 0;
	answer->whole = answer->scanned;
	return 1;
}

/* Read once. 1: the answer is whole; 0: more is to come; -EAGAIN: nothing is there; -errno. */
static int receive(int fd, struct answer *answer)
{
	int rc = make_room(answer);
	ssize_t n;

	if (rc)
		return rc;
	n = recv(fd, answer->bytes + answer->size, answer->capacity - answer->size, MSG_DONTWAIT);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (!n)
		return -ECONNRESET;
	answer->size += (size_t)n;
	return scan(answer);
}

/* ---- the connection ----------------------------------------------------------------- */

static struct question *pop(struct cv_bird_client *client)
{
	struct question *question = client->first;

	if (!question)
		return NULL;
	client->first = question->next;
	if (!client->first)
		client->end = &client->first;
	client->waiting--;
	return question;
}

static void close_connection(struct cv_bird_client *client)
{
	event_del(client->timeout);
	if (client->readable)
		event_free(client->readable);
	client->readable = NULL;
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	answer_reset(&client->answer);
}

/* Those that were asked until now: what is asked while they are told belongs to the next
 * connection. */
static void fail_all(struct cv_bird_client *client)
{
	struct question *question, *list = client->first;

	client->first = NULL;
	client->end = &client->first;
	client->waiting = 0;
	while ((question = list)) {
		list = question->next;
		if (question->done)
			question->done(NULL, 0, question->data);
		free(question);
	}
}

void cv_bird_client_disconnect(struct cv_bird_client *client)
{
	close_connection(client);
	fail_all(client);
}

static void lose(struct cv_bird_client *client, int err)
{
	cv_bird_client_disconnect(client);
	client->lost(err, client->data);
}

static void await(struct cv_bird_client *client)
{
	const struct timeval patience = {.tv_sec = CV_BIRD_ANSWER_MS / 1000};

	event_add(client->timeout, &patience);
}

/* Send the first question. */
static int send_first(struct cv_bird_client *client)
{
	const char *text = client->first->text;
	size_t size = strlen(text);
	ssize_t n = send(client->fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return -errno;
	if ((size_t)n < size)
		return -EAGAIN;
	await(client);
	return 0;
}

/* The first question has its answer. 0, or -errno of sending the next one. */
static int finish_first(struct cv_bird_client *client)
{
	struct question *question = pop(client);
	struct answer answer = client->answer;
	int fd = client->fd;

	client->answer = (struct answer){0};
	event_del(client->timeout);
	if (question->is_greeting)
		client->ready(client->data);
	else if (question->done)
		question->done(answer.dropped ? NULL : answer.bytes, answer.dropped + answer.whole,
			       question->data);
	free(question);
	answer_reset(&answer);
	/* They may have ended the connection, even made a new one: that awaits its greeting. */
	if (client->fd != fd || !client->first || evtimer_pending(client->timeout, NULL))
		return 0;
	return send_first(client);
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	struct cv_bird_client *client = data;
	int rc = 0;

	(void)what;
	for (int i = 0; i < CHUNKS_PER_TURN && !rc; i++)
		rc = receive(fd, &client->answer);
	if (rc > 0)
		rc = client->first ? finish_first(client) : -EPROTO;
	else if (!rc)
		await(client); /* it goes on saying something */
	if (rc && rc != -EAGAIN && client->fd >= 0)
		lose(client, rc);
}

static void on_timeout(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	lose(data, -ETIMEDOUT);
}

static int open_socket(const struct sockaddr_un *address, int flags)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	int rc;

	if (fd < 0)
		return -errno;
	if (!connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static int push(struct cv_bird_client *client, const char *text,
		void (*done)(const char *text, size_t size, void *data), void *data)
{
	size_t size = strlen(text);
	struct question *question = malloc(sizeof(*question) + size + 2);

	if (!question)
		return -ENOMEM;
	*question = (struct question){.done = done, .data = data};
	snprintf(question->text, size + 2, "%s\n", text);
	*client->end = question;
	client->end = &question->next;
	client->waiting++;
	return 0;
}

int cv_bird_client_connect(struct cv_bird_client *client)
{
	int rc;

	if (client->fd >= 0)
		return -EISCONN;
	client->fd = open_socket(&client->address, SOCK_NONBLOCK);
	if (client->fd < 0) {
		rc = client->fd;
		client->fd = -1;
		return rc;
	}
	client->readable =
		event_new(client->base, client->fd, EV_READ | EV_PERSIST, on_readable, client);
	if (client->readable && !push(client, "", NULL, NULL) &&
	    !event_add(client->readable, NULL)) {
		client->first->is_greeting = true;
		await(client);
		return 0;
	}
	cv_bird_client_disconnect(client);
	return -ENOMEM;
}

bool cv_bird_client_is_connected(const struct cv_bird_client *client)
{
	return client->fd >= 0;
}

pid_t cv_bird_client_peer(const struct cv_bird_client *client)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (client->fd < 0 || getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return 0;
	return peer.pid;
}

static bool is_question(const char *question)
{
	return strlen(question) <= CV_BIRD_QUESTION_MAX && !strpbrk(question, "\r\n");
}

int cv_bird_client_ask(struct cv_bird_client *client, const char *question,
		       void (*done)(const char *text, size_t size, void *data), void *data)
{
	int rc;

	if (client->fd < 0)
		return -ENOTCONN;
	if (!is_question(question))
		return -EINVAL;
	if (client->waiting >= CV_BIRD_QUESTIONS_MAX)
		return -ENOBUFS;
	rc = push(client, question, done, data);
	if (rc || client->waiting > 1 || evtimer_pending(client->timeout, NULL))
		return rc;
	/* What fails now shows as silence, or as the end of the connection. */
	if (send_first(client))
		await(client);
	return 0;
}

size_t cv_bird_client_waiting(const struct cv_bird_client *client)
{
	return client->waiting;
}

/* ---- create, destroy ----------------------------------------------------------------- */

static int name_socket(const char *path, struct sockaddr_un *address)
{
	size_t size = strlen(path);

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (size >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	memcpy(address->sun_path, path, size + 1);
	return 0;
}

int cv_bird_client_create(const struct cv_bird_client_options *options,
			  struct cv_bird_client **ret_client)
{
	struct cv_bird_client *client = calloc(1, sizeof(*client));
	int rc;

	if (!client)
		return -ENOMEM;
	client->base = options->base;
	client->ready = options->ready;
	client->lost = options->lost;
	client->data = options->data;
	client->fd = -1;
	client->end = &client->first;
	rc = name_socket(options->socket, &client->address);
	if (!rc) {
		client->timeout = evtimer_new(client->base, on_timeout, client);
		rc = client->timeout ? 0 : -ENOMEM;
	}
	if (rc) {
		free(client);
		return rc;
	}
	*ret_client = client;
	return 0;
}

void cv_bird_client_destroy(struct cv_bird_client *client)
{
	struct question *question;

	if (!client)
		return;
	close_connection(client);
	while ((question = pop(client)))
		free(question);
	event_free(client->timeout);
	free(client);
}

/* ---- ask and wait --------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int receive_until(int fd, int64_t end_ms, struct answer *answer)
{
	int rc = 0;

	while (!rc || rc == -EAGAIN) {
		struct pollfd readable = {.fd = fd, .events = POLLIN};
		int64_t left = end_ms - now_ms();

		rc = poll(&readable, 1, left > 0 ? (int)left : 0);
		if (!rc)
			return -ETIMEDOUT;
		rc = rc < 0 ? (errno == EINTR ? 0 : -errno) : receive(fd, answer);
	}
	return rc < 0 ? rc : 0;
}

static int talk(int fd, const char *question, int64_t end_ms, struct answer *answer)
{
	struct iovec parts[2] = {
		{.iov_base = (void *)(uintptr_t)question, .iov_len = strlen(question)},
		{.iov_base = (void *)(uintptr_t) "\n", .iov_len = 1},
	};
	const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	int rc = receive_until(fd, end_ms, answer);

	answer_reset(answer);
	if (rc)
		return rc;
	if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) !=
	    (ssize_t)(parts[0].iov_len + parts[1].iov_len))
		return -EPROTO;
	return receive_until(fd, end_ms, answer);
}

int cv_bird_client_ask_now(const char *socket, const char *question, unsigned int timeout_ms,
			   char **ret_text, size_t *ret_size)
{
	struct answer answer = {0};
	struct sockaddr_un address;
	int fd, rc = is_question(question) ? name_socket(socket, &address) : -EINVAL;

	if (rc)
		return rc;
	fd = open_socket(&address, SOCK_NONBLOCK);
	if (fd < 0)
		return fd == -EAGAIN ? -ETIMEDOUT : fd;
	rc = talk(fd, question, now_ms() + timeout_ms, &answer);
	close(fd);
	if (!rc && answer.dropped)
		rc = -EMSGSIZE;
	if (rc) {
		answer_reset(&answer);
		return rc;
	}
	*ret_text = answer.bytes;
	*ret_size = answer.whole;
	return 0;
}
