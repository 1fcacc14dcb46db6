/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who captures.
 *
 * Engine and fast path record as many bytes as the one who wants most; each gets his own
 * cut. Nobody can harm others: what waits for one is bounded, and what finds no room there is
 * counted as lost and told to him in the stream. The packet path waits for nobody.
 */
#define _GNU_SOURCE
#include "agent/capture.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "agent/control.h"
#include "wire/ipv4.h"

enum {
	LINK_MAX = 32,		 /* bytes of a link-layer header, tags included */
	PERF_MAX = 65400,	 /* bytes of a packet in a perf record */
	WRITE_MAX = 1 << 20,	 /* bytes in one go */
	SOCKET_BUFFER = 1 << 20, /* bytes */
	FRAME = sizeof(struct cv_control_frame),
	RECORD = sizeof(struct cv_fp_capture),
	LOST_FRAME = FRAME + sizeof(struct cv_control_lost),
	TUNNEL_FRAME = FRAME + sizeof(struct cv_control_tunnel),
};

_Static_assert(IFNAMSIZ == CV_CONTROL_CAPTURE_TUNNEL_NAME, "names fit");

struct capturer {
	struct cv_capturers *all;
	unsigned int slot;
	struct bufferevent *stream; /* NULL until the answer is under way */
	char tunnel[IFNAMSIZ];	    /* "": all */
	uint32_t snap;
	bool ending; /* gets what is waiting for him, and no more */
	bool untold; /* of what he lost */
	struct cv_control_lost lost;
	/* What he was told, by ifindex modulo; tunnels that share a place are told again. */
	struct cv_control_tunnel known[CV_CONTROL_CAPTURE_TUNNELS];
};

struct cv_capturers {
	struct event_base *base;
	struct cv_engine *engine;
	struct cv_fastpath *fastpath; /* NULL: none */
	struct event *engine_event;   /* NULL while nobody captures */
	struct event *fastpath_event;
	uint32_t snap;	 /* what is recorded now; 0: nothing */
	int fastpath_rc; /* -errno: the fast path does not record that */
	struct capturer *slots[CV_CAPTURERS_MAX];
};

/* ---- frames ----------------------------------------------------------------------- */

/* Room for size bytes, all of them: no frame is ever half. */
static bool has_room(const struct capturer *capturer, size_t size)
{
	struct evbuffer *output = bufferevent_get_output(capturer->stream);

	return evbuffer_get_length(output) + size <= CV_CAPTURERS_OUTPUT_MAX &&
	       !evbuffer_expand(output, size);
}

/* The payload in two parts; room was made. */
static void add_frame(const struct capturer *capturer, enum cv_control_frame_kind kind,
		      const void *first, size_t first_length, const void *second,
		      size_t second_length)
{
	struct evbuffer *output = bufferevent_get_output(capturer->stream);
	const struct cv_control_frame frame = {
		.length = (uint32_t)(first_length + second_length),
		.kind = kind,
	};

	evbuffer_add(output, &frame, sizeof(frame));
	evbuffer_add(output, first, first_length);
	evbuffer_add(output, second, second_length);
}

static void tell_lost(struct capturer *capturer)
{
	if (!capturer->untold || !capturer->stream || !has_room(capturer, LOST_FRAME))
		return;
	add_frame(capturer, CV_CONTROL_FRAME_LOST, &capturer->lost, sizeof(capturer->lost), NULL,
		  0);
	capturer->untold = false;
}

/* Of a tunnel that is gone (name NULL), what was known stays true. */
static bool knows(const struct capturer *capturer, uint32_t ifindex, const char *name)
{
	const struct cv_control_tunnel *known =
		&capturer->known[ifindex % CV_CONTROL_CAPTURE_TUNNELS];

	return !name || (known->ifindex == ifindex && !strcmp(known->name, name));
}

