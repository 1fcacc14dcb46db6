/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the client's end of a capture. Input: a stream as culvertd sends it, given in two pieces
 * of which the first byte says the first one's length. Every packet is filtered and written in all
 * three forms. Demanded beyond memory errors: lines and comments are one line of printable text,
 * and the lengths in a sighting add up.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/capture_sink.h"
#include "cli/capture_stream.h"
#include "cli/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	FORMS = 3
};

struct world {
	struct cv_capture_sink *sinks[FORMS];
	struct cv_filter *filter;
	FILE *files[FORMS];
};

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void check_text(const char *text, const char *tunnel)
{
	/* A device's name is root's own. */
	if (strpbrk(tunnel, "\n") || strlen(text) == CV_SIGHTING_TEXT_MAX - 1)
		return;
	demand(*text && !strchr(text, '\n'));
}

static void check_packet(const struct cv_sighting_packet *packet)
{
	demand(!packet->bytes || packet->captured <= packet->length);
}

static bool take(void *context, const struct cv_fp_capture *record, const uint8_t *packet,
		 const char *tunnel)
{
	struct world *world = context;
	/* A copy of its own, so that the sanitizer sees what reads beyond it. */
	uint8_t *copy = malloc(record->captured + 1U);
	char text[CV_SIGHTING_TEXT_MAX];
	struct cv_sighting sighting;

	demand(copy);
	memcpy(copy, packet, record->captured);
	cv_sighting_read(&sighting, record, copy, tunnel, 1700000000000000000);
	check_packet(&sighting.outer);
	check_packet(&sighting.inner);
	cv_sighting_line(&sighting, text);
	check_text(text, tunnel);
	cv_sighting_comment(&sighting, text);
	check_text(text, tunnel);
	cv_filter_matches(world->filter, &sighting);
	for (int form = 0; form < FORMS; form++)
		cv_capture_sink_put(world->sinks[form], &sighting, record->length % 3);
	free(copy);
	return record->length % 61 != 60;
}

static int give(struct cv_capture_stream *stream, const uint8_t *data, size_t size)
{
	size_t room;
	uint8_t *at = cv_capture_stream_room(stream, &room);

	demand(room >= size);
	memcpy(at, data, size);
	return cv_capture_stream_came(stream, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const words[] = {"udp", "port", "53", "or", "icmp[0]", "=", "8"};
	static struct cv_capture_stream stream;
	struct world world = {.filter = NULL};
	size_t first = size ? data[0] : 0;

	if (!size || size > 65536)
		return 0;
	memset(&stream, 0, sizeof(stream));
	stream.take = take;
	stream.context = &world;
	demand(!cv_filter_create(words, 7, &world.filter, NULL));
	for (int form = 0; form < FORMS; form++) {
		world.files[form] = fopen("/dev/null", "we");
		demand(world.files[form]);
		world.sinks[form] =
			cv_capture_sink_create((enum cv_capture_form)form, world.files[form], 300);
		demand(world.sinks[form]);
	}
	data++;
	size--;
	first = first < size ? first : size;
	if (!give(&stream, data, first))
		give(&stream, data + first, size - first);
	for (int form = 0; form < FORMS; form++) {
		cv_capture_sink_end(world.sinks[form], 1, 2);
		cv_capture_sink_destroy(world.sinks[form]);
		fclose(world.files[form]);
	}
	cv_filter_destroy(world.filter);
	return 0;
}
