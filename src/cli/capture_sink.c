/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where captured packets go.
 *
 * In a pcapng file a tunnel is two interfaces, "tun0" with the inner packets and "tun0 outer" with
 * the outer ones; a record that shows both is two packets, in the order in which they were on
 * their way. Interfaces are added as they are needed.
 */
#include "cli/capture_sink.h"

#include <stdlib.h>
#include <string.h>

#include "cli/pcapng.h"

enum {
	NAME_MAX_BYTES = 32,
	NO_INTERFACE = UINT32_MAX,
	GROW = 16,
};

struct interface {
	uint32_t number; /* in the file */
	uint64_t packets;
};

struct tunnel {
	char name[NAME_MAX_BYTES]; /* "": packets that belong to none */
	struct interface inner;
	struct interface outer;
};

struct cv_capture_sink {
	enum cv_capture_form form;
	FILE *file;
	struct cv_pcapng *pcapng;
	struct tunnel *tunnels;
	size_t count;
	size_t room;
	uint64_t lost; /* as the file says so far */
};

struct cv_capture_sink *cv_capture_sink_create(enum cv_capture_form form, FILE *file, uint32_t snap)
{
	struct cv_capture_sink *sink = calloc(1, sizeof(*sink));

	if (!sink)
		return NULL;
	sink->form = form;
	sink->file = file;
	if (form != CV_CAPTURE_PCAPNG)
		return sink;
	sink->pcapng = cv_pcapng_create(file, snap);
	if (sink->pcapng)
		return sink;
	free(sink);
	return NULL;
}

void cv_capture_sink_destroy(struct cv_capture_sink *sink)
{
	if (!sink)
		return;
	cv_pcapng_destroy(sink->pcapng);
	free(sink->tunnels);
	free(sink);
}

/* ---- pcapng ---------------------------------------------------------------------- */

/* The tunnel's place, made if need be; NULL without memory. */
static struct tunnel *find_tunnel(struct cv_capture_sink *sink, const char *name)
{
	struct tunnel *tunnel;

	for (size_t i = 0; i < sink->count; i++) {
		if (!strcmp(sink->tunnels[i].name, name))
			return &sink->tunnels[i];
	}
	if (sink->count == sink->room) {
		size_t room = sink->room + GROW;

		tunnel = reallocarray(sink->tunnels, room, sizeof(*tunnel));
		if (!tunnel)
			return NULL;
		sink->tunnels = tunnel;
		sink->room = room;
	}
	tunnel = &sink->tunnels[sink->count++];
	memset(tunnel, 0, sizeof(*tunnel));
	tunnel->inner.number = tunnel->outer.number = NO_INTERFACE;
	memcpy(tunnel->name, name, strnlen(name, sizeof(tunnel->name) - 1));
	return tunnel;
}

static void write_packet(struct cv_capture_sink *sink, const struct tunnel *tunnel,
			 struct interface *interface, const char *suffix,
			 const struct cv_sighting *sighting,
			 const struct cv_sighting_packet *packet, uint64_t lost)
{
	struct cv_pcapng_packet block = {
		.time_ns = sighting->time_ns,
		.captured = packet->captured,
		.length = packet->length,
		.bytes = packet->bytes,
		.outbound = sighting->outbound,
		.lost = lost,
	};
	char text[CV_SIGHTING_TEXT_MAX], description[2 * NAME_MAX_BYTES];

	if (!packet->bytes)
		return;
	if (interface->number == NO_INTERFACE) {
		snprintf(text, sizeof(text), "%s%s", *tunnel->name ? tunnel->name : "culvert",
			 suffix);
		snprintf(description, sizeof(description), "%s packets of %s",
			 *suffix ? "outer" : "inner", *tunnel->name ? tunnel->name : "no tunnel");
		interface->number = cv_pcapng_interface(sink->pcapng, text, description);
	}
	block.interface = interface->number;
	cv_sighting_comment(sighting, text);
	block.comment = text;
	cv_pcapng_packet(sink->pcapng, &block);
	interface->packets++;
}

static void put_pcapng(struct cv_capture_sink *sink, const struct cv_sighting *sighting,
		       uint64_t lost)
{
	struct tunnel *tunnel = find_tunnel(sink, sighting->tunnel);
	uint64_t since = lost - sink->lost;

	if (!tunnel)
		return;
	sink->lost = lost;
	if (!sighting->outbound)
		write_packet(sink, tunnel, &tunnel->outer, " outer", sighting, &sighting->outer,
			     since);
	write_packet(sink, tunnel, &tunnel->inner, "", sighting, &sighting->inner,
		     sighting->outbound || !sighting->outer.bytes ? since : 0);
	if (sighting->outbound)
		write_packet(sink, tunnel, &tunnel->outer, " outer", sighting, &sighting->outer,
			     sighting->inner.bytes ? 0 : since);
}

static void end_interface(const struct cv_capture_sink *sink, const struct interface *interface,
			  uint64_t time_ns, uint64_t lost)
{
	if (interface->number != NO_INTERFACE)
		cv_pcapng_statistics(sink->pcapng, interface->number, time_ns, interface->packets,
				     interface->number ? 0 : lost);
}

/* ---- all forms ------------------------------------------------------------------------ */

void cv_capture_sink_put(struct cv_capture_sink *sink, const struct cv_sighting *sighting,
			 uint64_t lost)
{
	char text[CV_SIGHTING_TEXT_MAX];
	json_t *json;

	switch (sink->form) {
	case CV_CAPTURE_LINES:
		cv_sighting_line(sighting, text);
		fprintf(sink->file, "%s\n", text);
		break;
	case CV_CAPTURE_JSON:
		json = cv_sighting_to_json(sighting);
		json_dumpf(json, sink->file, JSON_COMPACT);
		putc('\n', sink->file);
		json_decref(json);
		break;
	case CV_CAPTURE_PCAPNG:
		put_pcapng(sink, sighting, lost);
		break;
	}
}

/* Nobody knows of which tunnel the lost ones were: they stand at the file's first interface. */
void cv_capture_sink_end(struct cv_capture_sink *sink, uint64_t time_ns, uint64_t lost)
{
	for (size_t i = 0; i < sink->count; i++) {
		end_interface(sink, &sink->tunnels[i].inner, time_ns, lost);
		end_interface(sink, &sink->tunnels[i].outer, time_ns, lost);
	}
}