static void tell_tunnel(struct capturer *capturer, uint32_t ifindex, const char *name)
{
	struct cv_control_tunnel *known = &capturer->known[ifindex % CV_CONTROL_CAPTURE_TUNNELS];

	memset(known, 0, sizeof(*known));
	known->ifindex = ifindex;
	memcpy(known->name, name, strnlen(name, sizeof(known->name) - 1));
	add_frame(capturer, CV_CONTROL_FRAME_TUNNEL, known, sizeof(*known), NULL, 0);
}

/* record: without link-layer header. */
static void give(struct capturer *capturer, const struct cv_fp_capture *record,
		 const uint8_t *packet, const char *name)
{
	struct cv_fp_capture cut = *record;

	if (cut.captured > capturer->snap)
		cut.captured = capturer->snap;
	if (!has_room(capturer, LOST_FRAME + TUNNEL_FRAME + FRAME + RECORD + cut.captured)) {
		capturer->lost.reader++;
		capturer->untold = true;
		return;
	}
	tell_lost(capturer);
	if (!knows(capturer, record->tunnel, name))
		tell_tunnel(capturer, record->tunnel, name);
	add_frame(capturer, CV_CONTROL_FRAME_PACKET, &cut, sizeof(cut), packet, cut.captured);
}

/* ---- what engine and fast path have recorded -------------------------------------------- */

/* Only the packet: without the link-layer header in front, and what Ethernet pads short ones with.
 */
static int bare(struct cv_fp_capture *record, const uint8_t **packet)
{
	struct cv_ipv4 ip;

	if (record->offset > record->captured)
		return -EINVAL;
	*packet += record->offset;
	record->captured -= record->offset;
	record->offset = 0;
	if (!cv_ipv4_parse_header(*packet, record->captured, &ip) &&
	    ip.total_length < record->length)
		record->length = ip.total_length;
	if (record->captured > record->length)
		record->captured = record->length;
	return 0;
}

static void take(void *context, const struct cv_fp_capture *seen, const uint8_t *packet)
{
	struct cv_capturers *all = context;
	struct cv_fp_capture record = *seen;
	const char *name = NULL;

	if (bare(&record, &packet))
		return;
	if (record.tunnel)
		name = cv_engine_tunnel_name(all->engine, (int)record.tunnel);
	for (unsigned int i = 0; i < CV_CAPTURERS_MAX; i++) {
		struct capturer *capturer = all->slots[i];

		if (!capturer || !capturer->stream || capturer->ending)
			continue;
		if (!*capturer->tunnel || (name && !strcmp(capturer->tunnel, name)))
			give(capturer, &record, packet, name);
	}
}

static void count_lost(void *context, uint64_t count)
{
	struct cv_capturers *all = context;

	for (unsigned int i = 0; count && i < CV_CAPTURERS_MAX; i++) {
		if (!all->slots[i] || all->slots[i]->ending)
			continue;
		all->slots[i]->lost.source += count;
		all->slots[i]->untold = true;
		tell_lost(all->slots[i]);
	}
}

static void on_engine(evutil_socket_t fd, short what, void *data)
{
	struct cv_capturers *all = data;

	(void)fd;
	(void)what;
	count_lost(all, cv_engine_capture_poll(all->engine, take, all));
}

static void on_fastpath(evutil_socket_t fd, short what, void *data)
{
	struct cv_capturers *all = data;

	(void)fd;
	(void)what;
	cv_fastpath_capture_poll(all->fastpath);
}

/* ---- on and off -------------------------------------------------------------------------- */

static void forget_event(struct event **event)
{
	if (*event)
		event_free(*event);
	*event = NULL;
}

static int watch(struct cv_capturers *all, int fd, event_callback_fn callback,
		 struct event **ret_event)
{
	*ret_event = event_new(all->base, fd, EV_READ | EV_PERSIST, callback, all);
	if (*ret_event && !event_add(*ret_event, NULL))
		return 0;
	forget_event(ret_event);
	return -ENOMEM;
}

