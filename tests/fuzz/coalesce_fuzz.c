/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the coalescer; coalesce_trace.h of the unit test judges. Input: records that
 * begin with a byte:
 *   0xff  flush
 *   0xfe  a packet as it is: length (2 bytes, little endian), virtio_net_hdr, bytes. Its
 *         IPv4 checksum is made right, as the caller promises
 *   else  the next segment of one of 8 streams (byte & 7, two tags, some share addresses)
 *         of 7 more bytes: length (2), a field of the stream and what to add to it, flags
 *         to XOR, a byte to XOR to the last one, and bits: 1 NEEDS_CSUM, 2 super-packet,
 *         4 fragment, 8 IPv4 options, 16 UDP, 32 the stream does not go on
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/coalesce_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	STREAMS = 8,
	FLUSH = 0xff,
	RAW = 0xfe
};

static struct trace trace;
static struct oracle_packet streams[STREAMS];
static uint8_t payload[2048];
static int tags[2];

static void begin_streams(void)
{
	for (uint32_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7 + i / 256);
	for (uint32_t i = 0; i < STREAMS; i++) {
		streams[i] = (struct oracle_packet){
			.ip = {.ttl = 64, .protocol = ORACLE_TCP, .source = 0x0a000001 + i / 4},
			.source_port = (uint16_t)i,
			.flags = ORACLE_ACK,
			.window = 100,
			.options_length = i % 2 ? 12 : 0,
			.data = payload,
		};
		streams[i].ip.destination = 0x0a000101;
		streams[i].ip.flags_offset = i % 3 ? ORACLE_DF : 0;
	}
}

static void change_field(struct oracle_packet *stream, uint8_t field, uint8_t value)
{
	switch (field % 10) {
	case 0:
		stream->ip.id += value;
		break;
	case 1:
		stream->sequence += (uint32_t)(int8_t)value;
		break;
	case 2:
		stream->acknowledgment += value;
		break;
	case 3:
		stream->window += value;
		break;
	case 4:
		stream->ip.tos += value;
		break;
	case 5:
		stream->ip.ttl += value;
		break;
	case 6:
		stream->options[11] += value;
		break;
	case 7:
		stream->ip.flags_offset ^= (uint16_t)(value << 14);
		break;
	case 8:
		stream->reserved = value & 15;
		break;
	default:
		stream->urgent += value;
	}
}

static void give_segment(const uint8_t record[8])
{
	static uint8_t bytes[4096];
	struct oracle_packet *stream = &streams[record[0] % STREAMS];
	struct virtio_net_hdr vnet = {0};
	struct oracle_packet spec;
	uint8_t bits = record[7];
	uint32_t length;

	change_field(stream, record[3], record[4]);
	spec = *stream;
	spec.flags ^= record[5];
	spec.ip.payload_length = (record[1] | record[2] << 8) % sizeof(payload);
	if (bits & 4)
		spec.ip.flags_offset = record[4];
	if (bits & 8)
		spec.ip.options_length = 4;
	if (bits & 16)
		spec.ip.protocol = ORACLE_UDP;
	length = oracle_write(bytes, &spec);
	if (bits & 1) {
		vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		vnet.csum_start = (uint16_t)oracle_ip_length(bytes);
		vnet.csum_offset = spec.ip.protocol == ORACLE_UDP ? 6 : 16;
		oracle_seal_partial(bytes, length);
	}
	if (bits & 2) {
		vnet.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		vnet.gso_size = 100;
	}
	bytes[length - 1] ^= record[6];
	trace_add(&trace, &tags[record[0] >> 2 & 1], &vnet, bytes, length);
	if (bits & 32)
		return;
	stream->ip.id++;
	stream->sequence += spec.ip.payload_length;
}

/* Returns how many bytes of the input it took. */
static size_t give_raw(const uint8_t *data, size_t size)
{
	struct virtio_net_hdr vnet;
	size_t head = 3 + sizeof(vnet);
	size_t length;
	uint8_t *bytes;

	if (size < head)
		return size;
	length = (size_t)(data[1] | data[2] << 8);
	memcpy(&vnet, data + 3, sizeof(vnet));
	if (length > size - head)
		length = size - head;
	bytes = malloc(length + 1);
	memcpy(bytes, data + head, length);
	if (length >= 20 && oracle_ip_length(bytes) >= 20 && oracle_ip_length(bytes) <= length)
		oracle_seal(bytes, oracle_ip_length(bytes));
	trace_add(&trace, &tags[0], &vnet, bytes, (uint32_t)length);
	free(bytes);
	return head + length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *error;

	if (size > 65536)
		return 0;
	begin_streams();
	trace_begin(&trace);
	while (size) {
		size_t taken = 1;

		if (data[0] == FLUSH) {
			cv_coalesce_flush(trace.coalescer);
		} else if (data[0] == RAW) {
			taken = give_raw(data, size);
		} else if (size >= 8) {
			give_segment(data);
			taken = 8;
		}
		data += taken;
		size -= taken;
	}
	error = trace_end(&trace);
	if (error) {
		fprintf(stderr, "%s\n", error);
		abort();
	}
	return 0;
}
