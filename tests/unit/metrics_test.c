/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus' text format, checked by a parser of its own: every sample belongs to the family in
 * front of it, names and escapes are right. And the server: addresses, and what it answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/metrics.h"
#include "agent/metrics_server.h"
#include "agent/metrics_writer.h"

/* ---- the format ---------------------------------------------------------------------------- */

static const char *skip_name(const char *at)
{
	assert_true(isalpha((unsigned char)*at) || *at == '_');
	while (isalnum((unsigned char)*at) || *at == '_' || *at == ':')
		at++;
	return at;
}

static const char *skip_labels(const char *at)
{
	while (*at++ != '}') {
		at = skip_name(at);
		assert_int_equal(*at++, '=');
		assert_int_equal(*at++, '"');
		for (; *at != '"'; at++) {
			assert_true(*at && *at != '\n');
			if (*at == '\\')
				assert_non_null(strchr("\\\"n", *++at));
		}
		at++;
		assert_true(*at == ',' || *at == '}');
	}
	return at;
}

/* A sample of the family `name`. */
static void check_sample(const char *line, const char *name)
{
	const char *at = skip_name(line);
	char *end;

	assert_int_equal(strlen(name), at - line);
	assert_memory_equal(line, name, strlen(name));
	if (*at == '{')
		at = skip_labels(at);
	assert_int_equal(*at, ' ');
	strtod(at + 1, &end);
	assert_ptr_not_equal(at + 1, end);
	assert_int_equal(*end, '\0');
}

static bool is_total(const char *name)
{
	size_t length = strlen(name);

	return length > 6 && !strcmp(name + length - 6, "_total");
}

/* Every line; how many families there are. */
static size_t check_text(const char *text)
{
	char *copy = strdup(text), *rest = copy, *line, name[128] = "", type[16];
	size_t families = 0;

	assert_non_null(copy);
	assert_int_equal(text[strlen(text) - 1], '\n');
	while ((line = strsep(&rest, "\n"))) {
		char named[128];

		if (!*line)
			continue;
		if (!strncmp(line, "# HELP ", 7)) {
			assert_int_equal(sscanf(line, "# HELP %127s", name), 1);
			assert_null(strstr(text + (line - copy) + 7, line));
			families++;
			continue;
		}
		if (!strncmp(line, "# TYPE ", 7)) {
			assert_int_equal(sscanf(line, "# TYPE %127s %15s", named, type), 2);
			assert_string_equal(named, name);
			assert_true(!strcmp(type, "gauge") || !strcmp(type, "counter"));
			assert_int_equal(!strcmp(type, "counter"), is_total(name));
			continue;
		}
		check_sample(line, name);
	}
	free(copy);
	return families;
}

static void escapes_and_numbers(void **state)
{
	struct cv_metrics_writer writer;
	char *text;

	(void)state;
	assert_int_equal(cv_metrics_writer_init(&writer), 0);
	cv_metrics_family(&writer, "a", "gauge", "one \\ two\n\"three\"");
	cv_metrics_sample(&writer, 1, "");
	cv_metrics_sample(&writer, 0.25, "x y", "a\"b\\c\nd", "");
	cv_metrics_sample(&writer, 9007199254740992.0, "");
	cv_metrics_sample(&writer, -2, "");
	text = cv_metrics_writer_finish(&writer);
	assert_string_equal(text, "# HELP a one \\\\ two\\n\"three\"\n"
				  "# TYPE a gauge\n"
				  "a 1\n"
				  "a{x=\"a\\\"b\\\\c\\nd\",y=\"\"} 0.25\n"
				  "a 9007199254740992\n"
				  "a -2\n");
	assert_int_equal(check_text(text), 1);
	free(text);
}

/* Without anything to measure, all names are there all the same. */
static void names_are_well_formed(void **state)
{
	const struct cv_metrics_input input = {.engine = NULL};
	char *text = cv_metrics_text(&input);

	(void)state;
	assert_non_null(text);
	assert_in_range(check_text(text), 40, 100);
	free(text);
}

/* ---- the server ------------------------------------------------------------------------------ */

