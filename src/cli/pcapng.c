/* SPDX-License-Identifier: Apache-2.0 */
/* Writes pcapng. Every block is put together in one buffer and written in one piece. */
#include "cli/pcapng.h"

#include <stdlib.h>
#include <string.h>

enum {
	SNAP_MAX = 262144,
	BLOCK_MAX = SNAP_MAX + 4096, /* a packet, and what options take at most */
	TEXT_MAX = 1024,

	SECTION_HEADER = 0x0a0d0d0a,
	INTERFACE_DESCRIPTION = 1,
	INTERFACE_STATISTICS = 5,
	ENHANCED_PACKET = 6,

	BYTE_ORDER_MAGIC = 0x1a2b3c4d,
	VERSION_MAJOR = 1,
	VERSION_MINOR = 0,
	LINKTYPE_RAW = 101,
	TSRESOL_NS = 9,
	INBOUND = 1,
	OUTBOUND = 2,

	OPT_END = 0,
	OPT_COMMENT = 1,
	SHB_USERAPPL = 4,
	IF_NAME = 2,
	IF_DESCRIPTION = 3,
	IF_TSRESOL = 9,
	EPB_FLAGS = 2,
	EPB_DROPCOUNT = 4,
	ISB_IFRECV = 4,
	ISB_IFDROP = 5,
};

struct cv_pcapng {
	FILE *file;
	uint32_t snap;
	uint32_t interfaces;
	size_t length; /* of the block so far */
	uint8_t block[BLOCK_MAX];
};

/* ---- blocks ---------------------------------------------------------------------- */

static void put(struct cv_pcapng *pcapng, const void *bytes, size_t length)
{
	static const uint8_t padding[4];
	size_t rest = -length & 3;

	memcpy(pcapng->block + pcapng->length, bytes, length);
	pcapng->length += length;
	memcpy(pcapng->block + pcapng->length, padding, rest);
	pcapng->length += rest;
}

static void put32(struct cv_pcapng *pcapng, uint32_t value)
{
	put(pcapng, &value, sizeof(value));
}

static void put16_pair(struct cv_pcapng *pcapng, uint16_t first, uint16_t second)
{
	const uint16_t pair[] = {first, second};

	put(pcapng, pair, sizeof(pair));
}

/* As pcapng has it: the high half first, whatever the byte order. */
static void put_time(struct cv_pcapng *pcapng, uint64_t time_ns)
{
	put32(pcapng, (uint32_t)(time_ns >> 32));
	put32(pcapng, (uint32_t)time_ns);
}

static void option(struct cv_pcapng *pcapng, uint16_t code, const void *value, size_t length)
{
	put16_pair(pcapng, code, (uint16_t)length);
	put(pcapng, value, length);
}

static void option_text(struct cv_pcapng *pcapng, uint16_t code, const char *text)
{
	option(pcapng, code, text, strnlen(text, TEXT_MAX));
}

static void begin(struct cv_pcapng *pcapng, uint32_t type)
{
	pcapng->length = 0;
	put32(pcapng, type);
	put32(pcapng, 0);
}

static void end(struct cv_pcapng *pcapng)
{
	uint32_t length;

	put16_pair(pcapng, OPT_END, 0);
	length = (uint32_t)pcapng->length + 4;
	put32(pcapng, length);
	memcpy(pcapng->block + 4, &length, sizeof(length));
	fwrite(pcapng->block, pcapng->length, 1, pcapng->file);
}

/* ---- what there is --------------------------------------------------------------------- */

static void write_section(struct cv_pcapng *pcapng)
{
	static const uint64_t unknown = UINT64_MAX; /* of the section's length */

	begin(pcapng, SECTION_HEADER);
	put32(pcapng, BYTE_ORDER_MAGIC);
	put16_pair(pcapng, VERSION_MAJOR, VERSION_MINOR);
	put(pcapng, &unknown, sizeof(unknown));
	option_text(pcapng, SHB_USERAPPL, "culvert " CV_VERSION);
	end(pcapng);
}

struct cv_pcapng *cv_pcapng_create(FILE *file, uint32_t snap)
{
	struct cv_pcapng *pcapng = calloc(1, sizeof(*pcapng));

	if (!pcapng)
		return NULL;
	pcapng->file = file;
	pcapng->snap = snap < SNAP_MAX ? snap : SNAP_MAX;
	write_section(pcapng);
	return pcapng;
}

void cv_pcapng_destroy(struct cv_pcapng *pcapng)
{
	free(pcapng);
}

uint32_t cv_pcapng_interface(struct cv_pcapng *pcapng, const char *name, const char *description)
{
	static const uint8_t resolution = TSRESOL_NS;

	begin(pcapng, INTERFACE_DESCRIPTION);
	put16_pair(pcapng, LINKTYPE_RAW, 0);
	put32(pcapng, pcapng->snap);
	option_text(pcapng, IF_NAME, name);
	option_text(pcapng, IF_DESCRIPTION, description);
	option(pcapng, IF_TSRESOL, &resolution, sizeof(resolution));
	end(pcapng);
	return pcapng->interfaces++;
}

void cv_pcapng_packet(struct cv_pcapng *pcapng, const struct cv_pcapng_packet *packet)
{
	uint32_t captured = packet->captured < pcapng->snap ? packet->captured : pcapng->snap;
	const uint32_t flags = packet->outbound ? OUTBOUND : INBOUND;

	begin(pcapng, ENHANCED_PACKET);
	put32(pcapng, packet->interface);
	put_time(pcapng, packet->time_ns);
	put32(pcapng, captured);
	put32(pcapng, packet->length);
	put(pcapng, packet->bytes, captured);
	option_text(pcapng, OPT_COMMENT, packet->comment);
	option(pcapng, EPB_FLAGS, &flags, sizeof(flags));
	if (packet->lost)
		option(pcapng, EPB_DROPCOUNT, &packet->lost, sizeof(packet->lost));
	end(pcapng);
}

void cv_pcapng_statistics(struct cv_pcapng *pcapng, uint32_t interface, uint64_t time_ns,
			  uint64_t packets, uint64_t lost)
{
	begin(pcapng, INTERFACE_STATISTICS);
	put32(pcapng, interface);
	put_time(pcapng, time_ns);
	option(pcapng, ISB_IFRECV, &packets, sizeof(packets));
	option(pcapng, ISB_IFDROP, &lost, sizeof(lost));
	end(pcapng);
}
