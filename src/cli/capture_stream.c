/* SPDX-License-Identifier: Apache-2.0 */
/* The stream of a capture, cut into its frames. Invariant: a frame is looked at when all is there.
 */
#include "cli/capture_stream.h"

#include <errno.h>
#include <string.h>

static int take_packet(struct cv_capture_stream *stream, const uint8_t *bytes, size_t length)
{
	const struct cv_control_tunnel *tunnel;
	struct cv_fp_capture record;

	if (length < sizeof(record))
		return -EBADMSG;
	memcpy(&record, bytes, sizeof(record));
	if (record.captured != length - sizeof(record) || record.captured > record.length ||
	    record.offset)
		return -EBADMSG;
	tunnel = &stream->tunnels[record.tunnel % CV_CONTROL_CAPTURE_TUNNELS];
	if (stream->take(stream->context, &record, bytes + sizeof(record),
			 record.tunnel && tunnel->ifindex == record.tunnel ? tunnel->name : ""))
		return 0;
	return -ECANCELED;
}

static int take_tunnel(struct cv_capture_stream *stream, const uint8_t *bytes, size_t length)
{
	struct cv_control_tunnel tunnel;

	if (length != sizeof(tunnel))
		return -EBADMSG;
	memcpy(&tunnel, bytes, sizeof(tunnel));
	if (tunnel.name[sizeof(tunnel.name) - 1])
		return -EBADMSG;
	stream->tunnels[tunnel.ifindex % CV_CONTROL_CAPTURE_TUNNELS] = tunnel;
	return 0;
}

static int take_lost(struct cv_capture_stream *stream, const uint8_t *bytes, size_t length)
{
	if (length != sizeof(stream->lost))
		return -EBADMSG;
	memcpy(&stream->lost, bytes, sizeof(stream->lost));
	return 0;
}

static int take_frame(struct cv_capture_stream *stream, const struct cv_control_frame *frame,
		      const uint8_t *bytes)
{
	switch (frame->kind) {
	case CV_CONTROL_FRAME_PACKET:
		return take_packet(stream, bytes, frame->length);
	case CV_CONTROL_FRAME_TUNNEL:
		return take_tunnel(stream, bytes, frame->length);
	case CV_CONTROL_FRAME_LOST:
		return take_lost(stream, bytes, frame->length);
	default:
		return 0;
	}
}

uint8_t *cv_capture_stream_room(struct cv_capture_stream *stream, size_t *ret_size)
{
	*ret_size = sizeof(stream->buffer) - stream->length;
	return stream->buffer + stream->length;
}

int cv_capture_stream_came(struct cv_capture_stream *stream, size_t count)
{
	struct cv_control_frame frame;
	size_t at = 0;
	int rc = 0;

	stream->length += count;
	while (!rc && stream->length - at >= sizeof(frame)) {
		memcpy(&frame, stream->buffer + at, sizeof(frame));
		if (frame.length > CV_CAPTURE_STREAM_FRAME_MAX)
			return -EBADMSG;
		if (stream->length - at - sizeof(frame) < frame.length)
			break;
		rc = take_frame(stream, &frame, stream->buffer + at + sizeof(frame));
		at += sizeof(frame) + frame.length;
	}
	stream->length -= at;
	memmove(stream->buffer, stream->buffer + at, stream->length);
	return rc;
}