static void refuses_addresses(void **state)
{
	static const char *const good[] = {"127.0.0.1:9091", "127.8.9.10:1", "[::1]:9091", "9091",
					   "127.0.0.1:65535"};
	static const char *const bad[] = {"",
					  ":9091",
					  "127.0.0.1",
					  "127.0.0.1:",
					  "127.0.0.1:0",
					  "127.0.0.1:65536",
					  "127.0.0.1:9x",
					  "localhost:9091",
					  "::1:9091",
					  "[::1:9091",
					  "[]:9091",
					  "127.0.0.1:-1",
					  "127.0.0.1: 90",
					  "a:b:c",
					  "[127.0.0.1]x:1"};
	static const char *const strangers[] = {"0.0.0.0:9091", "192.0.2.1:9091", "[::]:9091",
						"[2001:db8::1]:9091", "[::ffff:127.0.0.1]:9091"};
	struct cv_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(cv_metrics_server_check(good[i], &error), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(cv_metrics_server_check(bad[i], &error), -EINVAL);
		assert_non_null(strstr(error.text, "give ADDRESS:PORT"));
	}
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		assert_int_equal(cv_metrics_server_check(strangers[i], &error), -EINVAL);
		assert_non_null(strstr(error.text, "loopback"));
	}
}

static bool is_dry;

static char *give(void *context)
{
	(void)context;
	return is_dry ? NULL : strdup("a 1\n");
}

/* A port that is free now. */
static uint16_t find_port(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(any);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &length), 0);
	close(fd);
	return ntohs(any.sin_port);
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* The whole answer to a request. */
static void ask(struct event_base *base, uint16_t port, const char *request, char *answer,
		size_t size)
{
	int fd = connect_to(port);
	size_t used = 0;
	ssize_t got = 1;

	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	for (int i = 0; i < 500 && got; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		got = recv(fd, answer + used, size - used - 1, MSG_DONTWAIT);
		used += got > 0 ? (size_t)got : 0;
		if (got < 0)
			usleep(2000);
	}
	assert_int_equal(got, 0);
	answer[used] = '\0';
	close(fd);
}

static void answers(void **state)
{
	struct event_base *base = event_base_new();
	struct cv_metrics_server *server, *second;
	char address[32], answer[4096], *large = calloc(1, 20000);
	uint16_t port = find_port();
	struct cv_error error;

	(void)state;
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	assert_int_equal(cv_metrics_server_create(base, address, give, NULL, &server, &error), 0);
	assert_int_equal(cv_metrics_server_create(base, address, give, NULL, &second, &error),
			 -EADDRINUSE);
	assert_non_null(strstr(error.text, "another port"));
	ask(base, port, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
	assert_non_null(strstr(answer, "text/plain; version=0.0.4"));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\na 1\n");
	ask(base, port, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
	ask(base, port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 404 ", 13);
	ask(base, port, "POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", answer,
	    sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 501 ", 13);
	ask(base, port, "GET /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\n123456789", answer,
	    sizeof(answer));
	assert_null(strstr(answer, "a 1\n"));
	memset(large, 'x', 19999);
	large[snprintf(large, 64, "GET /metrics HTTP/1.1\r\nX: ")] = 'x';
	ask(base, port, large, answer, sizeof(answer));
	assert_null(strstr(answer, "200"));
	is_dry = true;
	ask(base, port, "GET /metrics HTTP/1.1\r\n\r\n", answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 500 ", 13);
	free(large);
	/* With somebody in the middle of a request. */
	close(connect_to(port));
	cv_metrics_server_destroy(server);
	event_base_free(base);
}

/* Those who hold connections keep nobody out: the oldest are cut. */
static void bounds_connections(void **state)
{
	enum {
		SILENT = CV_METRICS_CONNECTIONS_MAX + 4,
		CUT = 5, /* the last by the request */
	};
	struct event_base *base = event_base_new();
	struct cv_metrics_server *server;
	char address[32], answer[4096];
	uint16_t port = find_port();
	struct cv_error error;
	int silent[SILENT];

	(void)state;
	is_dry = false;
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	assert_int_equal(cv_metrics_server_create(base, address, give, NULL, &server, &error), 0);
	for (unsigned int i = 0; i < SILENT; i++) {
		silent[i] = connect_to(port);
		if (i % 3 == 2) /* three at a time */
			event_base_loop(base, EVLOOP_NONBLOCK);
	}
	ask(base, port, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
	for (unsigned int i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	for (unsigned int i = 0; i < SILENT; i++)
		assert_int_equal(recv(silent[i], answer, 1, MSG_DONTWAIT), i < CUT ? 0 : -1);
	/* One that has ended makes room. */
	close(silent[SILENT - 1]);
	for (unsigned int i = 0; i < 2; i++)
		ask(base, port, "GET /metrics HTTP/1.1\r\n\r\n", answer, sizeof(answer));
	assert_int_equal(recv(silent[CUT], answer, 1, MSG_DONTWAIT), -1);
	for (unsigned int i = 0; i < SILENT - 1; i++)
		close(silent[i]);
	cv_metrics_server_destroy(server);
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes_and_numbers), cmocka_unit_test(names_are_well_formed),
		cmocka_unit_test(refuses_addresses),   cmocka_unit_test(answers),
		cmocka_unit_test(bounds_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
