/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the readers of BIRD's replies. Input: a reply. Beyond memory errors it demands: words are
 * printable and end; prefixes are prefixes; what is learned is sorted; and the end of a reply is
 * the same, in whatever pieces it comes.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "routing/learned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void check_word(const char *word, size_t size)
{
	const char *end = memchr(word, '\0', size);

	demand(end);
	for (; word < end; word++)
		demand(*word >= ' ' && *word <= '~');
}

#define CHECK_WORD(array) check_word(array, sizeof(array))

static void check_end(const char *text, size_t size)
{
	size_t whole = 0, from = 0, got = 0, have = 0;
	int rc = cv_bird_reply_end(text, size, &whole), in_pieces = -EAGAIN;

	demand(whole <= size);
	while (in_pieces == -EAGAIN && have < size) {
		have += 1 + (size_t)(unsigned char)text[have] % 32;
		if (have > size)
			have = size;
		in_pieces = cv_bird_reply_end(text + from, have - from, &got);
		if (in_pieces != -EINVAL)
			from += got;
	}
	if (!size)
		return;
	demand(rc == in_pieces);
	demand(rc == -EINVAL || whole == from);
}

static void check_status(const char *text, size_t size)
{
	struct cv_bird_status status;

	if (cv_bird_read_status(text, size, &status))
		return;
	demand(status.version[0]);
	CHECK_WORD(status.version);
	CHECK_WORD(status.last_reboot);
	CHECK_WORD(status.last_reconfiguration);
}

static void check_sessions(const char *text, size_t size)
{
	struct cv_bird_session *sessions = NULL;
	size_t count = 0;

	if (cv_bird_read_sessions(text, size, &sessions, &count))
		return;
	demand(count <= size);
	for (size_t i = 0; i < count; i++) {
		CHECK_WORD(sessions[i].name);
		CHECK_WORD(sessions[i].state);
		CHECK_WORD(sessions[i].since);
		CHECK_WORD(sessions[i].last_error);
		demand(sessions[i].is_established == !strcmp(sessions[i].state, "Established"));
	}
	free(sessions);
}

static void check_learned(const struct cv_bird_route *routes, size_t count)
{
	struct cv_learned learned;

	if (cv_learned_make(routes, count, &learned))
		return;
	demand(learned.count <= count);
	for (size_t i = 0; i + 1 < learned.count; i++)
		demand(cv_prefix_compare(&learned.items[i].prefix, &learned.items[i + 1].prefix) <=
		       0);
	for (size_t i = 0; i < count; i++)
		demand(!routes[i].next_hop || cv_learned_has(&learned, &routes[i].prefix));
	cv_learned_fini(&learned);
}

static void check_routes(const char *text, size_t size)
{
	struct cv_bird_route *routes = NULL;
	size_t count = 0;

	if (cv_bird_read_routes(text, size, &routes, &count))
		return;
	demand(count <= size);
	for (size_t i = 0; i < count; i++) {
		const struct cv_prefix *prefix = &routes[i].prefix;
		struct cv_prefix same;

		demand(prefix->length <= 32);
		same = cv_prefix_of(prefix->address, prefix->length);
		demand(!cv_prefix_compare(prefix, &same));
		CHECK_WORD(routes[i].protocol);
		CHECK_WORD(routes[i].as_path);
		demand(routes[i].protocol[0]);
	}
	check_learned(routes, count);
	free(routes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	check_end(text, size);
	check_status(text, size);
	check_sessions(text, size);
	check_routes(text, size);
	return 0;
}
