/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: long lines, and answers of two lines. One thread plays both ends: turn() lets
 * the server do what it can, then reads what the client got.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/control.h"
#include "agent/server.h"

struct fixture {
	struct event_base *base;
	struct cv_server *server;
	char directory[32], path[64];
	size_t length; /* of the last line */
	struct cv_server_debt *debt;
	unsigned int begun, gone;
	bool reply_at_once;
};

static void begin(void *context, struct cv_server_debt *debt)
{
	struct fixture *fixture = context;

	fixture->begun++;
	fixture->debt = debt;
	if (debt && fixture->reply_at_once)
		cv_server_reply(debt, strdup("second\n"));
}

static void gone(void *context)
{
	struct fixture *fixture = context;

	fixture->gone++;
	fixture->debt = NULL;
}

/* "two": an answer of two lines. "fail": none at all, though there were to be two. */
static char *handle(void *context, const struct cv_peer *peer, const char *line, size_t length,
		    struct cv_server_then *ret_then)
{
	struct fixture *fixture = context;

	(void)peer;
	fixture->length = length;
	if (length >= 3 && !memcmp(line, "two", 3))
		*ret_then =
			(struct cv_server_then){.begin = begin, .gone = gone, .context = fixture};
	if (length == 7 && !memcmp(line, "two bad", 7))
		return NULL;
	return strdup(length >= 3 && !memcmp(line, "two", 3) ? "first\n" : "one\n");
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct cv_error error;

	strcpy(fixture->directory, "/tmp/cv-server-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	snprintf(fixture->path, sizeof(fixture->path), "%s/socket", fixture->directory);
	fixture->base = event_base_new();
	assert_int_equal(cv_server_create(fixture->base, fixture->path, handle, fixture,
					  &fixture->server, &error),
			 0);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	cv_server_destroy(fixture->server);
	event_base_free(fixture->base);
	rmdir(fixture->directory);
	free(fixture);
	return 0;
}

static int join(const struct fixture *fixture)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, fixture->path, sizeof(fixture->path));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void run(struct fixture *fixture)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(fixture->base, EVLOOP_NONBLOCK);
}

static void send_bytes(struct fixture *fixture, int fd, const char *bytes, size_t length)
{
	while (length) {
		ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return; /* the server has had enough */
		if (n > 0) {
			bytes += n;
			length -= (size_t)n;
		}
		run(fixture);
	}
}

/* What the client got since the last time; "": nothing, "end": the connection's. */
static const char *received(struct fixture *fixture, int fd)
{
	static char text[1024];
	ssize_t n;

	run(fixture);
	n = recv(fd, text, sizeof(text) - 1, 0);
	if (n < 0 && errno == EAGAIN)
		return "";
	if (n <= 0)
		return "end";
	text[n] = '\0';
	run(fixture);
	return text;
}

static const char *say(struct fixture *fixture, int fd, const char *text)
{
	send_bytes(fixture, fd, text, strlen(text));
	return received(fixture, fd);
}

static char *make_line(size_t length)
{
	char *line = malloc(length + 1);

	memset(line, 'x', length);
	line[length] = '\n';
	return line;
}

static void lines_of_all_lengths(void **state)
{
	static const size_t lengths[] = {0,
					 1,
					 CV_CONTROL_LINE_MAX - 2,
					 CV_CONTROL_LINE_MAX - 1,
					 CV_CONTROL_LINE_MAX,
					 CV_CONTROL_LINE_MAX + 1,
					 CV_CONTROL_REQUEST_MAX - 1,
					 5};
	struct fixture *fixture = *state;
	int fd = join(fixture);

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		char *line = make_line(lengths[i]);

		send_bytes(fixture, fd, line, lengths[i] + 1);
		assert_string_equal(received(fixture, fd), "one\n");
		assert_int_equal(fixture->length, lengths[i]);
		free(line);
	}
	close(fd);
	run(fixture);
}

static void a_line_may_be_too_long(void **state)
{
	struct fixture *fixture = *state;
	char *line = make_line(CV_CONTROL_REQUEST_MAX);
	int fd = join(fixture);

	send_bytes(fixture, fd, line, CV_CONTROL_REQUEST_MAX + 1);
	assert_non_null(strstr(received(fixture, fd), "too-long"));
	assert_int_equal(fixture->length, 0);
	close(fd);
	run(fixture);
	free(line);
}

