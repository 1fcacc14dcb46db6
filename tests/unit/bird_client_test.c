/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client of BIRD's control socket, and what no BIRD says on demand: a stand-in does, a process
 * that speaks as it. With Debian's own: agent_bird_test.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/bird_client.h"

/* ---- a stand-in for BIRD: to "long" it says too much --------------------------------- */

enum {
	LINES = 1200,
	LINE = 60000, /* LINES of them are more than 64 MiB */
};

#define GREETING "0001 BIRD 2.0.12 ready.\n"
#define LAST	 "0003 Done\n"

static void say(int fd, const char *words, size_t size)
{
	while (size) {
		ssize_t n = send(fd, words, size, MSG_NOSIGNAL);

		if (n <= 0)
			_exit(1);
		words += n;
		size -= (size_t)n;
	}
}

static void answer_one(int fd)
{
	static char line[LINE];
	char question[256];
	ssize_t n = recv(fd, question, sizeof(question) - 1, 0);

	if (n <= 0)
		_exit(0);
	question[n] = '\0';
	memset(line, 'x', sizeof(line));
	snprintf(line, sizeof(line), "1007-");
	line[5] = 'x';
	line[LINE - 1] = '\n';
	for (int i = 0; i < LINES && !strcmp(question, "long\n"); i++)
		say(fd, line, sizeof(line));
	say(fd, LAST, sizeof(LAST) - 1);
}

/* Its process. Each connection has one of its own. */
static pid_t start_stand_in(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), connection;
	pid_t pid;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid) {
		close(fd);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	while ((connection = accept(fd, NULL, NULL)) >= 0) {
		if (!fork()) {
			say(connection, GREETING, sizeof(GREETING) - 1);
			for (;;)
				answer_one(connection);
		}
		close(connection);
	}
	_exit(1);
}

/* ---- the client ---------------------------------------------------------------------------- */

struct world {
	char directory[64], path[96];
	struct event_base *base;
	struct cv_bird_client *client;
	pid_t pid;
	int ready, lost, answers, too_long;
	size_t size; /* of what was too long */
};

static void on_ready(void *data)
{
	struct world *world = data;

	world->ready++;
}

static void on_lost(int err, void *data)
{
	struct world *world = data;

	(void)err;
	world->lost++;
}

static void on_answer(const char *text, size_t size, void *data)
{
	struct world *world = data;

	if (text)
		world->answers++;
	else
		world->too_long++;
	if (!text)
		world->size = size;
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct cv_bird_client_options options = {
		.socket = world->path,
		.ready = on_ready,
		.lost = on_lost,
		.data = world,
	};

	snprintf(world->directory, sizeof(world->directory), "/tmp/bird_client.XXXXXX");
	assert_non_null(mkdtemp(world->directory));
	snprintf(world->path, sizeof(world->path), "%s/socket", world->directory);
	world->pid = start_stand_in(world->path);
	world->base = event_base_new();
	options.base = world->base;
	assert_int_equal(cv_bird_client_create(&options, &world->client), 0);
	assert_int_equal(cv_bird_client_connect(world->client), 0);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	cv_bird_client_destroy(world->client);
	event_base_free(world->base);
	kill(world->pid, SIGKILL);
	waitpid(world->pid, NULL, 0);
	unlink(world->path);
	rmdir(world->directory);
	free(world);
	return 0;
}

static void run_until_answered(struct world *world, int answers)
{
	const struct timeval limit = {.tv_sec = 60};

	event_base_loopexit(world->base, &limit);
	while (world->answers < answers && !event_base_got_exit(world->base))
		event_base_loop(world->base, EVLOOP_ONCE);
	assert_int_equal(world->answers, answers);
}

/* What is too long is not kept, and that is all: the connection goes on. */
static void reads_past_what_is_too_long(void **state)
{
	struct world *world = *state;

	assert_int_equal(cv_bird_client_ask(world->client, "long", on_answer, world), 0);
	assert_int_equal(cv_bird_client_ask(world->client, "status", on_answer, world), 0);
	assert_int_equal(cv_bird_client_ask(world->client, "status", on_answer, world), 0);
	run_until_answered(world, 2);
	assert_int_equal(world->ready, 1);
	assert_int_equal(world->too_long, 1);
	assert_int_equal(world->size, (size_t)LINES * LINE + sizeof(LAST) - 1);
	assert_int_equal(world->lost, 0);
	assert_true(cv_bird_client_is_connected(world->client));
}

static void says_what_is_too_long(void **state)
{
	struct world *world = *state;
	char *text = NULL;
	size_t size;

	assert_int_equal(cv_bird_client_ask_now(world->path, "long", 60000, &text, &size),
			 -EMSGSIZE);
	assert_int_equal(cv_bird_client_ask_now(world->path, "status", 60000, &text, &size), 0);
	assert_int_equal(size, sizeof(LAST) - 1);
	assert_memory_equal(text, LAST, size);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_past_what_is_too_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(says_what_is_too_long, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