static int record_engine(struct cv_capturers *all, uint32_t snap)
{
	int rc = cv_engine_capture(all->engine, snap);

	if (rc || !snap) {
		if (!snap)
			forget_event(&all->engine_event);
		return rc;
	}
	if (!all->engine_event)
		rc = watch(all, cv_engine_capture_fd(all->engine), on_engine, &all->engine_event);
	if (rc)
		cv_engine_capture(all->engine, 0);
	return rc;
}

/*
 * It counts the link-layer header among the bytes, and a perf record has 64 KiB at most. The
 * descriptor may be another one each time.
 */
static int record_fastpath(struct cv_capturers *all, uint32_t snap)
{
	uint32_t bytes = snap ? snap + LINK_MAX : 0;
	int rc;

	if (!all->fastpath)
		return 0;
	forget_event(&all->fastpath_event);
	if (bytes > PERF_MAX)
		bytes = PERF_MAX;
	rc = cv_fastpath_capture(all->fastpath, bytes, take, count_lost, all);
	if (rc || !snap)
		return rc;
	rc = watch(all, cv_fastpath_capture_fd(all->fastpath), on_fastpath, &all->fastpath_event);
	if (rc)
		cv_fastpath_capture(all->fastpath, 0, take, count_lost, all);
	return rc;
}

/* Record what is wanted now. 0, or the engine's -errno; the fast path's own is kept, and what was
 * refused is tried again for the next one. */
static int adjust(struct cv_capturers *all)
{
	uint32_t snap = 0;
	int rc = 0;

	for (unsigned int i = 0; i < CV_CAPTURERS_MAX; i++) {
		if (all->slots[i] && all->slots[i]->snap > snap)
			snap = all->slots[i]->snap;
	}
	if (snap == all->snap && !all->fastpath_rc)
		return 0;
	if (snap != all->snap)
		rc = record_engine(all, snap);
	if (rc)
		return rc;
	all->fastpath_rc = record_fastpath(all, snap);
	all->snap = snap;
	return 0;
}

/* ---- one of them -------------------------------------------------------------------------- */

static void destroy_capturer(struct capturer *capturer)
{
	struct cv_capturers *all = capturer->all;

	if (capturer->stream)
		bufferevent_free(capturer->stream);
	all->slots[capturer->slot] = NULL;
	free(capturer);
	adjust(all);
}

/* He has said that he wants no more: what is there until now is still his, and the count. */
static void finish(struct capturer *capturer)
{
	static const struct timeval limit = {.tv_sec = CV_SERVER_ANSWER_S};
	struct cv_capturers *all = capturer->all;

	count_lost(all, cv_engine_capture_settle(all->engine, take, all));
	if (all->fastpath_event)
		on_fastpath(-1, EV_READ, all);
	capturer->ending = true;
	capturer->untold = true;
	tell_lost(capturer);
	bufferevent_disable(capturer->stream, EV_READ);
	bufferevent_set_timeouts(capturer->stream, NULL, &limit);
}

static void on_read(struct bufferevent *stream, void *data)
{
	struct evbuffer *input = bufferevent_get_input(stream);

	(void)data;
	evbuffer_drain(input, evbuffer_get_length(input));
}

/* All that was waiting has been taken. */
static void on_written(struct bufferevent *stream, void *data)
{
	struct capturer *capturer = data;

	(void)stream;
	if (!capturer->untold && capturer->ending)
		return destroy_capturer(capturer);
	tell_lost(capturer);
}

static void on_end(struct bufferevent *stream, short what, void *data)
{
	struct capturer *capturer = data;

	(void)stream;
	if ((what & BEV_EVENT_EOF) && !(what & BEV_EVENT_ERROR) && !capturer->ending)
		finish(capturer);
	else
		destroy_capturer(capturer);
}