/* The place is free again whether the first one ends, is cut or goes. */
static void one_is_long_at_a_time(void **state)
{
	struct fixture *fixture = *state;
	char *line = make_line(CV_CONTROL_LINE_MAX + 10);
	int first = join(fixture), second = join(fixture), third = join(fixture);

	send_bytes(fixture, first, line, CV_CONTROL_LINE_MAX + 10);
	send_bytes(fixture, second, line, CV_CONTROL_LINE_MAX + 11);
	assert_non_null(strstr(received(fixture, second), "busy"));
	assert_string_equal(say(fixture, third, "short\n"), "one\n");
	close(first);
	send_bytes(fixture, third, line, CV_CONTROL_LINE_MAX + 11);
	assert_string_equal(received(fixture, third), "one\n");
	shutdown(third, SHUT_WR);
	assert_string_equal(received(fixture, third), "end");
	close(second);
	close(third);
	run(fixture);
	free(line);
}

static void the_second_line_comes_later(void **state)
{
	struct fixture *fixture = *state;
	int fd = join(fixture);

	assert_string_equal(say(fixture, fd, "two\nshort\n"), "first\n");
	assert_non_null(fixture->debt);
	/* What was sent behind it waits. */
	assert_string_equal(received(fixture, fd), "");
	assert_int_equal(fixture->length, 3);
	cv_server_reply(fixture->debt, strdup("second\n"));
	assert_string_equal(received(fixture, fd), "second\none\n");
	assert_string_equal(say(fixture, fd, "short\n"), "one\n");
	assert_int_equal(fixture->gone, 0);
	close(fd);
	run(fixture);
}

static void the_second_line_comes_at_once(void **state)
{
	struct fixture *fixture = *state;
	int fd = join(fixture);

	fixture->reply_at_once = true;
	assert_string_equal(say(fixture, fd, "two\n"), "first\nsecond\n");
	assert_string_equal(say(fixture, fd, "short\n"), "one\n");
	assert_int_equal(fixture->begun, 1);
	assert_int_equal(fixture->gone, 0);
	close(fd);
	run(fixture);
}

static void no_second_line_cuts(void **state)
{
	struct fixture *fixture = *state;
	int fd = join(fixture);

	assert_string_equal(say(fixture, fd, "two\n"), "first\n");
	cv_server_reply(fixture->debt, NULL);
	assert_string_equal(received(fixture, fd), "end");
	assert_int_equal(fixture->gone, 0);
	close(fd);
}

static void no_first_line_owes_nothing(void **state)
{
	struct fixture *fixture = *state;
	int fd = join(fixture);

	assert_string_equal(say(fixture, fd, "two bad\n"), "end");
	assert_int_equal(fixture->begun, 1);
	assert_null(fixture->debt);
	assert_int_equal(fixture->gone, 0);
	close(fd);
}

/* Both a client that went and one that a crowd has pushed out. */
static void a_client_that_goes_is_owed_nothing(void **state)
{
	struct fixture *fixture = *state;
	int fd = join(fixture), crowd[CV_SERVER_CLIENTS_MAX];

	assert_string_equal(say(fixture, fd, "two\n"), "first\n");
	close(fd);
	run(fixture);
	if (fixture->debt)
		cv_server_reply(fixture->debt, strdup("second\n"));
	run(fixture);
	fixture->debt = NULL;
	fixture->gone = 0;
	fd = join(fixture);
	assert_string_equal(say(fixture, fd, "two\n"), "first\n");
	for (size_t i = 0; i < CV_SERVER_CLIENTS_MAX; i++)
		crowd[i] = join(fixture);
	assert_string_equal(received(fixture, fd), "end");
	assert_int_equal(fixture->gone, 1);
	assert_null(fixture->debt);
	close(fd);
	for (size_t i = 0; i < CV_SERVER_CLIENTS_MAX; i++)
		close(crowd[i]);
	run(fixture);
}

static void the_end_of_the_server_tells(void **state)
{
	struct fixture *fixture = *state;
	int fd = join(fixture);

	assert_string_equal(say(fixture, fd, "two\n"), "first\n");
	cv_server_destroy(fixture->server);
	fixture->server = NULL;
	assert_int_equal(fixture->gone, 1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_of_all_lengths, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_line_may_be_too_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_is_long_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_second_line_comes_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_second_line_comes_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_second_line_cuts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_first_line_owes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_client_that_goes_is_owed_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(the_end_of_the_server_tells, set_up, tear_down),
	};

	/* As culvertd does. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
