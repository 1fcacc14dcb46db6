/* SPDX-License-Identifier: Apache-2.0 */
/* The client's end of a capture: frames in any pieces, and what a record is read as. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "cli/capture_stream.h"
#include "cli/filter.h"
#include "cli/sighting.h"
#include "packets.h"

enum {
	BYTES = 4096
};

struct fixture {
	struct cv_capture_stream stream;
	uint8_t bytes[BYTES];
	size_t length;
	unsigned int taken;
	unsigned int stop_at; /* 0: never */
	char tunnel[CV_CONTROL_CAPTURE_TUNNEL_NAME];
	struct cv_fp_capture record;
	uint8_t packet[BYTES];
};

static bool take(void *context, const struct cv_fp_capture *record, const uint8_t *packet,
		 const char *tunnel)
{
	struct fixture *fixture = context;

	fixture->record = *record;
	memcpy(fixture->packet, packet, record->captured);
	memcpy(fixture->tunnel, tunnel, strlen(tunnel) + 1);
	return ++fixture->taken != fixture->stop_at;
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	fixture->stream.take = take;
	fixture->stream.context = fixture;
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

static void add(struct fixture *fixture, const void *bytes, size_t length)
{
	memcpy(fixture->bytes + fixture->length, bytes, length);
	fixture->length += length;
}

static void add_frame(struct fixture *fixture, uint32_t kind, const void *bytes, size_t length)
{
	const struct cv_control_frame frame = {.length = (uint32_t)length, .kind = kind};

	add(fixture, &frame, sizeof(frame));
	add(fixture, bytes, length);
}

static void add_packet(struct fixture *fixture, uint32_t tunnel, const void *packet,
		       uint32_t length)
{
	const struct cv_control_frame frame = {
		.length = (uint32_t)sizeof(struct cv_fp_capture) + length,
		.kind = CV_CONTROL_FRAME_PACKET,
	};
	const struct cv_fp_capture record = {
		.tunnel = tunnel,
		.length = length,
		.captured = length,
		.hook = CV_FP_HOOK_ENGINE_IN,
		.verdict = CV_FP_VERDICT_TO_DEVICE,
	};

	add(fixture, &frame, sizeof(frame));
	add(fixture, &record, sizeof(record));
	add(fixture, packet, length);
}

/* Give the bytes in pieces of this size. */
static int feed(struct fixture *fixture, size_t piece)
{
	int rc = 0;

	for (size_t at = 0; !rc && at < fixture->length; at += piece) {
		size_t size, left = fixture->length - at;
		uint8_t *room = cv_capture_stream_room(&fixture->stream, &size);

		left = left < piece ? left : piece;
		assert_true(size >= left);
		memcpy(room, fixture->bytes + at, left);
		rc = cv_capture_stream_came(&fixture->stream, left);
	}
	return rc;
}

static void test_frames_in_pieces(void **state)
{
	static const struct cv_control_tunnel tunnel = {.ifindex = 7, .name = "tun7"};
	static const struct cv_control_lost lost = {.reader = 5, .source = 6};
	struct fixture *fixture = *state;

	add_frame(fixture, CV_CONTROL_FRAME_TUNNEL, &tunnel, sizeof(tunnel));
	add_packet(fixture, 7, "inside", 6);
	add_frame(fixture, 99, "to be passed over", 17);
	add_frame(fixture, CV_CONTROL_FRAME_LOST, &lost, sizeof(lost));
	add_packet(fixture, 7, "", 0);
	for (size_t piece = 1; piece <= fixture->length; piece++) {
		fixture->taken = 0;
		assert_int_equal(feed(fixture, piece), 0);
		assert_int_equal(fixture->taken, 2);
		assert_string_equal(fixture->tunnel, "tun7");
		assert_int_equal(fixture->stream.lost.reader, 5);
		assert_int_equal(fixture->stream.lost.source, 6);
		assert_memory_equal(fixture->packet, "inside", 6);
		assert_int_equal(fixture->stream.length, 0);
	}
}

static void test_names(void **state)
{
	static const struct cv_control_tunnel seven = {.ifindex = 7, .name = "tun7"};
	static const struct cv_control_tunnel same_place = {
		.ifindex = 7 + CV_CONTROL_CAPTURE_TUNNELS, .name = "tun263"};
	struct fixture *fixture = *state;

	add_packet(fixture, 7, "x", 1);
	assert_int_equal(feed(fixture, BYTES), 0);
	assert_string_equal(fixture->tunnel, "");
	fixture->length = 0;
	add_frame(fixture, CV_CONTROL_FRAME_TUNNEL, &seven, sizeof(seven));
	add_frame(fixture, CV_CONTROL_FRAME_TUNNEL, &same_place, sizeof(same_place));
	add_packet(fixture, 7 + CV_CONTROL_CAPTURE_TUNNELS, "x", 1);
	assert_int_equal(feed(fixture, BYTES), 0);
	assert_string_equal(fixture->tunnel, "tun263");
	fixture->length = 0;
	add_packet(fixture, 7, "x", 1);
	assert_int_equal(feed(fixture, BYTES), 0);
	assert_string_equal(fixture->tunnel, "");
}

static void test_stops(void **state)
{
	struct fixture *fixture = *state;

	fixture->stop_at = 2;
	for (int i = 0; i < 3; i++)
		add_packet(fixture, 0, "x", 1);
	assert_int_equal(feed(fixture, BYTES), -ECANCELED);
	assert_int_equal(fixture->taken, 2);
	assert_int_equal(fixture->stream.length, fixture->length / 3);
}

static void refused(struct fixture *fixture, uint32_t kind, const void *bytes, size_t length)
{
	fixture->length = 0;
	fixture->stream.length = 0;
	add_frame(fixture, kind, bytes, length);
	assert_int_equal(feed(fixture, BYTES), -EBADMSG);
}

static void test_refuses(void **state)
{
	static const struct cv_control_frame huge = {.length = CV_CAPTURE_STREAM_FRAME_MAX + 1};
	struct fixture *fixture = *state;
	struct cv_fp_capture record = {.captured = 1, .length = 1};
	struct cv_control_tunnel tunnel = {.ifindex = 1};

	refused(fixture, CV_CONTROL_FRAME_PACKET, &record, sizeof(record));
	refused(fixture, CV_CONTROL_FRAME_PACKET, &record, sizeof(record) - 1);
	record.captured = 0;
	record.offset = 1;
	refused(fixture, CV_CONTROL_FRAME_PACKET, &record, sizeof(record));
	memset(tunnel.name, 'x', sizeof(tunnel.name));
	refused(fixture, CV_CONTROL_FRAME_TUNNEL, &tunnel, sizeof(tunnel));
	refused(fixture, CV_CONTROL_FRAME_TUNNEL, &tunnel, sizeof(tunnel) - 1);
	refused(fixture, CV_CONTROL_FRAME_LOST, &record, 15);
	fixture->length = fixture->stream.length = 0;
	add(fixture, &huge, sizeof(huge));
	assert_int_equal(feed(fixture, BYTES), -EBADMSG);
	assert_int_equal(fixture->taken, 0);
}

/* ---- sightings ------------------------------------------------------------------- */

static uint32_t udp_outer(uint8_t out[static 128])
{
	static const uint8_t udp[] = {0x0f, 0xa0, 0x13, 0x88, 0, 12, 0, 0, 1, 2, 3, 4};
	const struct header_of of = {
		.source = inet_addr("10.0.0.1"),
		.destination = inet_addr("10.0.0.2"),
	};
	uint8_t inner[64];
	uint32_t length = write_ipv4(inner, &of, udp, sizeof(udp));

	return write_outer(out, inet_addr("192.0.2.1"), inet_addr("192.0.2.2"), 0, inner, length);
}

static void test_outer_record(void **state)
{
	uint8_t packet[128];
	uint32_t length = udp_outer(packet);
	struct cv_fp_capture record = {
		.length = length,
		.captured = length,
		.hook = CV_FP_HOOK_ENGINE_OUT,
		.verdict = CV_FP_VERDICT_ENCAPSULATED,
	};
	char text[CV_SIGHTING_TEXT_MAX];
	struct cv_sighting sighting;

	(void)state;
	cv_sighting_read(&sighting, &record, packet, "tun0", 5);
	assert_int_equal(sighting.time_ns, 5);
	assert_true(sighting.outbound);
	assert_ptr_equal(sighting.outer.bytes, packet);
	assert_ptr_equal(sighting.inner.bytes, packet + 20);
	assert_int_equal(sighting.inner.length, length - 20);
	cv_sighting_comment(&sighting, text);
	assert_string_equal(text, "culvert: engine, encapsulated; hook engine-out");
	cv_sighting_line(&sighting, text);
	assert_string_equal(text + 16, "tun0 engine out 192.0.2.1 > 192.0.2.2: 10.0.0.1.4000 > "
				       "10.0.0.2.5000 udp, length 32: encapsulated");
	record.ifindex = 3;
	record.hook = CV_FP_HOOK_UNDERLAY_IN;
	record.verdict = CV_FP_VERDICT_DROPPED;
	record.drop = CV_DROP_TOO_BIG;
	record.gso_size = 1448;
	cv_sighting_read(&sighting, &record, packet, "tun0", 5);
	assert_ptr_equal(sighting.inner.bytes, packet + 20);
	cv_sighting_comment(&sighting, text);
	assert_string_equal(text,
			    "culvert: fast path, dropped: too-big (DF is set and the path MTU "
			    "is smaller; answered by ICMP 3/4); hook underlay-in; "
			    "super-packet of segments with 1448 bytes");
}

/* As the hook sees it: an IPIP packet of a user's own is an inner one on its way out. */
static void test_inner_record(void **state)
{
	uint8_t packet[128];
	uint32_t length = udp_outer(packet);
	const struct cv_fp_capture record = {
		.length = length,
		.captured = length,
		.hook = CV_FP_HOOK_ENGINE_OUT,
		.verdict = CV_FP_VERDICT_DROPPED,
		.drop = CV_DROP_RECURSION,
	};
	struct cv_sighting sighting;

	(void)state;
	cv_sighting_read(&sighting, &record, packet, "tun0", 0);
	assert_null(sighting.outer.bytes);
	assert_ptr_equal(sighting.inner.bytes, packet);
	assert_int_equal(sighting.inner.length, length);
}

/* Whatever the bytes and the record are, there is something to print. */
static void test_cut_anywhere(void **state)
{
	uint8_t packet[128];
	uint32_t length = udp_outer(packet);

	(void)state;
	for (uint32_t captured = 0; captured <= length; captured++) {
		uint8_t *exact = malloc(captured + 1);
		const struct cv_fp_capture record = {
			.length = length,
			.captured = captured,
			.hook = 200,
			.verdict = (uint8_t)(captured & 1 ? 200 : CV_FP_VERDICT_TO_DEVICE),
			.drop = 200,
		};
		char text[CV_SIGHTING_TEXT_MAX];
		struct cv_sighting sighting;
		json_t *json;

		assert_non_null(exact);
		memcpy(exact, packet, captured);
		cv_sighting_read(&sighting, &record, exact, "", 0);
		cv_sighting_line(&sighting, text);
		assert_true(*text);
		json = cv_sighting_to_json(&sighting);
		assert_non_null(json);
		json_decref(json);
		free(exact);
	}
}

static void filter_is(const struct cv_sighting *sighting, const char *text, bool wanted)
{
	struct cv_filter *filter = NULL;

	assert_int_equal(cv_filter_create(&text, 1, &filter, NULL), 0);
	assert_int_equal(cv_filter_matches(filter, sighting), wanted);
	cv_filter_destroy(filter);
}

static void test_filters(void **state)
{
	static const char *const words[] = {"udp", "port"};
	uint8_t packet[128];
	uint32_t length = udp_outer(packet);
	const struct cv_fp_capture record = {
		.length = length,
		.captured = length,
		.hook = CV_FP_HOOK_ENGINE_IN,
		.verdict = CV_FP_VERDICT_TO_DEVICE,
	};
	struct cv_sighting sighting;
	struct cv_filter *filter;
	struct cv_error error;

	(void)state;
	cv_sighting_read(&sighting, &record, packet, "", 0);
	filter_is(&sighting, "udp port 5000", true);
	filter_is(&sighting, "src host 10.0.0.1", true);
	filter_is(&sighting, "host 192.0.2.1", true);
	filter_is(&sighting, "ip proto 4", true);
	filter_is(&sighting, "tcp", false);
	filter_is(&sighting, "host 192.0.2.1 and udp", false);
	assert_true(cv_filter_matches(NULL, &sighting));
	assert_int_equal(cv_filter_create(words, 2, &filter, &error), -EINVAL);
	assert_non_null(strstr(error.text, "\"udp port\": "));
	assert_true(cv_filter_may_begin("udp"));
	assert_true(cv_filter_may_begin("10.0.0.1"));
	assert_true(cv_filter_may_begin("host 10.0.0.1"));
	assert_true(cv_filter_may_begin("ip[8]"));
	assert_false(cv_filter_may_begin("tun9"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_frames_in_pieces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stops, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refuses, set_up, tear_down),
		cmocka_unit_test(test_outer_record),
		cmocka_unit_test(test_inner_record),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_filters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