/* The server's connection becomes the capture's. */
static void take_over(void *context, struct bufferevent *stream)
{
	static const int size = SOCKET_BUFFER;
	struct capturer *capturer = context;

	if (!stream)
		return destroy_capturer(capturer);
	capturer->stream = stream;
	setsockopt(bufferevent_getfd(stream), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	bufferevent_set_max_single_write(stream, WRITE_MAX);
	bufferevent_setwatermark(stream, EV_READ, 0, 0);
	bufferevent_setcb(stream, on_read, on_written, on_end, capturer);
	bufferevent_enable(stream, EV_READ | EV_WRITE);
}

/* ---- all of them ------------------------------------------------------------------------ */

int cv_capturers_create(struct event_base *base, struct cv_engine *engine,
			struct cv_fastpath *fastpath, struct cv_capturers **ret_capturers)
{
	struct cv_capturers *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->base = base;
	all->engine = engine;
	all->fastpath = fastpath;
	*ret_capturers = all;
	return 0;
}

void cv_capturers_destroy(struct cv_capturers *capturers)
{
	if (!capturers)
		return;
	for (unsigned int i = 0; i < CV_CAPTURERS_MAX; i++) {
		if (capturers->slots[i])
			destroy_capturer(capturers->slots[i]);
	}
	free(capturers);
}

/* From CLOCK_MONOTONIC, which records have, to real time. */
static int64_t clock_offset_ns(void)
{
	struct timespec real, monotonic;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_MONOTONIC, &monotonic);
	return (int64_t)(real.tv_sec - monotonic.tv_sec) * 1000000000 +
	       (real.tv_nsec - monotonic.tv_nsec);
}

static json_t *describe(uint32_t snap, int fastpath_rc)
{
	json_t *result =
		json_pack("{s:i, s:s, s:I, s:i}", "format", CV_CONTROL_CAPTURE_FORMAT, "byte_order",
			  __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "little" : "big",
			  "clock_offset_ns", (json_int_t)clock_offset_ns(), "snap", (int)snap);

	if (fastpath_rc)
		json_object_set_new(result, "warning",
				    json_sprintf("only the engine's packets are captured; the fast "
						 "path's cannot be: %s",
						 strerror(-fastpath_rc)));
	return result;
}

static struct capturer *create_capturer(struct cv_capturers *all, const char *tunnel, uint32_t snap)
{
	struct capturer *capturer = NULL;
	unsigned int slot = 0;

	while (slot < CV_CAPTURERS_MAX && all->slots[slot])
		slot++;
	errno = EUSERS;
	if (slot < CV_CAPTURERS_MAX)
		capturer = calloc(1, sizeof(*capturer));
	if (!capturer)
		return NULL;
	capturer->all = all;
	capturer->slot = slot;
	capturer->snap = snap;
	memcpy(capturer->tunnel, tunnel, strnlen(tunnel, sizeof(capturer->tunnel) - 1));
	all->slots[slot] = capturer;
	return capturer;
}

int cv_capturers_add(struct cv_capturers *capturers, const char *tunnel, uint32_t snap,
		     json_t **ret_result, struct cv_server_then *ret_then, struct cv_error *error)
{
	struct capturer *capturer = create_capturer(capturers, tunnel, snap);
	int rc;

	if (!capturer && errno == EUSERS)
		return cv_error_set(error, -EUSERS,
				    "%d captures are under way, and more are not possible; end one",
				    CV_CAPTURERS_MAX);
	if (!capturer)
		return cv_error_set(error, -ENOMEM, "out of memory");
	rc = adjust(capturers);
	if (rc) {
		destroy_capturer(capturer);
		return cv_error_set(error, rc, "cannot record packets: %s", strerror(-rc));
	}
	*ret_result = describe(snap, capturers->fastpath_rc);
	ret_then->take_over = take_over;
	ret_then->context = capturer;
	return 0;
}

json_t *cv_capturers_status(const struct cv_capturers *capturers)
{
	int count = 0;

	for (unsigned int i = 0; i < CV_CAPTURERS_MAX; i++)
		count += capturers->slots[i] != NULL;
	return json_pack("{s:i, s:I}", "capturers", count, "snap",
			 (json_int_t)cv_engine_capture_snap(capturers->engine));
}
